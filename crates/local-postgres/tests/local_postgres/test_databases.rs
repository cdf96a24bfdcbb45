//! The databases of tests, as test binaries come and go. The scratch folder is the helpers' target folder.

use subtle_local_postgres::{Cluster, Durability, Options, is_running};

use crate::helper::Helper;
use crate::scratch::{Scratch, eventually, query};

fn database(scratch: &Scratch) -> Helper {
    Helper::doing("database", scratch, |command| command)
}

/// Which databases there are on the server of this one.
fn databases(url: &str) -> String {
    query(url, "SELECT datname FROM pg_database ORDER BY 1")
}

fn name(url: &str) -> String {
    query(url, "SELECT current_database()")
}

#[test]
fn copies_of_a_template_share_nothing_and_the_template_is_migrated_once() {
    let scratch = Scratch::with_test_cluster();
    let helper = Helper::doing("copies", &scratch, |command| command);
    assert_eq!(helper.told, "2 2,2,2,2,2,2,2,2,2");
    helper.go();
    let next = Helper::doing("copies", &scratch, |command| command);
    assert_eq!(next.told, "0 2,2,2,2,2,2,2,2,2");
    next.go();
}

#[test]
fn the_last_test_binary_stops_the_cluster_when_it_ends() {
    let scratch = Scratch::with_used_cluster();
    let (first, second) = (database(&scratch), database(&scratch));
    first.go();
    assert!(is_running(&scratch.test_cluster()).unwrap());
    second.go();
    assert!(!is_running(&scratch.test_cluster()).unwrap());
}

#[test]
fn databases_of_dead_processes_are_swept_and_those_of_the_living_are_not() {
    let scratch = Scratch::with_used_cluster();
    let (dead, alive) = (database(&scratch), database(&scratch));
    let (of_the_dead, of_the_living) = (name(&dead.told), name(&alive.told));
    dead.kill();
    assert!(databases(&alive.told).contains(&of_the_dead));
    let third = database(&scratch);
    eventually("the sweep", || !databases(&third.told).contains(&of_the_dead));
    let left = databases(&third.told);
    assert!(left.contains(&of_the_living), "{left}");
}

#[test]
fn another_server_can_be_named() {
    let scratch = Scratch::with_cluster();
    let cluster = Cluster::start(&Options::new(scratch.dir(), Durability::Throwaway)).unwrap();
    let helper = Helper::doing("database", &scratch, |command| {
        command.env("TEST_DATABASE_URL", cluster.url("postgres"))
    });
    assert!(databases(&cluster.url("postgres")).contains(&name(&helper.told)));
    helper.go();
    assert!(!scratch.test_cluster().join("data").exists());
}
