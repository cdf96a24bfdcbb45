//! As whom the server runs. PostgreSQL refuses root, so root has to become someone else who can reach the data folder.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::binaries::Binaries;
use crate::error::{Error, io_error};
use crate::folders::Folders;
use crate::process;

const ROOT: u32 = 0;
/// Users to try as root, best first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];
/// The id that root bears inside the user namespace. Any but 0 would do; this is what `nobody` has nearly everywhere.
const NOBODY: u32 = 65534;

/// The account that owns the cluster's folders and runs its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Our own.
    Ours,
    /// Another: we are root and can become it.
    Other { uid: u32, gid: u32 },
    /// Root's, but called `nobody` inside a user namespace: it reaches root's folders, and PostgreSQL does not see root.
    Namespace,
}

impl Account {
    /// The owner of the cluster's folder, or the first that can reach it when it is new. Whoever is chosen comes to own it, so
    /// the choice is made once.
    pub(crate) fn choose(folders: &Folders, binaries: &Binaries) -> Result<Self, Error> {
        if process::effective_uid() != ROOT {
            return Ok(Self::Ours);
        }
        let metadata = fs::metadata(&folders.dir).map_err(io_error("look at", &folders.dir))?;
        if metadata.uid() != ROOT {
            return Ok(Self::Other { uid: metadata.uid(), gid: metadata.gid() });
        }
        if folders.is_initialised() {
            return Ok(Self::Namespace);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let others = CANDIDATES.iter().filter_map(|name| entry(&users, name));
        let mut refusal = String::new();
        for account in others.chain([Self::Namespace]) {
            match account.try_out(folders, binaries) {
                Ok(()) => return Ok(account),
                Err(reason) => refusal = reason,
            }
        }
        Err(Error::NoAccount(folders.dir.clone(), refusal))
    }

    /// A command that runs as this account, undisturbed by our folder, language and `PG…` variables.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ours => Command::new(program),
            Self::Other { uid, gid } => {
                let mut command = Command::new(program);
                command.uid(uid).gid(gid);
                command
            }
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.args([
                    "--user",
                    &format!("--map-user={NOBODY}"),
                    &format!("--map-group={NOBODY}"),
                    "--",
                ]);
                command.arg(program);
                command
            }
        };
        without_postgres_variables(&mut command).env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Makes the account the owner of one of the cluster's folders.
    pub(crate) fn own(self, folder: &Path) -> Result<(), Error> {
        match self {
            Self::Other { uid, gid } => {
                chown(folder, Some(uid), Some(gid)).map_err(io_error("change the owner of", folder))
            }
            Self::Ours | Self::Namespace => Ok(()),
        }
    }

    /// The user id by which the file system knows the account.
    pub(crate) fn uid(self) -> u32 {
        match self {
            Self::Ours => process::effective_uid(),
            Self::Other { uid, .. } => uid,
            Self::Namespace => ROOT,
        }
    }

    /// Runs the server's program from beside the cluster's folder: only a trial counts access lists and security modules in.
    fn try_out(self, folders: &Folders, binaries: &Binaries) -> Result<(), String> {
        let parent = folders.dir.parent().unwrap_or(&folders.dir);
        let output = self
            .command(&binaries.program("postgres"))
            .arg("--version")
            .current_dir(parent)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

/// libpq and the server read `PGHOST`, `PGOPTIONS`, `PGDATA`…, which are about some other server.
pub(crate) fn without_postgres_variables(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command
}

/// The account of that name in a file like `/etc/passwd`.
fn entry(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (found, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (found == name && uid != ROOT).then_some(Account::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nodd line\npostgresql:x:7:7::/:\npostgres:x:101:104:A,,,:/var:/bin/sh\nnobody:x:0:0::/:\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(entry(USERS, "postgres"), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(entry(USERS, "missing"), None);
    }

    #[test]
    fn root_under_another_name_is_no_account_to_become() {
        assert_eq!(entry(USERS, "nobody"), None);
    }
}
