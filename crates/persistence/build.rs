//! Puts the migrations into the binary: a list of their names and scripts, as `diesel_migrations::embed_migrations!` does, but with
//! the scripts in reach, so that they can be run statement by statement, and built again whenever a file of theirs changes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    // The manifest's folder comes from Cargo at run time: compiled in, it would be wrong in a checkout that has moved.
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let folder = Path::new(&manifest).join("../../migrations").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut scripts = String::from("&[\n");
    for migration in folders(&folder)? {
        let name =
            migration.file_name().and_then(|name| name.to_str()).ok_or("a migration's name is not UTF-8")?;
        let version = name.split('_').next().unwrap_or_default();
        if version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{name}: a migration's name begins with digits and `_`").into());
        }
        let [up, down] = ["up.sql", "down.sql"].map(|script| migration.join(script).display().to_string());
        let in_transaction = !fs::read_to_string(migration.join("metadata.toml"))
            .is_ok_and(|metadata| metadata.replace(' ', "").contains("run_in_transaction=false"));
        writeln!(
            scripts,
            "Script {{ name: {name:?}, up: include_str!({up:?}), down: include_str!({down:?}), \
             in_transaction: {in_transaction} }},"
        )?;
    }
    scripts.push(']');
    fs::write(Path::new(&variable("OUT_DIR")?).join("migrations.rs"), scripts)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is how Cargo talks to build scripts")]
fn variable(name: &str) -> Result<String, env::VarError> {
    env::var(name)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let entries = fs::read_dir(of)?.map(|entry| entry.map(|entry| entry.path()));
    let mut folders: Vec<PathBuf> = entries.collect::<Result<_, _>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}
