//! What lies in `deploy/` and what is said of it: names and numbers that are the program's, and have to stay so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Names such as `SUBTLE_LISTEN`; one that goes on with `…` or `*` stands for many and is none.
fn settings_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let named = text.match_indices("SUBTLE_").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        (!rest[end..].starts_with(['…', '*'])).then(|| rest[..end].to_owned())
    });
    named.collect()
}

fn known_settings() -> BTreeSet<String> {
    let mut help = Command::new(env!("CARGO_BIN_EXE_subtle-under-test"));
    let help = help.args(["serve", "--help"]).env_clear().output().unwrap();
    settings_in(&String::from_utf8(help.stdout).unwrap())
}

#[test]
fn every_setting_that_the_files_and_pages_of_deployment_name_is_one_of_the_server() {
    let known = known_settings();
    assert!(known.contains("SUBTLE_SECRET") && known.contains("SUBTLE_CONFIG"), "{known:?}");
    let files = fs::read_dir(root().join("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let pages = ["README.md", "docs/deployment.md"].map(|page| root().join(page));
    for file in files.chain(pages) {
        let named = settings_in(&fs::read_to_string(&file).unwrap());
        let unknown: Vec<_> = named.difference(&known).collect();
        assert_eq!(unknown, [""; 0], "{}", file.display());
    }
}

#[test]
fn a_setting_is_found_wherever_it_stands_and_a_misspelt_one_is_not_known() {
    let text = "Environment=SUBTLE_LISTEN=0.0.0.0 `SUBTLE_LISTN`, SUBTLE_… SUBTLE_LIMIT_* ${SUBTLE_LOG}";
    let named = settings_in(text);
    assert_eq!(named, ["SUBTLE_LISTEN", "SUBTLE_LISTN", "SUBTLE_LOG"].map(str::to_owned).into());
    assert!(!known_settings().contains("SUBTLE_LISTN"));
}

#[test]
fn the_image_is_built_from_what_is_there_and_from_every_part_of_the_workspace() {
    let dockerfile = text("deploy/Dockerfile");
    let instructions = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: BTreeSet<_> = instructions
        .filter(|sources| !sources.starts_with("--from"))
        .flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '))
        .collect();
    for source in &copied {
        assert!(root().join(source).exists(), "{source}");
    }
    let ignore = text(".dockerignore");
    let let_through: BTreeSet<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(copied, let_through);
    let manifest = text("Cargo.toml");
    let quoted = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let line = |name: &str| quoted(manifest.lines().find(|line| line.starts_with(name)).unwrap());
    for member in line("members = ") {
        assert!(copied.contains(member.trim_end_matches("/*")), "{member}");
    }
    let toolchain = &line("rust-version = ")[0];
    assert!(dockerfile.contains(&format!("FROM rust:{toolchain}-")), "{toolchain}");
}

/// The whole seconds that follow a name and its `=` or `:`.
fn seconds(text: &str, name: &str) -> u32 {
    let rest = text.lines().filter_map(|line| line.split_once(name)).map(|(_, rest)| rest);
    let mut values =
        rest.filter_map(|rest| rest.strip_prefix(['=', ':'])?.trim().split('s').next()?.parse().ok());
    values.next().unwrap()
}

#[test]
fn whoever_stops_a_server_waits_longer_than_its_stop_may_take() {
    for (file, limit) in
        [("deploy/subtle.service", "TimeoutStopSec"), ("deploy/compose.yaml", "stop_grace_period")]
    {
        let text = text(file);
        let stop = seconds(&text, "SUBTLE_SHUTDOWN_DELAY") + seconds(&text, "SUBTLE_SHUTDOWN_GRACE");
        // What the server does after that is bounded by five seconds.
        assert!(seconds(&text, limit) >= stop + 5, "{file}");
    }
}
