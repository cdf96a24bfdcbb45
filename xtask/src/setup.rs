//! `cargo xtask setup`.

use std::process::Command;

use subtle_local_postgres::{Binaries, Error, testing};

use crate::failure::{Failure, Outcome};
use crate::process::{cargo, run, succeeds, typed};
use crate::psql;

/// What this machine can install packages with.
#[derive(Debug, Clone, Copy)]
struct Machine {
    apt: bool,
    brew: bool,
    power: Power,
}

/// How to do what only root may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Root,
    Sudo,
    None,
}

pub(crate) fn setup() -> Outcome {
    let postgres = match Binaries::find() {
        Ok(found) => found,
        Err(Error::NotInstalled) => {
            install_postgres()?;
            Binaries::find()?
        }
        Err(other) => return Err(other.into()),
    };
    println!("PostgreSQL {} is in {}", postgres.version()?, postgres.folder().display());
    try_postgres()?;
    if succeeds(cargo().args(["deny", "--version"])) {
        println!("cargo-deny is installed");
    } else {
        println!(
            "cargo-deny is not installed: `cargo install cargo-deny --locked` does it, but only CI needs it"
        );
    }
    println!(
        "ready: `cargo run` serves, `cargo test --workspace` tests, `cargo xtask dev` serves with some data"
    );
    Ok(())
}

fn install_postgres() -> Outcome {
    println!("PostgreSQL is not installed");
    let commands = Machine::look().installation()?;
    println!("it will be, by:");
    for command in &commands {
        println!("  {}", typed(command));
    }
    commands.into_iter().try_for_each(|mut command| run(&mut command))
}

/// Some distributions pack the extensions apart, and the migrations need one.
fn try_postgres() -> Outcome {
    let database = testing::empty_database();
    let mut psql = psql::command();
    psql.arg("-d").arg(database.url());
    let found = psql::rows(psql, &[], "SELECT name FROM pg_available_extensions WHERE name = 'pg_trgm';")?;
    if found.is_empty() {
        let advice = "PostgreSQL lacks the extension pg_trgm: install its contrib package (often called postgresql-contrib)";
        return Err(Failure::new(advice));
    }
    println!("it starts, and has the extension that the migrations need");
    Ok(())
}

impl Machine {
    fn look() -> Self {
        let has = |program: &str| succeeds(Command::new(program).arg("--version"));
        let id = Command::new("id").arg("-u").output();
        let power = match id {
            Ok(output) if output.stdout.trim_ascii() == b"0" => Power::Root,
            _ if has("sudo") => Power::Sudo,
            _ => Power::None,
        };
        Self { apt: has("apt-get"), brew: has("brew"), power }
    }

    /// The commands that install PostgreSQL: the server, its contributed extensions, the client.
    fn installation(self) -> Outcome<Vec<Command>> {
        match (self, self.power) {
            // Brew refuses root.
            (Self { brew: true, .. }, Power::Sudo | Power::None) => {
                Ok(vec![command(&["brew", "install", "postgresql@17"])])
            }
            (Self { apt: true, .. }, Power::Root) => Ok(apt(&["env"])),
            (Self { apt: true, .. }, Power::Sudo) => Ok(apt(&["sudo", "env"])),
            (Self { apt: true, .. }, Power::None) => {
                Err(Failure::new("there is no sudo here: run `apt-get install postgresql` as root"))
            }
            _ => Err(Failure::new(
                "there is neither apt-get nor brew here: install PostgreSQL 13 or newer (server, contrib and client) \
                 with the system's own packages, and set PG_BINDIR to the folder of `postgres` if it is not found then",
            )),
        }
    }
}

/// `postgresql` brings contrib and client along.
fn apt(as_root: &[&str]) -> Vec<Command> {
    let quietly =
        |words: &[&str]| command(&[as_root, &["DEBIAN_FRONTEND=noninteractive", "apt-get"], words].concat());
    vec![quietly(&["update"]), quietly(&["install", "--yes", "postgresql"])]
}

fn command(words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Machine = Machine { apt: false, brew: false, power: Power::None };

    fn plan(machine: Machine) -> Result<Vec<String>, String> {
        let commands = machine.installation().map_err(|failure| failure.to_string())?;
        Ok(commands.iter().map(typed).collect())
    }

    #[test]
    fn root_needs_no_sudo() {
        let root = Machine { apt: true, power: Power::Root, ..BARE };
        assert_eq!(
            plan(root).unwrap(),
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install --yes postgresql"
            ]
        );
        let user = Machine { power: Power::Sudo, ..root };
        assert!(plan(user).unwrap().iter().all(|command| command.starts_with("sudo env ")));
    }

    #[test]
    fn brew_is_for_users() {
        let user = Machine { brew: true, ..BARE };
        assert_eq!(plan(user).unwrap(), ["brew install postgresql@17"]);
        assert!(plan(Machine { power: Power::Root, ..user }).is_err());
    }

    #[test]
    fn elsewhere_there_is_advice() {
        assert!(plan(BARE).unwrap_err().contains("PG_BINDIR"));
        assert!(plan(Machine { apt: true, ..BARE }).unwrap_err().contains("as root"));
    }
}
