//! Several processes, one cluster.

use std::thread;

use subtle_local_postgres::{Stopped, is_running, stop};

use crate::helper::Helper;
use crate::scratch::{Scratch, eventually, exists, query, signal};

#[test]
fn a_live_orphan_is_adopted() {
    let scratch = Scratch::with_used_cluster();
    let helper = Helper::holding(&scratch);
    let server = helper.server();
    helper.kill();
    assert!(exists(server));
    let cluster = scratch.start();
    assert_eq!(cluster.pid(), server);
    assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
    cluster.stop().unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn the_last_of_two_processes_stops_the_server() {
    let scratch = Scratch::with_used_cluster();
    let (first, second) = (Helper::holding(&scratch), Helper::holding(&scratch));
    assert_eq!(first.server(), second.server());
    first.go();
    assert!(is_running(&scratch.dir()).unwrap());
    second.go();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn a_process_that_is_killed_does_not_count_as_a_user() {
    let scratch = Scratch::with_used_cluster();
    let (first, second) = (Helper::holding(&scratch), Helper::holding(&scratch));
    first.kill();
    assert!(is_running(&scratch.dir()).unwrap());
    second.go();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn processes_that_start_at_once_share_one_server() {
    let scratch = Scratch::new();
    let helpers: Vec<Helper> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Helper::holding(&scratch))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut servers: Vec<i32> = helpers.iter().map(Helper::server).collect();
    servers.dedup();
    assert_eq!(servers.len(), 1);
    helpers.into_iter().for_each(Helper::go);
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn two_clusters_of_one_process_are_one_server_too() {
    let scratch = Scratch::with_used_cluster();
    let (first, second) = (scratch.start(), scratch.start());
    assert_eq!(first.pid(), second.pid());
    first.stop().unwrap();
    assert_eq!(query(&second.url("postgres"), "SELECT 1"), "1");
    second.stop().unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn a_replaced_server_is_stopped_by_the_last_process() {
    let scratch = Scratch::with_used_cluster();
    let first = scratch.start();
    signal("KILL", first.pid());
    eventually("the server is gone", || !exists(first.pid()));
    let second = scratch.start();
    second.stop().unwrap();
    assert!(is_running(&scratch.dir()).unwrap(), "the first still counts as a user");
    first.stop().unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn ctrl_c_ends_the_process_but_not_the_server() {
    let scratch = Scratch::with_used_cluster();
    let helper = Helper::holding(&scratch);
    let server = helper.server();
    signal("INT", -helper.pid());
    helper.wait();
    let cluster = scratch.start();
    assert_eq!(cluster.pid(), server);
}

#[test]
fn a_server_left_running_stays_until_it_is_stopped() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    let server = cluster.pid();
    cluster.leave_running().unwrap();
    let helper = Helper::holding(&scratch);
    assert_eq!(helper.server(), server);
    helper.go();
    assert!(is_running(&scratch.dir()).unwrap());
    assert_eq!(stop(&scratch.dir()).unwrap(), Stopped::Now);
    assert!(!is_running(&scratch.dir()).unwrap());
    assert_eq!(stop(&scratch.dir()).unwrap(), Stopped::Before);
}

#[test]
fn a_server_left_running_once_is_no_precedent_for_the_next() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    let server = cluster.pid();
    cluster.leave_running().unwrap();
    signal("KILL", server);
    eventually("the server is gone", || !exists(server));
    scratch.start().stop().unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn stopping_a_server_in_use_leaves_that_to_its_last_user() {
    let scratch = Scratch::with_used_cluster();
    scratch.start().leave_running().unwrap();
    let helper = Helper::holding(&scratch);
    assert_eq!(stop(&scratch.dir()).unwrap(), Stopped::Later);
    assert!(is_running(&scratch.dir()).unwrap());
    helper.go();
    assert!(!is_running(&scratch.dir()).unwrap());
}
