//! All that came of a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::row::Row;
use crate::stage::{Stage, Wanted};
use crate::table::{notes, table};
use crate::trouble::{Outcome, Trouble};

/// Lines as they come, and what is to be known beside them.
pub(crate) struct Report {
    wanted: Wanted,
    postgres: BTreeMap<String, String>,
    rows: Vec<Row>,
    disagreements: Vec<String>,
}

impl Report {
    pub(crate) fn begin(stage: &Stage) -> Outcome<Self> {
        let postgres = stage.database.settings()?;
        Ok(Self { wanted: stage.wanted.clone(), postgres, rows: Vec::new(), disagreements: Vec::new() })
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn disagreements(&mut self, lines: Vec<String>) {
        self.disagreements = lines;
    }

    /// Prints it, and writes it where that was asked for.
    pub(crate) fn tell(&self, arguments: &Arguments) -> Outcome {
        let cores = cores();
        let size = self.wanted.size;
        println!("\n{}", table(&self.rows));
        print!("{}", notes(&self.rows));
        println!("{} people, {} rows of activity and as many of usage; {cores} cores; connection_limit {}; bcrypt at cost {}",
            size.users, size.rows, self.wanted.pool, self.wanted.cost);
        let settings: Vec<_> = self.postgres.iter().map(|(name, value)| format!("{name} {value}")).collect();
        println!("PostgreSQL: {}", settings.join(", "));
        for line in &self.disagreements {
            println!("NOT AS THE SERVICE WOULD HAVE WRITTEN IT: {line}");
        }
        let Some(path) = arguments.json() else { return Ok(()) };
        std::fs::write(&path, format!("{:#}\n", self.json()))
            .map_err(Trouble::when(format_args!("write {}", path.display())))
    }

    fn json(&self) -> Value {
        json!({
            "users": self.wanted.size.users,
            "rows": self.wanted.size.rows,
            "cores": cores(),
            "connectionLimit": self.wanted.pool,
            "bcryptCost": self.wanted.cost,
            "postgres": self.postgres,
            "paths": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "disagreements": self.disagreements,
        })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
