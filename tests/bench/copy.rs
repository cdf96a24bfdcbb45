//! COPY of the rows that a batch of usage has, into a table like that of usage.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use crate::fill::NOBODY;
use crate::progress::note;
use crate::reference::client;
use crate::stage::{ROLE, Stage};
use crate::trouble::{Outcome, Trouble};

/// Rows that each transaction has.
const BATCH: u64 = 1_000;

/// Like the service's own, with its rows, indexes and foreign key. What is written there is nobody's usage.
pub(crate) const TABLE: &str = "reference_usage";
const COLUMNS: &str = "id, user_id, request_count, total_tokens, total_cost, feature_type, idempotency_key, created_at, \
                       occurred_at_given";

/// Makes the table, unless it is there.
pub(crate) fn make_table(stage: &Stage) -> Outcome {
    let there = stage
        .database
        .texts(&format!("SELECT to_regclass('{TABLE}')::text WHERE to_regclass('{TABLE}') IS NOT NULL"))?;
    if !there.is_empty() {
        return Ok(());
    }
    note("a table like that of usage, for the references");
    stage.database.run(&format!(
        "CREATE TABLE {TABLE} (LIKE user_usage_metrics INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
         INSERT INTO {TABLE} SELECT * FROM user_usage_metrics;"
    ))?;
    let indexes = "SELECT replace(regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ON', 'INDEX ON'),
        'user_usage_metrics', 'reference_usage') FROM pg_index WHERE indrelid = 'user_usage_metrics'::regclass";
    for index in stage.database.texts(indexes)? {
        stage.database.run(&index)?;
    }
    stage.database.run(&format!(
        "ALTER TABLE {TABLE} ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
         GRANT SELECT, INSERT ON {TABLE} TO {ROLE}"
    ))?;
    stage.database.run(&format!("VACUUM ANALYZE {TABLE}"))
}

/// How the rows are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// A thousand a transaction.
    Batches,
    /// All in one.
    Whole,
}

/// Rows that PostgreSQL takes in a second by COPY: so many batches over so many connections.
pub(crate) fn rate(stage: &Stage, parts: Parts, batches: u64, connections: u64) -> Outcome<f64> {
    note("usage-batch: COPY");
    let epoch = stage.database.number("extract(epoch FROM clock_timestamp()) * 1000")?;
    let now = stage.database.texts("SELECT clock_timestamp()::timestamptz(3)::text")?.concat();
    let scripts = (0..connections).map(|connection| {
        let mine = batches / connections + u64::from(connection < batches % connections);
        write_script(stage, parts, connection, mine, (epoch, &now))
    });
    let scripts = scripts.collect::<Outcome<Vec<_>>>()?;
    stage.database.checkpoint()?;
    let begun = Instant::now();
    let children: Vec<_> = scripts
        .iter()
        .map(|script| {
            let mut command = client(stage, "psql");
            command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"]).arg(script);
            command.arg(stage.url());
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        })
        .collect::<Result<_, _>>()
        .map_err(Trouble::when("run psql"))?;
    for child in children {
        let output = child.wait_with_output().map_err(Trouble::when("wait for psql"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Trouble::new(format!("COPY fails: {said}")));
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    for script in &scripts {
        std::fs::remove_file(script).map_err(Trouble::when("remove the rows for COPY"))?;
    }
    #[expect(clippy::cast_precision_loss, reason = "no run writes 2⁵² rows")]
    let rows = (batches * BATCH) as f64;
    Ok(rows / elapsed)
}

fn write_script(
    stage: &Stage,
    parts: Parts,
    connection: u64,
    batches: u64,
    (epoch, now): (u64, &str),
) -> Outcome<PathBuf> {
    let path = stage.scratch().join(format!("copy{connection}.sql"));
    let copy = format!("COPY {TABLE} ({COLUMNS}) FROM STDIN;\n");
    let users = stage.wanted.size.users;
    let mut text = String::new();
    for batch in 0..batches {
        if batch == 0 || parts == Parts::Batches {
            text.push_str(&copy);
        }
        for row in 0..BATCH {
            // As wide as what the service gives and its callers send; no two alike, in this run of COPY or another.
            let number =
                epoch % 1_000_000_000_000 * 1_000_000 + connection * 10_000_000 + batch * BATCH + row;
            let user = NOBODY + 1 + number % users * 48_271 % users;
            let _infallible = writeln!(
                text,
                "c{number:024}\t{user}\t1\t{}\t0.00003\tchat\tbench-{number:020}\t{now}\tt",
                number % 2_000
            );
        }
        if batch + 1 == batches || parts == Parts::Batches {
            text.push_str("\\.\n");
        }
    }
    let file = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    file.map_err(Trouble::when("write rows for COPY"))?;
    Ok(path)
}
