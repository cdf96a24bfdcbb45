//! Backups in a folder, by their names.

use std::fs;
use std::path::{Path, PathBuf};

use subtle_domain::Timestamp;

use super::error::{BackupError, io_error};

const BEGINNING: &str = "subtle-";
const ENDING: &str = ".backup";

/// The name of a backup of that time. Names sort as times do.
pub(super) fn name(now: Timestamp) -> String {
    format!("{BEGINNING}{}{ENDING}", now.format("%Y%m%dT%H%M%S%3fZ"))
}

/// Removes all but the newest backups of a folder; what has another name is not ours to remove.
pub(super) fn rotate(folder: &Path, keep: usize) -> Result<Vec<PathBuf>, BackupError> {
    let mut ours = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_ours) {
            ours.push(path);
        }
    }
    ours.sort_unstable();
    ours.truncate(ours.len().saturating_sub(keep));
    for old in &ours {
        fs::remove_file(old).map_err(io_error("remove", old))?;
    }
    Ok(ours)
}

fn is_ours(name: &str) -> bool {
    let time = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| {
        !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_what_is_not_ours_too() {
        let folder = std::env::temp_dir().join(format!("subtle-rotation-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names: Vec<String> =
            (0..4).map(|day| name(Timestamp::UNIX_EPOCH + chrono::TimeDelta::days(day))).collect();
        assert_eq!(names[0], "subtle-19700101T000000000Z.backup");
        for name in names.iter().map(String::as_str).chain(["subtle-mine.backup", "other"]) {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(rotate(&folder, 2).unwrap(), [folder.join(&names[0]), folder.join(&names[1])]);
        assert!(rotate(&folder, 2).unwrap().is_empty());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
        fs::remove_dir_all(folder).unwrap();
    }
}
