//! What backups and restores ask of the server beside `pg_dump`: figures that tell whether two databases hold the same, and databases
//! that take each other's place.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;

use crate::error::store_error;
use crate::options::PoolOptions;
use crate::pool::Connector;

/// Figures of a database by name: equal for a database and a copy of it.
pub type Figures = BTreeMap<String, String>;

/// All that follows is of one moment, however long it is looked at.
const BEGIN: &str = "
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const TABLES: &str = "
    SELECT c.oid::regclass::text AS text FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = quote_ident(current_schema())::regnamespace ORDER BY 1";

const MIGRATIONS: &str = "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version";

/// What must not be lost or doubled to the last digit. The audit head binds every row of the trail.
const SUMS: &str = "
    SELECT format('ledger, %s %s', status, currency) AS name,
        format('%s records, %s', count(*), sum(amount)) AS value FROM billing_history GROUP BY status, currency
    UNION ALL SELECT 'usage', format('%s requests, %s tokens, cost %s',
        sum(request_count), sum(total_tokens), sum(total_cost)) FROM user_usage_metrics
    UNION ALL SELECT 'usage by day', format('%s requests, %s tokens, cost %s',
        sum(request_count), sum(total_tokens), sum(total_cost)) FROM usage_daily
    UNION ALL SELECT 'audit head', format('seal %s, %s', number, encode(signature, 'hex'))
        FROM (SELECT number, signature FROM audit_seals ORDER BY number DESC LIMIT 1) AS head";

/// Who could come in before a backup does not come in after its restore. Tokens in letters and on their way to an app may have been
/// used since.
const SHUT: &str = "
    WITH ended AS (
        UPDATE sessions SET revoked_at = $1, revoked_reason = 'admin' WHERE revoked_at IS NULL RETURNING 1
    ), letters AS (DELETE FROM one_time_tokens), bridges AS (DELETE FROM bridge_tokens)
    SELECT count(*) AS number FROM ended";

/// What was taken from whom, by identifier, to be taken again.
const TAKEN_AWAY: &str = "
    SELECT ARRAY(SELECT id FROM service_keys WHERE revoked_at IS NOT NULL) AS keys,
        ARRAY(SELECT id FROM users WHERE disabled_at IS NOT NULL AND deleted_at IS NULL) AS disabled,
        ARRAY(SELECT id FROM users WHERE deleted_at IS NOT NULL) AS erased";

const REVOKE_KEYS: &str = "
    UPDATE service_keys SET revoked_at = $2 WHERE id = ANY($1) AND revoked_at IS NULL RETURNING id AS text";

const DISABLE: &str = "
    UPDATE users SET disabled_at = $2 WHERE id = ANY($1) AND disabled_at IS NULL AND deleted_at IS NULL
    RETURNING id AS text";

const ENSURE_ROLE: &str = "
    DO $$
    BEGIN
        IF to_regrole('subtle_user') IS NULL THEN
            CREATE ROLE subtle_user NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    $$";

const SETTINGS: &str = "
    SELECT split_part(setting, '=', 1) AS name, substr(setting, strpos(setting, '=') + 1) AS value
    FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0,
        unnest(s.setconfig) AS setting
    WHERE d.datname = $1";

const KEPT: &str = "
    SELECT datname::text AS text FROM pg_database
    WHERE left(datname, length($1)) = $1 AND substr(datname, length($1) + 1) ~ '^[0-9TZ]+$' ORDER BY 1";

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    text: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// What was taken away in a database: what comes back by an older backup is taken away again.
#[derive(Debug, Clone, Default, PartialEq, Eq, QueryableByName)]
pub struct TakenAway {
    #[diesel(sql_type = Array<Text>)]
    keys: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    disabled: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    erased: Vec<String>,
}

/// What was taken away again, by identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenAgain {
    /// Service keys that were revoked since the backup.
    pub keys: Vec<String>,
    /// Accounts that were disabled since.
    pub disabled: Vec<String>,
    /// Accounts that were erased since: they are disabled, and want to be erased again.
    pub erased: Vec<String>,
}

/// A moment of a database, for as long as this lives.
pub struct Snapshot {
    connection: AsyncPgConnection,
    /// What `pg_dump --snapshot` takes.
    pub id: String,
    /// The figures of that moment.
    pub figures: Figures,
    /// The versions of the migrations that are applied.
    pub migrations: Vec<String>,
    /// The version of the server.
    pub server: String,
}

impl Snapshot {
    /// The present moment of a database.
    pub async fn take(options: &PoolOptions) -> Result<Self, StoreError> {
        let mut connection = connect(options).await?;
        run(&mut connection, BEGIN).await?;
        let id = word(&mut connection, "SELECT pg_export_snapshot() AS text").await?;
        let server = word(&mut connection, "SELECT current_setting('server_version') AS text").await?;
        let migrations = words(&mut connection, MIGRATIONS).await?;
        let mut figures = Figures::new();
        for table in words(&mut connection, TABLES).await? {
            let count = format!("SELECT count(*) AS number FROM {table}");
            figures.insert(format!("rows of {table}"), number(&mut connection, &count).await?.to_string());
        }
        let sums: Vec<Named> = sql_query(SUMS).load(&mut connection).await.map_err(store_error)?;
        figures.extend(sums.into_iter().map(|sum| (sum.name, sum.value)));
        Ok(Self { connection, id, figures, migrations, server })
    }

    /// How many tables there are.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.figures.keys().filter(|name| name.starts_with("rows of ")).count()
    }

    /// Lets go of the moment.
    pub async fn close(mut self) -> Result<(), StoreError> {
        run(&mut self.connection, "ROLLBACK").await
    }
}

/// How many accounts a database holds; `None` where there is no such database, or none of ours.
pub async fn accounts(options: &PoolOptions) -> Result<Option<i64>, StoreError> {
    let mut connection = connect(options).await?;
    let ours = "SELECT count(*) AS number FROM pg_class WHERE oid = to_regclass('users')";
    if number(&mut connection, ours).await? == 0 {
        return Ok(None);
    }
    number(&mut connection, "SELECT count(*) AS number FROM users").await.map(Some)
}

/// What was taken away in a database so far.
pub async fn taken_away(options: &PoolOptions) -> Result<TakenAway, StoreError> {
    let mut connection = connect(options).await?;
    sql_query(TAKEN_AWAY).get_result(&mut connection).await.map_err(store_error)
}

/// Takes it away in another database, where it is still there.
pub async fn take_again(
    options: &PoolOptions,
    taken: &TakenAway,
    now: Timestamp,
) -> Result<TakenAgain, StoreError> {
    let mut connection = connect(options).await?;
    let mut each = async |sql: &str, ids: &Vec<String>| -> Result<Vec<String>, StoreError> {
        let query = sql_query(sql).bind::<Array<Text>, _>(ids).bind::<Timestamptz, _>(now);
        let rows: Vec<Word> = query.load(&mut connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    };
    Ok(TakenAgain {
        keys: each(REVOKE_KEYS, &taken.keys).await?,
        disabled: each(DISABLE, &taken.disabled).await?,
        erased: each(DISABLE, &taken.erased).await?,
    })
}

/// Ends all sessions of a database, and voids what begins one; tells how many sessions that were.
pub async fn shut(options: &PoolOptions, now: Timestamp) -> Result<i64, StoreError> {
    let mut connection = connect(options).await?;
    run(&mut connection, "SET statement_timeout = 0").await?;
    let ended: Count =
        sql_query(SHUT).bind::<Timestamptz, _>(now).get_result(&mut connection).await.map_err(store_error)?;
    Ok(ended.number)
}

/// A database and those beside it on its server, which carry its name and a word more.
pub struct Siblings {
    options: PoolOptions,
    name: String,
    connection: AsyncPgConnection,
}

impl Siblings {
    /// Those of a database, which need not be there itself.
    pub async fn of(options: &PoolOptions) -> Result<Self, StoreError> {
        let name = options.database().to_owned();
        let mut last = Err(StoreError::Corrupt { table: "pg_database", column: "datname" });
        // One that isn't renamed while somebody is in it.
        for maintenance in ["postgres", "template1"].into_iter().filter(|other| *other != name) {
            last = connect(&options.of_database(maintenance)).await;
            if last.is_ok() {
                break;
            }
        }
        let mut connection = last?;
        run(&mut connection, "SET statement_timeout = 0; SET lock_timeout = 0").await?;
        Ok(Self { options: options.clone(), name, connection })
    }

    /// The options that lead to a sibling.
    #[must_use]
    pub fn options(&self, sibling: &str) -> PoolOptions {
        self.options.of_database(sibling)
    }

    /// The name of a sibling. PostgreSQL would cut a longer one short.
    #[must_use]
    pub fn named(&self, word: &str) -> String {
        const LONGEST: usize = 63;
        let room = LONGEST.saturating_sub(word.len() + 1);
        let fits = |end: &usize| self.name.is_char_boundary(*end);
        let end = (0..=room.min(self.name.len())).rev().find(fits).unwrap_or(0);
        format!("{}_{word}", self.name.get(..end).unwrap_or_default())
    }

    /// Whether the database itself is there.
    pub async fn is_there(&mut self) -> Result<bool, StoreError> {
        let query = "SELECT count(*) AS number FROM pg_database WHERE datname = $1";
        let found: Count = sql_query(query)
            .bind::<Text, _>(&self.name)
            .get_result(&mut self.connection)
            .await
            .map_err(store_error)?;
        Ok(found.number > 0)
    }

    /// Makes an empty sibling with the database's own settings, as a dump doesn't carry them; times are UTC there in any case. A dump
    /// names the role of policies, too, but does not make it.
    pub async fn create(&mut self, sibling: &str) -> Result<(), StoreError> {
        run(&mut self.connection, ENSURE_ROLE).await?;
        let (new, settings) = (quoted(sibling), self.settings().await?);
        run(&mut self.connection, &format!("CREATE DATABASE {new} TEMPLATE template0")).await?;
        run(&mut self.connection, &format!("ALTER DATABASE {new} SET timezone = 'UTC'")).await?;
        for Named { name, value } in settings {
            let set = sql_query("SELECT set_config($1, $2, false) AS text");
            let set = set.bind::<Text, _>(&name).bind::<Text, _>(&value);
            set.get_result::<Word>(&mut self.connection).await.map_err(store_error)?;
            let name = quoted(&name);
            run(&mut self.connection, &format!("ALTER DATABASE {new} SET {name} FROM CURRENT")).await?;
        }
        Ok(())
    }

    async fn settings(&mut self) -> Result<Vec<Named>, StoreError> {
        sql_query(SETTINGS).bind::<Text, _>(&self.name).load(&mut self.connection).await.map_err(store_error)
    }

    /// Drops a sibling, whoever is in it.
    pub async fn drop(&mut self, sibling: &str) -> Result<(), StoreError> {
        run(&mut self.connection, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(sibling))).await
    }

    /// Lets a sibling take the database's place, which goes on under the name `kept`. Whoever is connected has to come again, which
    /// nobody can in between. Both happens or nothing.
    pub async fn swap(&mut self, sibling: &str, kept: &str) -> Result<(), StoreError> {
        let (new, old, live) = (quoted(sibling), quoted(kept), quoted(&self.name));
        let there = self.is_there().await?;
        if !there {
            return run(&mut self.connection, &format!("ALTER DATABASE {new} RENAME TO {live}")).await;
        }
        run(&mut self.connection, &format!("ALTER DATABASE {live} ALLOW_CONNECTIONS false")).await?;
        let swapped = self.rename(&new, &live, &old).await;
        let shut = if swapped.is_ok() { &old } else { &live };
        let opened =
            run(&mut self.connection, &format!("ALTER DATABASE {shut} ALLOW_CONNECTIONS true")).await;
        swapped.and(opened)
    }

    async fn rename(&mut self, new: &str, live: &str, old: &str) -> Result<(), StoreError> {
        let leave = sql_query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1");
        leave.bind::<Text, _>(&self.name).execute(&mut self.connection).await.map_err(store_error)?;
        let both = format!(
            "BEGIN; ALTER DATABASE {live} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {live}; COMMIT"
        );
        let renamed = run(&mut self.connection, &both).await;
        if renamed.is_err() {
            run(&mut self.connection, "ROLLBACK").await?;
        }
        renamed
    }

    /// The siblings whose name is this word and a time.
    pub async fn kept(&mut self, word: &str) -> Result<Vec<String>, StoreError> {
        let beginning = self.named(word);
        let rows: Vec<Word> = sql_query(KEPT)
            .bind::<Text, _>(&beginning)
            .load(&mut self.connection)
            .await
            .map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }
}

async fn connect(options: &PoolOptions) -> Result<AsyncPgConnection, StoreError> {
    let connected = Connector::new(options.clone()).connect().await;
    connected.map_err(|error| StoreError::Unavailable(Box::new(error)))
}

async fn run(connection: &mut AsyncPgConnection, sql: &str) -> Result<(), StoreError> {
    connection.batch_execute(sql).await.map_err(store_error)
}

async fn words(connection: &mut AsyncPgConnection, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Word> = sql_query(sql).load(connection).await.map_err(store_error)?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

async fn word(connection: &mut AsyncPgConnection, sql: &str) -> Result<String, StoreError> {
    Ok(sql_query(sql).get_result::<Word>(connection).await.map_err(store_error)?.text)
}

async fn number(connection: &mut AsyncPgConnection, sql: &str) -> Result<i64, StoreError> {
    Ok(sql_query(sql).get_result::<Count>(connection).await.map_err(store_error)?.number)
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
