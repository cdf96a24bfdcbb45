//! The file of a backup: what `pg_dump` writes, which `pg_restore` reads as it is, and one line more. That line tells what is in it, and
//! begins with a checksum of all that stands before and behind it: so a file that was cut short or changed is known at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use subtle_domain::Timestamp;
use subtle_persistence::backup::{Figures, Snapshot};
use subtle_security::Checksum;

use super::error::{BackupError, io_error};

/// How the last line begins; a checksum and the manifest follow.
const MARK: &str = "\nsubtle-backup-1 ";
/// In hexadecimal.
const CHECKSUM: usize = 64;
/// More than any manifest has.
const LONGEST_LINE: u64 = 1 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    /// Of the program that made it.
    pub(super) version: String,
    /// RFC 3339, in UTC.
    pub(super) created_at: String,
    pub(super) database: String,
    /// The version of PostgreSQL.
    pub(super) server: String,
    /// The versions of the migrations that were applied.
    pub(super) migrations: Vec<String>,
    pub(super) figures: Figures,
}

impl Manifest {
    pub(super) fn new(snapshot: &Snapshot, database: &str, now: Timestamp) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            database: database.to_owned(),
            server: snapshot.server.clone(),
            migrations: snapshot.migrations.clone(),
            figures: snapshot.figures.clone(),
        }
    }

    /// How many tables there are.
    pub(super) fn tables(&self) -> usize {
        self.figures.keys().filter(|name| name.starts_with("rows of ")).count()
    }

    /// In which figures a database differs.
    pub(super) fn differences(&self, found: &Figures) -> Vec<String> {
        let mut names: Vec<&String> = self.figures.keys().chain(found.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let told = |value: Option<&String>| value.map_or_else(|| "nothing".to_owned(), Clone::clone);
        let differs = |name: &&&String| self.figures.get(**name) != found.get(**name);
        let tell = |name: &String| {
            format!("{name}: backed up {}, restored {}", told(self.figures.get(name)), told(found.get(name)))
        };
        names.iter().filter(differs).map(|name| tell(name)).collect()
    }

    /// A line of JSON for scripts.
    pub(super) fn line(&self, path: &Path, verified: bool) -> String {
        let line = serde_json::json!({"file": path, "verified": verified, "manifest": self});
        format!("{line}\n")
    }
}

/// Puts the last line behind a dump, and sees to it that all is on the disk.
pub(super) fn conclude(path: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let failed = || io_error("write", path);
    // A struct of numbers and text always has a JSON form.
    let json = serde_json::to_string(manifest).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(failed())?;
    let mut sum = Checksum::default();
    io::copy(&mut file, &mut sum).map_err(failed())?;
    sum.write_all(json.as_bytes()).map_err(failed())?;
    let line = format!("{MARK}{} {json}\n", sum.finish());
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())
}

/// Reads what a file holds, if it is whole.
pub(super) fn open(path: &Path) -> Result<Manifest, BackupError> {
    let failed = || io_error("read", path);
    let damaged = |why| BackupError::Damaged { path: path.to_owned(), why };
    let mut file = File::open(path).map_err(failed())?;
    let size = file.metadata().map_err(failed())?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(LONGEST_LINE))).map_err(failed())?;
    file.read_to_end(&mut end).map_err(failed())?;
    let mark = end.windows(MARK.len()).rposition(|window| window == MARK.as_bytes());
    let mark = mark.ok_or_else(|| damaged("its end is missing, or it never was one"))?;
    let (_, line) = end.split_at(mark);
    let line = line.get(MARK.len()..).and_then(|line| line.strip_suffix(b"\n"));
    let (sum, json) = line
        .and_then(|line| line.split_at_checked(CHECKSUM))
        .and_then(|(sum, rest)| Some((sum, rest.strip_prefix(b" ")?)))
        .ok_or_else(|| damaged("its last line is cut"))?;
    let dumped = size.saturating_sub(u64::try_from(end.len() - mark).unwrap_or(u64::MAX));
    file.seek(SeekFrom::Start(0)).map_err(failed())?;
    let mut found = Checksum::default();
    io::copy(&mut file.take(dumped), &mut found).map_err(failed())?;
    found.write_all(json).map_err(failed())?;
    if found.finish().as_bytes() != sum {
        return Err(damaged("its checksum is wrong"));
    }
    serde_json::from_slice(json).map_err(|_another_version| damaged("its last line is not understood"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn manifest() -> Manifest {
        let figures = [("rows of users", "3"), ("usage", "1 requests")];
        Manifest {
            version: "0.1.0".to_owned(),
            created_at: "2026-11-25T12:00:00.000Z".to_owned(),
            database: "subtle".to_owned(),
            server: "15.18".to_owned(),
            migrations: vec!["1".to_owned()],
            figures: figures.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    struct Scratch(std::path::PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _gone = fs::remove_file(&self.0);
        }
    }

    fn file(name: &str, dump: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("subtle-backup-file-{}-{name}", std::process::id()));
        fs::write(&path, dump).unwrap();
        conclude(&path, &manifest()).unwrap();
        Scratch(path)
    }

    fn refusal(path: &Path) -> &'static str {
        match open(path) {
            Err(BackupError::Damaged { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_dump_stays_as_it_was() {
        for (name, dump) in [("some", &b"PGDMP\n and \nsubtle-backup-1 in it\n"[..]), ("none", b"")] {
            let file = file(name, dump);
            assert_eq!(open(&file.0).unwrap(), manifest());
            assert!(fs::read(&file.0).unwrap().starts_with(dump));
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let file = file("cut", b"PGDMP and more");
        let whole = fs::read(&file.0).unwrap();
        for length in 0..whole.len() {
            fs::write(&file.0, &whole[..length]).unwrap();
            assert!(["missing", "cut"].iter().any(|why| refusal(&file.0).contains(why)), "{length}");
        }
    }

    #[test]
    fn a_file_of_which_one_bit_is_wrong_is_refused() {
        let file = file("bit", b"PGDMP and more");
        let whole = fs::read(&file.0).unwrap();
        for place in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[place] ^= 1;
            fs::write(&file.0, wrong).unwrap();
            refusal(&file.0);
        }
    }

    #[test]
    fn more_behind_the_end_is_refused() {
        let file = file("more", b"PGDMP");
        let more = [&fs::read(&file.0).unwrap()[..], b"x"].concat();
        fs::write(&file.0, more).unwrap();
        assert_eq!(refusal(&file.0), "its last line is cut");
    }

    #[test]
    fn differences_are_named_with_both_figures() {
        let found = [("rows of users", "2"), ("usage", "1 requests"), ("more", "1")];
        let found = found.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(
            manifest().differences(&found),
            ["more: backed up nothing, restored 1", "rows of users: backed up 3, restored 2"]
        );
        assert!(manifest().differences(&manifest().figures).is_empty());
    }
}
