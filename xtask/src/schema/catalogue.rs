//! The tables of a database, as its catalogue tells them.

use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::psql;

const SCRIPT: &str = include_str!("catalogue.sql");

/// The tables by name, and what Diesel can join.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) tables: Vec<Table>,
    pub(super) joins: Vec<Join>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// PostgreSQL's own name: `int4`, `_text` for `text[]`.
    pub(super) kind: String,
    pub(super) nullable: bool,
    pub(super) max_length: Option<u32>,
    /// Its place in the primary key, if it has one.
    pub(super) key: Option<u32>,
}

/// A foreign key.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) child: String,
    pub(super) column: String,
    pub(super) parent: String,
}

pub(super) fn read(psql: Command) -> Outcome<Catalogue> {
    let mut catalogue = Catalogue::default();
    for row in psql::rows(psql, &[], SCRIPT)? {
        catalogue.take(row).map_err(|row| Failure::new(format!("psql: an odd row: {}", row.join("|"))))?;
    }
    Ok(catalogue)
}

impl Catalogue {
    /// Takes a row in, or gives it back.
    fn take(&mut self, row: Vec<String>) -> Result<(), Vec<String>> {
        match row.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["column", table, name, kind, nullable, max_length, key] => {
                let column = Column {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    nullable: nullable == "t",
                    max_length: max_length.parse().ok(),
                    key: key.parse().ok(),
                };
                match self.tables.last_mut() {
                    Some(last) if last.name == table => last.columns.push(column),
                    _ => self.tables.push(Table { name: table.to_owned(), columns: vec![column] }),
                }
            }
            ["join", child, column, parent] => {
                let [child, column, parent] = [child, column, parent].map(str::to_owned);
                self.joins.push(Join { child, column, parent });
            }
            _ => return Err(row),
        }
        Ok(())
    }
}

impl Table {
    /// The columns of the primary key, in its order.
    pub(super) fn key(&self) -> Vec<&Column> {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key.is_some()).collect();
        key.sort_by_key(|column| column.key);
        key
    }
}
