//! The README's tour, run as it stands there.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::TestApp;

/// A command of the tour and what it is said to print; `…` stands for anything.
#[derive(Debug, Default)]
struct Step {
    command: String,
    output: String,
}

fn tour() -> Vec<Step> {
    let readme = include_str!("../../README.md");
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let mut continues = false;
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: format!("{command}\n"), output: String::new() });
            } else {
                let step = steps.last_mut().unwrap();
                let into = if continues { &mut step.command } else { &mut step.output };
                into.push_str(line);
                into.push('\n');
            }
            continues = line.ends_with('\\') && (continues || line.starts_with("$ "));
        }
    }
    steps
}

/// Whether a text is what was told, `…` in it standing for anything.
fn is_as_told(told: &str, text: &str) -> bool {
    let mut parts = told.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (told.contains('…') && text.ends_with(last))
}

#[tokio::test]
async fn the_tour_of_the_readme_prints_what_it_says() {
    const END: &str = "--- end of a step ---";
    let app = TestApp::builder().set("SUBTLE_RATE_LIMIT", "on").start().await;
    let steps = tour();
    assert!(steps.len() >= 15, "{steps:#?}");
    let subtle = env!("CARGO_BIN_EXE_subtle-under-test");
    let mut script = String::new();
    for step in &steps {
        let command = step
            .command
            .replace("http://127.0.0.1:8080", &app.url_of(0, ""))
            .replace(".subtle/mail", &app.mail_dir().to_string_lossy())
            .replace("cargo run -q --", &format!("{subtle} --rate-limit on"));
        script.extend([command.as_str(), "echo; echo '", END, "'\n"]);
    }
    let folder = format!("{}/tour-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::create_dir_all(&folder).unwrap();
    let mut shell = Command::new("bash")
        .current_dir(&folder)
        .env("DATABASE_URL", app.database_url())
        .env("SUBTLE_SECRET", TestApp::SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    let output = shell.wait_with_output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    for (step, printed) in steps.iter().zip(output.split(END)) {
        let (told, printed) = (step.output.trim(), printed.trim());
        assert!(
            is_as_told(told, printed),
            "{}\nis said to print\n{told}\nand prints\n{printed}",
            step.command
        );
    }
    assert_eq!(output.matches(END).count(), steps.len());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_differs_from_what_is_told_is_noticed() {
    assert!(is_as_told("a…c", "abc"));
    assert!(is_as_told("a…c…", "abcd"));
    assert!(is_as_told("", ""));
    assert!(!is_as_told("a…c", "abd"));
    assert!(!is_as_told("a…c", "abcd"));
    assert!(!is_as_told("abc", "abcd"));
    assert!(!is_as_told("", "x"));
}
