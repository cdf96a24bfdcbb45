//! A disk that is small enough to be filled.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::app::{connect, fresh_folder};

/// Many times what the load writes.
const SIZE: &str = "256m";

/// A tmpfs with the tables on it. The write-ahead log is not: without room for that PostgreSQL ends itself, by design.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// A disk for the account that owns a folder, or why there is none.
    pub(crate) fn mount(like: &Path) -> Result<Self, String> {
        let owner = fs::metadata(like).map_err(|error| error.to_string())?;
        let folder = fresh_folder("small-disk");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let options = format!("size={SIZE},mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder);
        let output = mount.output().map_err(|error| format!("mount: {error}"))?;
        if output.status.success() {
            return Ok(Self(folder));
        }
        let _empty = fs::remove_dir(&folder);
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Moves the database `name` there, to which nobody is connected.
    pub(crate) async fn take_in(&self, postgres: &str, name: &str) {
        let client = connect(postgres).await;
        let location = format!("CREATE TABLESPACE small LOCATION '{}'", self.0.display());
        client.batch_execute(&location).await.unwrap();
        client.batch_execute(&format!("ALTER DATABASE {name} SET TABLESPACE small")).await.unwrap();
    }

    /// Leaves not a byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        for size in [1 << 20, 1 << 12] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    pub(crate) fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _told_by_itself = Command::new("umount").arg(&self.0).status();
        let _not_empty_where_that_failed = fs::remove_dir(&self.0);
    }
}
