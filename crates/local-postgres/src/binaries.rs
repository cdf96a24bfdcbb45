//! Where the programs of PostgreSQL are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, iter};

use crate::error::{Error, io_error};

/// Folders that hold one folder for each major version: parent, what the names start with, where the programs are inside.
const INSTALLED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The folder of an installed PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The first of: `$PG_BINDIR`, `postgres` on the search path, `pg_config --bindir`, the newest of the packages' usual folders.
    pub fn find() -> Result<Self, Error> {
        if let Some(folder) = env::var_os("PG_BINDIR").filter(|folder| !folder.is_empty()) {
            return Self::inside(Path::new(&folder)).ok_or_else(|| Error::WrongBindir(folder.into()));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let installed =
            INSTALLED.iter().flat_map(|(parent, prefix, bin)| versions(Path::new(parent), prefix, bin));
        Self::among(env::split_paths(&path).chain(iter::once_with(pg_config).flatten()).chain(installed))
    }

    /// The first of these folders that has `postgres`, `initdb` and `psql`.
    pub fn among(folders: impl IntoIterator<Item = PathBuf>) -> Result<Self, Error> {
        folders.into_iter().find_map(|folder| Self::inside(&folder)).ok_or(Error::NotInstalled)
    }

    /// The path of a program that works on a server wherever it is, such as `pg_dump`: beside the server's own programs, or on the
    /// search path where there are none.
    pub fn client(name: &'static str) -> Result<PathBuf, Error> {
        let beside = Self::find().map(|found| found.program(name));
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path).map(|folder| folder.join(name));
        beside.into_iter().chain(on_path).find(|program| program.is_file()).ok_or(Error::NoClient(name))
    }

    /// The path of one of the programs, such as `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of the programs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The version, such as `15.18`. Runs `postgres --version`.
    pub fn version(&self) -> Result<String, Error> {
        let postgres = self.program("postgres");
        let output = Command::new(&postgres).arg("--version").output().map_err(io_error("run", &postgres))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split_whitespace().nth(2).unwrap_or("unknown").to_owned())
    }

    /// A link on the search path may lead to a folder that has the others too (Homebrew), or stand beside links to them (Nix).
    fn inside(folder: &Path) -> Option<Self> {
        let postgres = fs::canonicalize(folder.join("postgres")).ok()?;
        let complete =
            |folder: &&Path| ["postgres", "initdb", "psql"].iter().all(|name| folder.join(name).is_file());
        let folder = postgres.parent().filter(complete).or(Some(folder).filter(complete))?;
        Some(Self { folder: std::path::absolute(folder).ok()? })
    }
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim_end()))
}

/// The program folders of the versions below `parent`, newest first.
fn versions(parent: &Path, prefix: &str, bin: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(bin)))
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("subtle-binaries-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn install(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_newest_version_comes_first_by_number() {
        let parent = scratch("versions");
        for version in ["postgresql@9", "postgresql@17", "postgresql@16", "postgresql", "other@18"] {
            fs::create_dir(parent.join(version)).unwrap();
        }
        let expected = [17, 16, 9].map(|version| parent.join(format!("postgresql@{version}/bin")));
        assert_eq!(versions(&parent, "postgresql@", "bin"), expected);
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_folder_without_all_the_programs_is_passed_over() {
        let parent = scratch("partial");
        install(&parent.join("partial"), &["postgres", "psql"]);
        install(&parent.join("complete"), &["postgres", "psql", "initdb"]);
        let found =
            Binaries::among([parent.join("none"), parent.join("partial"), parent.join("complete")]).unwrap();
        assert_eq!(found.program("initdb"), fs::canonicalize(parent.join("complete/initdb")).unwrap());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_link_leads_to_the_other_programs() {
        let parent = scratch("link");
        install(&parent.join("cellar"), &["postgres", "psql", "initdb"]);
        fs::create_dir(parent.join("bin")).unwrap();
        std::os::unix::fs::symlink(parent.join("cellar/postgres"), parent.join("bin/postgres")).unwrap();
        let found = Binaries::among([parent.join("bin")]).unwrap();
        assert_eq!(found.folder(), fs::canonicalize(parent.join("cellar")).unwrap());
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn without_postgres_one_line_says_what_to_install() {
        let error = Binaries::among([PathBuf::from("/nonexistent")]).unwrap_err();
        let line = error.to_string();
        assert!(matches!(error, Error::NotInstalled));
        assert_eq!(line.lines().count(), 1);
        for hint in ["apt-get install postgresql", "brew install postgresql@17", "DATABASE_URL"] {
            assert!(line.contains(hint), "{line}");
        }
    }
}
