//! Installs the checks below the target folder, once for each lock file and schema, and runs them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Once;
use std::time::Duration;

use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::support::TestApp;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/prisma");
/// What decides whether an installation is still the right one.
const DECISIVE: [&str; 4] = [".npmrc", "package.json", "package-lock.json", "schema.prisma"];
/// Longest time for each of npm's and Node's programs.
const PATIENCE: Duration = Duration::from_mins(4);
/// It is said once that they were not run.
static NOT_RUN: Once = Once::new();

/// The checks, installed.
pub(super) struct Checks {
    folder: PathBuf,
}

impl Checks {
    /// `None` where Node is missing or too old, after a line that says so. What npm can't install is a failure.
    pub(super) async fn ready() -> Option<Self> {
        if let Some(reason) = missing().await {
            NOT_RUN.call_once(|| say(&format!("not run: the checks of Prisma Client, for {reason}\n")));
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prisma");
        fs::create_dir_all(&folder).unwrap();
        let (lock, place) = (folder.join("lock"), folder.clone());
        // Held until the file is closed: tests and test binaries share the folder.
        let _turn = spawn_blocking(move || {
            let turn = File::create(lock).unwrap();
            turn.lock().unwrap();
            copy_changed(Path::new(SOURCES), &place);
            turn
        })
        .await
        .unwrap();
        install(&folder).await;
        Some(Self { folder })
    }

    /// Runs them, all of which must hold. Gives what they told.
    pub(super) async fn hold(
        &self,
        app: &TestApp,
        server: Option<usize>,
        zone: &str,
        words: &[&str],
    ) -> String {
        let (status, told) = self.run(app, server, zone, words).await;
        assert!(status.success(), "{told}");
        told
    }

    /// Runs them on the database, and beside the server of that number, in a process of that time zone.
    pub(super) async fn run(
        &self,
        app: &TestApp,
        server: Option<usize>,
        zone: &str,
        words: &[&str],
    ) -> (ExitStatus, String) {
        let mut node = command("node", &self.folder);
        node.arg("run.mjs").args(words).env_clear();
        node.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", zone);
        // As the document writes it.
        let url = app.database_url();
        let joint = if url.contains('?') { '&' } else { '?' };
        node.env("DATABASE_URL", format!("{url}{joint}connection_limit=10&pool_timeout=20"));
        node.envs(server.map(|number| ("SUBTLE_URL", app.url_of(number, ""))));
        output(node).await
    }
}

/// Past the test harness, which shows no output of a test that succeeds.
fn say(line: &str) {
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Why they can't be run here.
async fn missing() -> Option<String> {
    for program in ["node", "npm"] {
        let version = Command::new(program).arg("--version").stderr(Stdio::null()).output().await;
        let Ok(version) = version else { return Some(format!("{program} is not installed")) };
        let version = String::from_utf8_lossy(&version.stdout);
        if program == "node" && !is_new_enough(&version) {
            return Some(format!(
                "Node is {} here, and Prisma needs 20.19, 22.12, 24 or newer",
                version.trim()
            ));
        }
    }
    None
}

/// Whether Prisma takes that version of Node: `v20.19.1`.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    let version: (Option<u32>, Option<u32>) = (numbers.next(), numbers.next());
    matches!(version, (Some(20), Some(19..)) | (Some(22), Some(12..)) | (Some(24..), _))
}

/// Files that are as they were stay untouched: somebody may be reading them.
fn copy_changed(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if name == "node_modules" {
            continue;
        }
        let target = to.join(name);
        if source.is_dir() {
            copy_changed(&source, &target);
        } else if fs::read(&target).ok() != Some(fs::read(&source).unwrap()) {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Fetches the packages that the lock file names, and generates the client, which needs no network.
async fn install(folder: &Path) {
    let wanted: String = DECISIVE.map(|name| fs::read_to_string(folder.join(name)).unwrap()).concat();
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return;
    }
    let _none_yet = fs::remove_file(&stamp);
    for arguments in [&["ci", "--prefer-offline"], &["run", "generate"]] {
        let mut npm = command("npm", folder);
        npm.args(arguments);
        let (status, told) = output(npm).await;
        assert!(status.success(), "npm {}: {told}", arguments.join(" "));
    }
    fs::write(stamp, wanted).unwrap();
}

fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> (ExitStatus, String) {
    let ended = timeout(PATIENCE, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{command:?} takes longer than {PATIENCE:?}")).unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn prisma_takes_these_versions_of_node() {
    for version in ["v20.19.0\n", "v20.20.2", "v22.12.0", "v24.0.0", "v25.1.0"] {
        assert!(is_new_enough(version), "{version}");
    }
    for version in ["v18.19.0\n", "v20.18.9", "v21.7.3", "v22.11.0", "v23.11.1", "", "node"] {
        assert!(!is_new_enough(version), "{version}");
    }
}
