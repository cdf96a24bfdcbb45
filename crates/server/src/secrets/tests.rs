use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, thread};

use super::*;
use crate::settings::Given;

const SECRET: &str = "one-secret-of-thirty-two-bytes!!";

/// A folder that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("subtle-secrets-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn data_dir(&self) -> PathBuf {
        self.0.join("nested/data")
    }

    fn settings(&self, flags: &[(&'static str, &str)]) -> Settings {
        let mut flags: HashMap<_, _> =
            flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        flags.insert("data_dir", self.data_dir().display().to_string());
        Settings::read(&Given::gather(flags, None, []).unwrap()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_secret_for_us_alone_and_the_second_finds_it() {
    let scratch = Scratch::new();
    let path = scratch.data_dir().join("secret");
    find(&scratch.settings(&[]), true).unwrap();
    let first = fs::read_to_string(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&scratch.data_dir()) & 0o066, 0, "nobody else lists or writes it");
    find(&scratch.settings(&[]), true).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::read_dir(scratch.data_dir()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn many_that_start_together_agree_on_one_secret() {
    let scratch = Scratch::new();
    data_dir::prepare(&scratch.data_dir()).unwrap();
    let path = scratch.data_dir().join("secret");
    let seen = |draft: u32| {
        // Each as a process of its own would: under a draft's name of its own.
        let own = path.with_extension(format!("{draft}.new"));
        write_private(&own).unwrap();
        let _first = fs::hard_link(&own, &path);
        fs::remove_file(&own).unwrap();
        fs::read_to_string(&path).unwrap()
    };
    let texts: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|draft| scope.spawn(move || seen(draft))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(texts.iter().all(|text| *text == texts[0]));
    make(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), texts[0], "who comes late changes nothing");
}

#[test]
fn for_a_database_on_another_machine_a_secret_is_demanded() {
    let scratch = Scratch::new();
    assert!(matches!(find(&scratch.settings(&[]), false), Err(SecretError::Demanded)));
    assert!(!scratch.data_dir().exists(), "and nothing is left behind");
    assert!(find(&scratch.settings(&[("secret", SECRET)]), false).is_ok());
}

#[test]
fn a_secret_file_is_read_and_its_faults_are_told_without_its_text() {
    let scratch = Scratch::new();
    let path = scratch.0.join("given");
    let path = path.to_str().unwrap();
    fs::write(path, format!("{SECRET}\n")).unwrap();
    assert!(find(&scratch.settings(&[("secret_file", path)]), false).is_ok());
    fs::write(path, "hunter2").unwrap();
    let error = find(&scratch.settings(&[("secret_file", path)]), false).unwrap_err().to_string();
    assert!(error.contains("has 7 bytes; it needs at least 32") && !error.contains("hunter2"), "{error}");
    let missing = find(&scratch.settings(&[("secret_file", "/nowhere/secret")]), true);
    assert!(matches!(missing, Err(SecretError::Io { action: "read", .. })));
}

#[test]
fn two_places_for_the_secret_are_one_too_many() {
    let scratch = Scratch::new();
    let both = scratch.settings(&[("secret", SECRET), ("secret_file", "/nowhere")]);
    assert!(matches!(find(&both, true), Err(SecretError::Both)));
}

#[test]
fn a_kept_secret_that_others_can_read_is_not_used() {
    let scratch = Scratch::new();
    find(&scratch.settings(&[]), true).unwrap();
    let path = scratch.data_dir().join("secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(find(&scratch.settings(&[]), true), Err(SecretError::Exposed(_))));
}
