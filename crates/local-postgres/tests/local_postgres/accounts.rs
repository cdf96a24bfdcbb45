//! As whom the server runs.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{Write, stderr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use subtle_local_postgres::{Cluster, Durability, Options, is_running};

use crate::helper::Helper;
use crate::scratch::{Scratch, is_root, owner, query};

const NOBODY: u32 = 65534;

/// Says so aloud (the harness does not catch what is written past its macros) when there is no root to be tested.
fn as_root(scratch: &Scratch) -> bool {
    let root = is_root(scratch);
    if !root {
        stderr().write_all(b"NOT TESTED, for we are not root: how root runs PostgreSQL\n").unwrap();
    }
    root
}

/// A helper that runs as `nobody`, on a folder of its own.
fn nobody(scratch: &Scratch) -> Helper {
    chown(&scratch.root, Some(NOBODY), Some(NOBODY)).unwrap();
    Helper::doing("hold", scratch, |command| command.uid(NOBODY).gid(NOBODY))
}

#[test]
fn root_becomes_a_user_who_reaches_the_folder() {
    let scratch = Scratch::new();
    if as_root(&scratch) {
        let cluster = scratch.start();
        assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
        assert_ne!(owner(&scratch.dir().join("data")), 0);
        cluster.stop().unwrap();
        assert!(!is_running(&scratch.dir()).unwrap());
    }
}

#[test]
fn root_enters_a_user_namespace_where_no_other_user_reaches_the_folder() {
    let scratch = Scratch::new();
    if as_root(&scratch) {
        let closed = scratch.root.join("closed");
        DirBuilder::new().mode(0o700).create(&closed).unwrap();
        let options = Options::new(closed.join("cluster"), Durability::Durable);
        for _ in ["new", "again"] {
            let cluster = Cluster::start(&options).unwrap();
            assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
            assert_eq!(owner(&options.dir.join("data")), 0);
            cluster.stop().unwrap();
            assert!(!is_running(&options.dir).unwrap());
        }
    }
}

#[test]
fn another_user_runs_the_server_as_itself() {
    let scratch = Scratch::new();
    if is_root(&scratch) {
        let helper = nobody(&scratch);
        assert_eq!(owner(&scratch.dir().join("data")), NOBODY);
        helper.go();
    } else {
        let us = owner(&scratch.root);
        let _cluster = scratch.start();
        assert_eq!(owner(&scratch.dir().join("data")), us);
    }
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn root_joins_the_server_of_another_user_and_starts_it_as_that_user() {
    let scratch = Scratch::new();
    if as_root(&scratch) {
        let helper = nobody(&scratch);
        let cluster = scratch.start();
        assert_eq!(cluster.pid(), helper.server());
        assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
        helper.go();
        cluster.stop().unwrap();
        assert!(!is_running(&scratch.dir()).unwrap());
        let cluster = scratch.start();
        assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
        assert_eq!(owner(&scratch.dir().join("data/postmaster.pid")), NOBODY);
    }
}

#[test]
fn a_socket_folder_that_others_may_enter_is_refused() {
    let scratch = Scratch::with_used_cluster();
    scratch.start().stop().unwrap();
    let sockets = scratch.dir().join("socket");
    fs::set_permissions(&sockets, Permissions::from_mode(0o755)).unwrap();
    let outcome = Cluster::start(&scratch.options());
    fs::set_permissions(&sockets, Permissions::from_mode(0o700)).unwrap();
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("not a folder of ours alone"), "{error}");
}
