//! One process, one cluster: start, use, stop, start again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use subtle_local_postgres::{Cluster, Durability, Options, is_running};

use crate::helper;
use crate::scratch::{Scratch, eventually, exists, query, signal};

#[test]
fn a_new_folder_becomes_a_cluster_that_answers() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&Options::new(scratch.dir(), Durability::Durable)).unwrap();
    let url = cluster.url("postgres");
    for (setting, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("max_connections", "100"),
    ] {
        assert_eq!(query(&url, &format!("SHOW {setting}")), value, "{setting}");
    }
    assert_eq!(query(&url, "SELECT current_user"), "postgres");
}

#[test]
fn throwaway_trades_durability_for_speed() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    for setting in ["fsync", "full_page_writes", "synchronous_commit", "autovacuum"] {
        assert_eq!(query(&cluster.url("postgres"), &format!("SHOW {setting}")), "off", "{setting}");
    }
}

#[test]
fn only_the_owner_may_enter_the_folders() {
    let scratch = Scratch::with_used_cluster();
    let _cluster = scratch.start();
    for folder in ["", "data", "socket"] {
        let mode = fs::metadata(scratch.dir().join(folder)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn the_data_survives_a_restart() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    cluster.ensure_database("shop").unwrap();
    query(&cluster.url("shop"), "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT 42 AS n");
    cluster.stop().unwrap();
    let cluster = scratch.start();
    assert_eq!(query(&cluster.url("shop"), "SELECT n FROM t"), "42");
}

#[test]
fn stopping_leaves_no_process() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    let server = cluster.pid();
    assert!(exists(server) && is_running(&scratch.dir()).unwrap());
    cluster.stop().unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
    eventually("the server is gone", || !exists(server));
}

#[test]
fn dropping_stops_too() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    drop(cluster);
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn a_folder_that_is_not_there_has_no_server() {
    let scratch = Scratch::new();
    assert!(!is_running(&scratch.dir()).unwrap());
    assert!(!scratch.dir().exists());
}

#[test]
fn a_database_is_created_once_whatever_its_name() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    for name in ["plain", "Größe \"and\" 'quotes' / 100%"] {
        query(
            &cluster.url("postgres"),
            &format!("DROP DATABASE IF EXISTS \"{}\"", name.replace('"', "\"\"")),
        );
        cluster.ensure_database(name).unwrap();
        query(&cluster.url(name), "CREATE TABLE mark ()");
        cluster.ensure_database(name).unwrap();
        assert_eq!(query(&cluster.url(name), "SELECT count(*) FROM mark"), "0");
        assert_eq!(query(&cluster.url(name), "SELECT current_database()"), name);
    }
}

#[test]
fn a_folder_with_a_long_name_has_its_socket_elsewhere() {
    let scratch = Scratch::new();
    let dir: PathBuf = scratch.root.join("a long name, with a comma ".repeat(5)).join("cluster");
    let cluster = Cluster::start(&Options::new(&dir, Durability::Throwaway)).unwrap();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
    assert!(!dir.join("socket").exists());
    let sockets =
        PathBuf::from(query(&cluster.url("postgres"), "SHOW unix_socket_directories").replace('"', ""));
    cluster.stop().unwrap();
    fs::remove_dir_all(sockets).unwrap();
}

#[test]
fn a_killed_server_recovers() {
    let scratch = Scratch::with_used_cluster();
    let cluster = scratch.start();
    query(&cluster.url("postgres"), "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT 42 AS n");
    query(&cluster.url("postgres"), "CHECKPOINT");
    signal("KILL", cluster.pid());
    eventually("the server is gone", || !exists(cluster.pid()));
    assert!(scratch.dir().join("data/postmaster.pid").exists());
    let next = scratch.start();
    assert_ne!(next.pid(), cluster.pid());
    assert_eq!(query(&next.url("postgres"), "SELECT n FROM t"), "42");
}

#[test]
fn a_stale_pid_file_whose_process_is_someone_else_now_is_seen_through() {
    let scratch = Scratch::with_used_cluster();
    let data = scratch.dir().join("data");
    let sockets = scratch.dir().join("socket");
    let stale = format!(
        "{}\n{}\n1700000000\n5432\n{}\n\n        1         1\nready   \n",
        std::process::id(),
        data.display(),
        sockets.display()
    );
    fs::write(data.join("postmaster.pid"), stale).unwrap();
    assert!(!is_running(&scratch.dir()).unwrap());
    let cluster = scratch.start();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
}

#[test]
fn an_interrupted_initdb_is_done_again_and_what_is_left_of_it_is_swept() {
    let scratch = Scratch::new();
    let leftover = scratch.dir().join("initdb.1");
    let mut helper = helper::spawn("hold", &scratch, |command| command);
    let half_made = scratch.dir().join(format!("initdb.{}", helper.id()));
    eventually("initdb is at work", || half_made.join("PG_VERSION").exists());
    helper.kill().unwrap();
    helper.wait().unwrap();
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("PG_VERSION"), "15\n").unwrap();
    assert!(!scratch.dir().join("data").exists());
    let cluster = scratch.start();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
    assert!(!leftover.exists());
}
