//! What keeps a cluster from starting, and what is said then.

use std::fs;
use std::io::Read;
use std::path::Path;

use subtle_local_postgres::{Binaries, Cluster, Durability, Error, Options, is_running};

use crate::helper;
use crate::scratch::{Scratch, copy, query};

fn durable(scratch: &Scratch) -> Options {
    Options::new(scratch.dir(), Durability::Durable)
}

/// The error of a start with one of the data folder's files spoilt. The next test finds it as it was.
fn error_with(scratch: &Scratch, file: &str, text: &str) -> Error {
    let file = scratch.dir().join("data").join(file);
    let before = fs::read(&file).unwrap();
    fs::write(&file, text).unwrap();
    let outcome = Cluster::start(&durable(scratch));
    fs::write(&file, before).unwrap();
    outcome.unwrap_err()
}

#[test]
fn data_of_another_major_version_is_refused_and_both_versions_are_named() {
    let scratch = Scratch::with_used_cluster();
    let error = error_with(&scratch, "PG_VERSION", "12\n");
    let version = Binaries::find().unwrap().version().unwrap();
    let major = version.split('.').next().unwrap();
    assert!(
        matches!(&error, Error::OtherVersion { data, server, .. } if data == "12" && server == major),
        "{error}"
    );
    assert!(error.to_string().contains("made by PostgreSQL 12"), "{error}");
    assert!(!is_running(&scratch.dir()).unwrap());
}

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let scratch = Scratch::with_used_cluster();
    let error = error_with(&scratch, "postgresql.conf", "no_such_setting = 1\n");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn a_throwaway_cluster_that_does_not_start_is_made_anew() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.dir().join("data")).unwrap();
    fs::write(scratch.dir().join("data/PG_VERSION"), "12\n").unwrap();
    let cluster = scratch.start();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 1"), "1");
}

#[test]
fn durable_data_is_never_removed() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.dir().join("data/base")).unwrap();
    assert!(matches!(Cluster::start(&durable(&scratch)), Err(Error::Io { .. })));
    assert!(scratch.dir().join("data/base").is_dir());
}

#[test]
fn a_failed_initdb_leaves_no_cluster() {
    let scratch = Scratch::new();
    let found = Binaries::find().unwrap();
    let programs = scratch.root.join("bin");
    fs::create_dir(&programs).unwrap();
    for program in ["postgres", "psql"] {
        copy(&found.program(program), &programs.join(program));
    }
    copy(Path::new("/bin/false"), &programs.join("initdb"));
    let binaries = Some(Binaries::among([programs]).unwrap());
    let error = Cluster::start(&Options { binaries, ..durable(&scratch) }).unwrap_err();
    assert!(matches!(error, Error::Initdb { .. }), "{error}");
    assert!(!scratch.dir().join("data").exists());
}

#[test]
fn a_wrong_pg_bindir_is_named() {
    let scratch = Scratch::new();
    let mut helper = helper::spawn("hold", &scratch, |command| command.env("PG_BINDIR", "/no/such/folder"));
    assert!(!helper.wait().unwrap().success());
    let mut complaint = String::new();
    helper.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(complaint.contains("/no/such/folder"), "{complaint}");
    assert!(!scratch.dir().exists());
}
