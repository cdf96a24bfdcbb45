//! All that came of a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::growth::Growth;
use crate::row::Row;
use crate::stage::{Stage, Wanted};
use crate::table::{notes, table};
use crate::trouble::{Outcome, Trouble};

/// Lines as they come, and what is to be known beside them.
#[derive(Default)]
pub(crate) struct Report {
    /// What the lines were measured on; with growth alone, the last of its sizes.
    wanted: Option<Wanted>,
    postgres: BTreeMap<String, String>,
    rows: Vec<Row>,
    disagreements: Vec<String>,
    growth: Option<Growth>,
}

impl Report {
    /// Notes what is measured on.
    pub(crate) fn describe(&mut self, stage: &Stage) -> Outcome {
        self.wanted.get_or_insert_with(|| stage.wanted.clone());
        self.postgres = stage.database.settings()?;
        Ok(())
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn disagreements(&mut self, lines: Vec<String>) {
        self.disagreements.extend(lines);
    }

    pub(crate) fn growth(&mut self, growth: Growth) {
        self.disagreements.extend(growth.disagreements.iter().cloned());
        self.growth = Some(growth);
    }

    /// Prints it, and writes it where that was asked for.
    pub(crate) fn tell(&self, arguments: &Arguments) -> Outcome {
        if !self.rows.is_empty() {
            println!("\n{}\n{}", table(&self.rows), notes(&self.rows));
        }
        if let Some(growth) = &self.growth {
            println!("\n{}\ndrawn in {}\n", growth.table(), arguments.chart().display());
        }
        print!("{}", self.circumstances());
        for line in &self.disagreements {
            println!("NOT AS THE SERVICE WOULD HAVE WRITTEN IT: {line}");
        }
        let Some(path) = arguments.json() else { return Ok(()) };
        std::fs::write(&path, format!("{:#}\n", self.json()))
            .map_err(Trouble::when(format_args!("write {}", path.display())))
    }

    fn circumstances(&self) -> String {
        let Some(wanted) = &self.wanted else { return String::new() };
        let of_rows = if self.rows.is_empty() {
            String::new()
        } else {
            format!(
                "{} people, {} rows of activity and as many of usage; ",
                wanted.size.users, wanted.size.rows
            )
        };
        let settings: Vec<_> = self.postgres.iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!(
            "{of_rows}{} cores; connection_limit {}; bcrypt at cost {}\nPostgreSQL: {}\n",
            cores(),
            wanted.pool,
            wanted.cost,
            settings.join(", ")
        )
    }

    fn json(&self) -> Value {
        let wanted = self.wanted.as_ref();
        json!({
            "users": wanted.map(|wanted| wanted.size.users),
            "rows": wanted.map(|wanted| wanted.size.rows),
            "cores": cores(),
            "connectionLimit": wanted.map(|wanted| wanted.pool),
            "bcryptCost": wanted.map(|wanted| wanted.cost),
            "postgres": self.postgres,
            "paths": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "growth": self.growth.as_ref().map(Growth::json),
            "disagreements": self.disagreements,
        })
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
