//! `cargo xtask db seed`: the seed document's development data. Never part of a migration.

use super::url::DatabaseUrl;
use crate::failure::{Failure, Outcome};
use crate::psql;
use crate::table::table;

const SCRIPT: &str = include_str!("seed.sql");
/// Of all accounts, as in the document; and the cost of its hashes.
const PASSWORD: &str = "admin123";
const COST: u32 = 10;
/// What the script says of a new account.
const ADDED: &str = "added";
const HEADINGS: [&str; 9] =
    ["account", "role", "tier", "", "usage rows", "requests", "tokens", "cost", "features"];

/// Adds what is not there to a migrated database, and tells what there is.
pub(crate) fn seed(url: &DatabaseUrl) -> Outcome {
    let hash = bcrypt::hash(PASSWORD, COST).map_err(Failure::when("hash the password"))?;
    let mut psql = psql::command();
    url.name_to(&mut psql, None);
    let rows = psql::rows(psql, &[("hash", &hash)], SCRIPT)?;
    let rows = rows.into_iter().map(<[String; HEADINGS.len()]>::try_from).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|row| Failure::new(format!("psql: an odd row: {}", row.join("|"))))?;
    print!("{}", table(&[&[HEADINGS.map(str::to_owned)], rows.as_slice()].concat()));
    let added = rows.iter().any(|row| row.contains(&ADDED.to_owned()));
    if added {
        println!("the password of those that were added is {PASSWORD}");
    } else {
        println!("nothing was missing; the password was {PASSWORD}");
    }
    Ok(())
}
