//! What lies where in a cluster's folder, and the locks that processes meet at.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::{Error, io_error};
use crate::url::PORT;

/// A socket's path has to fit into 104 bytes on macOS, 108 on Linux, the closing zero included.
const LONGEST_SOCKET: usize = 99;

/// The folder given to [`crate::Options`], made absolute.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// All of it; owned by the account that runs the server, 0700.
    pub(crate) dir: PathBuf,
    /// PostgreSQL's data folder.
    pub(crate) data: PathBuf,
    /// What the server says, since its last start.
    pub(crate) log: PathBuf,
    /// Names the server that runs on after the last process has left.
    pub(crate) keep: PathBuf,
}

impl Folders {
    /// Makes the folder unless it is there.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, Error> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            fs::create_dir_all(parent).map_err(io_error("make", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io_error("make", dir)(error)),
            _ => Self::open(dir)?.ok_or_else(|| io_error("open", dir)(io::ErrorKind::NotFound.into())),
        }
    }

    /// The folder if it is there.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>, Error> {
        match fs::canonicalize(dir) {
            Ok(dir) => Ok(Some(Self {
                data: dir.join("data"),
                log: dir.join("postgres.log"),
                keep: dir.join("keep-running"),
                dir,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("open", dir)(error)),
        }
    }

    pub(crate) fn is_initialised(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    /// Waits for the right to start or stop the server.
    pub(crate) fn gate(&self) -> Result<Lock, Error> {
        Lock::exclusive(self.dir.join("gate.lock"))
    }

    /// Makes us one of those who use the server.
    pub(crate) fn join(&self) -> Result<Lock, Error> {
        let lock = Lock::open(self.users())?;
        lock.file.lock_shared().map_err(io_error("lock", &lock.path))?;
        Ok(lock)
    }

    /// Whether no process uses the server. True only as long as the gate is held.
    pub(crate) fn is_unused(&self) -> Result<bool, Error> {
        let lock = Lock::open(self.users())?;
        match lock.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &lock.path)(error)),
        }
    }

    fn users(&self) -> PathBuf {
        self.dir.join("users.lock")
    }

    /// Where the socket goes: beside the data, or below `/tmp` when that path is too long, or cannot be written in settings and
    /// URLs, where a comma parts two folders.
    pub(crate) fn sockets(&self) -> PathBuf {
        let beside = self.dir.join("socket");
        let plain = beside.to_str().is_some_and(|path| !path.contains([',', '"', '\'', '\\']));
        if plain && socket(&beside).as_os_str().len() <= LONGEST_SOCKET {
            return beside;
        }
        let mut hasher = DefaultHasher::new();
        self.dir.hash(&mut hasher);
        PathBuf::from(format!("/tmp/subtle-postgres-{:016x}", hasher.finish()))
    }

    /// Makes the folder for the socket, which only `account` (and root) may enter.
    pub(crate) fn make_sockets(&self, account: Account) -> Result<PathBuf, Error> {
        let sockets = self.sockets();
        match DirBuilder::new().mode(0o700).create(&sockets) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error("make", &sockets)(error));
            }
            _ => {}
        }
        // Below /tmp anyone could have been there first. `symlink_metadata`, for a link may lead anywhere.
        let metadata = fs::symlink_metadata(&sockets).map_err(io_error("look at", &sockets))?;
        let ours = [account.uid(), Account::Ours.uid()].contains(&metadata.uid());
        if !(metadata.is_dir() && ours && metadata.mode().trailing_zeros() >= 6) {
            return Err(Error::Foreign(sockets));
        }
        account.own(&sockets)?;
        Ok(sockets)
    }

    /// Leftovers of runs of `initdb` that did not end.
    pub(crate) fn half_made(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let half_made = |name: &OsStr| name.as_bytes().starts_with(b"initdb.");
        entries.filter(|entry| half_made(&entry.file_name())).map(|entry| entry.path()).collect()
    }
}

/// The socket's path in its folder.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

/// A file lock, released on drop. Released, not just closed: a child of another thread, between its fork and its exec, has a copy
/// of the descriptor, which would hold the lock a little longer.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    pub(crate) fn exclusive(path: PathBuf) -> Result<Self, Error> {
        let lock = Self::open(path)?;
        lock.file.lock().map_err(io_error("lock", &lock.path))?;
        Ok(lock)
    }

    fn open(path: PathBuf) -> Result<Self, Error> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        Ok(Self { file: file.map_err(io_error("open", &path))?, path })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &str) -> Folders {
        let dir = PathBuf::from(dir);
        Folders { data: dir.join("data"), log: dir.join("log"), keep: dir.join("keep"), dir }
    }

    #[test]
    fn the_socket_is_beside_the_data_where_its_path_fits() {
        assert_eq!(
            at("/home/me/my work/.subtle/db").sockets(),
            Path::new("/home/me/my work/.subtle/db/socket")
        );
    }

    #[test]
    fn a_long_path_or_one_with_a_comma_moves_the_socket_to_tmp() {
        for dir in [format!("/{}", "long".repeat(20)), "/one,two".to_owned(), "/the \"one\"".to_owned()] {
            let sockets = at(&dir).sockets();
            assert!(sockets.starts_with("/tmp"), "{}", sockets.display());
            assert!(socket(&sockets).as_os_str().len() <= LONGEST_SOCKET);
            assert_eq!(sockets, at(&dir).sockets());
        }
    }
}
