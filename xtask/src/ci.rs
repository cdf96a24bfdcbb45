//! `cargo xtask ci`.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::process::{cargo, run, succeeds, typed};
use crate::table::table;

/// Something that must succeed.
struct Step {
    name: &'static str,
    /// As one would type it.
    typed: String,
    command: Command,
    /// Why it can't be run here.
    missing: Option<&'static str>,
}

/// How a step went.
enum End {
    Passed(Duration),
    Failed(Duration),
    Skipped(&'static str),
}

/// Runs every step, whatever became of those before: one push, and all that is wrong is known.
pub(crate) fn ci(with_tests: bool) -> Outcome {
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for step in steps(with_tests)? {
        let (name, end) = (step.name, step.run());
        let [word, detail] = match end {
            End::Passed(time) => ["passed".to_owned(), seconds(time)],
            End::Failed(time) => {
                failed.push(name);
                ["FAILED".to_owned(), seconds(time)]
            }
            End::Skipped(reason) => ["skipped".to_owned(), reason.to_owned()],
        };
        rows.push([name.to_owned(), word, detail]);
    }
    print!("\n{}", table(&rows));
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(format!("failed: {}", failed.join(", ")))) }
}

/// What takes a second comes first. The last one asks the service as the tests have built it.
fn steps(with_tests: bool) -> Outcome<Vec<Step>> {
    let mut steps = vec![
        Step::cargo("format", "fmt --all --check"),
        Step {
            missing: (!succeeds(cargo().args(["deny", "--version"])))
                .then_some("cargo-deny is not installed"),
            ..Step::cargo("deny", "deny check bans licenses sources")
        },
        Step::chore("schema", "schema --check")?,
        Step::cargo("clippy", "clippy --workspace --all-targets --all-features -- -D warnings"),
        // As those see it who link it: the workspace turns its features on, and would hide that it needs them.
        Step::cargo("domain", "check --package subtle-domain"),
        Step::docs(),
    ];
    if with_tests {
        steps.push(Step::cargo("tests", "test --workspace"));
        steps.push(Step::chore("torture", "torture --smoke")?);
    }
    steps.push(Step::chore("openapi", "openapi --check --test-build")?);
    Ok(steps)
}

impl Step {
    fn cargo(name: &'static str, line: &str) -> Self {
        let mut command = cargo();
        command.args(line.split_whitespace());
        Self { name, typed: typed(&command), command, missing: None }
    }

    fn chore(name: &'static str, line: &str) -> Outcome<Self> {
        let mut command = Command::new(env::current_exe().map_err(Failure::when("tell where xtask is"))?);
        command.args(line.split_whitespace());
        Ok(Self { name, typed: format!("cargo xtask {line}"), command, missing: None })
    }

    /// For those who work on it: with what is private, and links to that.
    fn docs() -> Self {
        let mut step =
            Self::cargo("docs", "doc --workspace --all-features --no-deps --document-private-items");
        let flags = "-D warnings -A rustdoc::private_intra_doc_links";
        step.command.env("RUSTDOCFLAGS", flags);
        Self { typed: format!("RUSTDOCFLAGS='{flags}' {}", step.typed), ..step }
    }

    fn run(mut self) -> End {
        println!("\n== {}: {}", self.name, self.typed);
        if let Some(reason) = self.missing {
            println!("skipped: {reason}");
            return End::Skipped(reason);
        }
        let begin = Instant::now();
        match run(&mut self.command) {
            Ok(()) => End::Passed(begin.elapsed()),
            Err(failure) => {
                eprintln!("{failure}");
                End::Failed(begin.elapsed())
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:7.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tests_it_is_all_but_the_tests() {
        let names = |with| steps(with).unwrap().into_iter().map(|step| step.name).collect::<Vec<_>>();
        let mut all = names(true);
        all.retain(|name| !["tests", "torture"].contains(name));
        assert_eq!(all, names(false));
        assert_ne!(names(true), all);
    }
}
