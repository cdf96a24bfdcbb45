//! What backups and restores ask of the server beside `pg_dump`: figures that tell whether two databases hold the same, and databases
//! that take each other's place.

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use tokio::time::interval;

use crate::error::store_error;
use crate::options::PoolOptions;
use crate::pool::Connector;

/// Figures of a database by name: equal for a database and a copy of it.
pub type Figures = BTreeMap<String, String>;

/// All that follows is of one moment, however long it is looked at.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What takes its time may take it, whatever is set for the requests of a service.
const NO_LIMITS: &str = "
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET default_transaction_read_only = off;
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('transaction_timeout', 'idle_session_timeout')";

const TABLES: &str = "
    SELECT c.oid::regclass::text AS text FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace ORDER BY 1";

const MIGRATIONS: &str = "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version";

/// To whom something is granted.
const ROLES: &str = "
    SELECT DISTINCT r.rolname::text AS text FROM (
        SELECT relacl AS acl FROM pg_class WHERE relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
        UNION ALL SELECT a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace
        UNION ALL SELECT nspacl FROM pg_namespace WHERE nspname = current_schema()
    ) AS granted, aclexplode(acl) AS item JOIN pg_roles r ON r.oid = item.grantee ORDER BY 1";

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
        ARRAY(SELECT id FROM users WHERE deleted_at IS NOT NULL) AS erased,
        ARRAY(SELECT concat_ws(' ', id, user_id) FROM sessions WHERE created_at > $1) AS begun";

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

/// Whose access tokens are still good is known by the rows of ended sessions: so there must be some.
const END_BEGUN: &str = "
    INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at, revoked_at, revoked_reason)
    SELECT split_part(begun, ' ', 1), u.id, 'ended by a restore: ' || split_part(begun, ' ', 1),
        $2, $2 + interval '1 day', $2, 'admin'
    FROM unnest($1) AS begun JOIN users u ON u.id = split_part(begun, ' ', 2)
    ON CONFLICT DO NOTHING
    RETURNING id AS text";

const SETTINGS: &str = "
    SELECT split_part(setting, '=', 1) AS name, substr(setting, strpos(setting, '=') + 1) AS value
    FROM pg_database d JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0,
        unnest(s.setconfig) AS setting
    WHERE d.datname = $1";

const KEPT: &str = "
    SELECT datname::text AS text FROM pg_database
    WHERE left(datname, length($1)) = $1 AND substr(datname, length($1) + 1) ~ '^[0-9TZ_]+$' ORDER BY 1";

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
    /// Sessions that began since the backup, each with its account: their access tokens live on for a while.
    #[diesel(sql_type = Array<Text>)]
    begun: Vec<String>,
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

impl TakenAgain {
    /// And more.
    pub fn add(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.disabled.extend(more.disabled);
        self.erased.extend(more.erased);
    }
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
    /// To whom something is granted.
    pub roles: Vec<String>,
}

impl Snapshot {
    /// The present moment of a database.
    pub async fn take(options: &PoolOptions) -> Result<Self, StoreError> {
        let mut connection = connect(options).await?;
        run(&mut connection, BEGIN).await?;
        let id = word(&mut connection, "SELECT pg_export_snapshot() AS text").await?;
        let server = word(&mut connection, "SELECT current_setting('server_version') AS text").await?;
        let migrations = words(&mut connection, MIGRATIONS).await?;
        let roles = words(&mut connection, ROLES).await?;
        let mut figures = Figures::new();
        for table in words(&mut connection, TABLES).await? {
            let count = format!("SELECT count(*) AS number FROM {table}");
            figures.insert(format!("rows of {table}"), number(&mut connection, &count).await?.to_string());
        }
        let sums: Vec<Named> = sql_query(SUMS).load(&mut connection).await.map_err(store_error)?;
        figures.extend(sums.into_iter().map(|sum| (sum.name, sum.value)));
        Ok(Self { connection, id, figures, migrations, server, roles })
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

/// What was taken away in a database so far, and which sessions began there since a backup.
pub async fn taken_away(options: &PoolOptions, since: Timestamp) -> Result<TakenAway, StoreError> {
    let mut connection = connect(options).await?;
    let query = sql_query(TAKEN_AWAY).bind::<Timestamptz, _>(since);
    query.get_result(&mut connection).await.map_err(store_error)
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
    each(END_BEGUN, &taken.begun).await?;
    Ok(TakenAgain {
        keys: each(REVOKE_KEYS, &taken.keys).await?,
        disabled: each(DISABLE, &taken.disabled).await?,
        erased: each(DISABLE, &taken.erased).await?,
    })
}

/// Ends all sessions of a database, and voids what begins one; tells how many sessions that were.
pub async fn shut(options: &PoolOptions, now: Timestamp) -> Result<i64, StoreError> {
    let mut connection = connect(options).await?;
    let ended: Count =
        sql_query(SHUT).bind::<Timestamptz, _>(now).get_result(&mut connection).await.map_err(store_error)?;
    Ok(ended.number)
}

/// Where work on databases is done from.
const MAINTENANCE: &str = "postgres";

/// What a database is like, as it is said of a new one.
const LIKE: &str = "
    SELECT format('OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L', pg_get_userbyid(datdba),
            pg_encoding_to_char(encoding), datcollate, datctype)
        || CASE WHEN to_jsonb(d) ->> 'datlocprovider' = 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L',
            coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) ELSE '' END
        || format(' CONNECTION LIMIT %s', datconnlimit) AS text
    FROM pg_database d WHERE datname = $1";

/// Who may connect, where that was ever said.
const MAY_CONNECT: &str = "
    SELECT 'REVOKE ALL ON DATABASE ' || $2 || ' FROM PUBLIC' AS text FROM pg_database
        WHERE datname = $1 AND datacl IS NOT NULL
    UNION ALL SELECT format('GRANT %s ON DATABASE %s TO %s', item.privilege_type, $2,
            CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END)
        FROM pg_database, aclexplode(datacl) AS item WHERE datname = $1";

/// Whom whoever asks may send away: others of the same role or of one that it may act as, and with `pg_signal_backend` all but superusers.
const SEND_AWAY: &str = "
    SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid, pg_roles own
    WHERE a.datname = $1 AND a.backend_type = 'client backend' AND own.rolname = current_user
        AND (own.rolsuper OR pg_has_role(r.oid, 'USAGE')
            OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT r.rolsuper))";

const STAYERS: &str = "
    SELECT DISTINCT coalesce(r.rolname, 'a role that is not shown')::text AS text
    FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid, pg_roles own
    WHERE a.datname = $1 AND coalesce(a.backend_type, 'client backend') = 'client backend' AND own.rolname = current_user
        AND NOT (own.rolsuper OR coalesce(pg_has_role(r.oid, 'USAGE'), false)
            OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT coalesce(r.rolsuper, true)))";

const OTHER_OWNER: &str = "
    SELECT pg_get_userbyid(datdba)::text AS text FROM pg_database
    WHERE datname = $1 AND pg_get_userbyid(datdba) <> current_user";

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
        // One that isn't renamed while somebody is in it.
        let connection = connect(&options.of_database(MAINTENANCE)).await?;
        Ok(Self { options: options.clone(), name, connection })
    }

    /// The options that lead to a sibling.
    #[must_use]
    pub fn options(&self, sibling: &str) -> PoolOptions {
        self.options.of_database(sibling)
    }

    /// The name of a sibling: of a long name the beginning, for PostgreSQL would cut off the end.
    #[must_use]
    pub fn named(&self, word: &str) -> String {
        const ROOM: usize = 26;
        let fits = |end: &usize| self.name.is_char_boundary(*end);
        let end = (0..=ROOM.min(self.name.len())).rev().find(fits).unwrap_or(0);
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

    /// Makes an empty sibling with all that a dump doesn't carry: owner, language, settings, and who may connect; times are UTC there in
    /// any case. Tells which settings could not be copied.
    pub async fn create(&mut self, sibling: &str) -> Result<Vec<String>, StoreError> {
        let new = quoted(sibling);
        let like = sql_query(LIKE).bind::<Text, _>(&self.name).load::<Word>(&mut self.connection);
        let like = like.await.map_err(store_error)?.pop().map(|like| like.text).unwrap_or_default();
        run(&mut self.connection, &format!("CREATE DATABASE {new} TEMPLATE template0 {like}")).await?;
        let mut lost = Vec::new();
        for Named { name, value } in self.settings().await? {
            // These hold names in quotes of their own.
            let is_list = ["search_path", "temp_tablespaces", "session_preload_libraries"].contains(&&*name);
            let value = if is_list { value } else { literal(&value) };
            let set = format!("ALTER DATABASE {new} SET {} TO {value}", quoted(&name));
            if run(&mut self.connection, &set).await.is_err() {
                lost.push(name);
            }
        }
        run(&mut self.connection, &format!("ALTER DATABASE {new} SET timezone = 'UTC'")).await?;
        let grants = sql_query(MAY_CONNECT).bind::<Text, _>(&self.name).bind::<Text, _>(&new);
        let grants: Vec<Word> = grants.load(&mut self.connection).await.map_err(store_error)?;
        for grant in grants {
            run(&mut self.connection, &grant.text).await?;
        }
        Ok(lost)
    }

    /// Makes the role that policies name, as a dump doesn't.
    pub async fn ensure_role(&mut self) -> Result<(), StoreError> {
        run(&mut self.connection, ENSURE_ROLE).await
    }

    /// Which of these roles there are not.
    pub async fn missing(&mut self, roles: &[String]) -> Result<Vec<String>, StoreError> {
        let query = sql_query(
            "SELECT role AS text FROM unnest($1) AS role WHERE to_regrole(quote_ident(role)) IS NULL",
        );
        let query = query.bind::<Array<Text>, _>(roles);
        let rows: Vec<Word> = query.load(&mut self.connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// Who is connected to the database and can't be sent away by us.
    pub async fn stayers(&mut self) -> Result<Vec<String>, StoreError> {
        let query = sql_query(STAYERS).bind::<Text, _>(&self.name);
        let rows: Vec<Word> = query.load(&mut self.connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// The role that owns the database, if that is not who asks.
    pub async fn other_owner(&mut self) -> Result<Option<String>, StoreError> {
        let query = sql_query(OTHER_OWNER).bind::<Text, _>(&self.name);
        let rows: Vec<Word> = query.load(&mut self.connection).await.map_err(store_error)?;
        Ok(rows.into_iter().next().map(|row| row.text))
    }

    async fn settings(&mut self) -> Result<Vec<Named>, StoreError> {
        sql_query(SETTINGS).bind::<Text, _>(&self.name).load(&mut self.connection).await.map_err(store_error)
    }

    /// Drops a sibling, whoever is in it.
    pub async fn drop(&mut self, sibling: &str) -> Result<(), StoreError> {
        run(&mut self.connection, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(sibling))).await
    }

    /// Lets a sibling take the database's place, which goes on under the name `kept`. Both happens or nothing, also if this is killed.
    ///
    /// Renaming locks the database, so that whoever wants to connect waits, and then waits itself until all who are connected have left: they
    /// are sent away by another connection meanwhile.
    pub async fn swap(&mut self, sibling: &str, kept: &str) -> Result<(), StoreError> {
        let (new, old, live) = (quoted(sibling), quoted(kept), quoted(&self.name));
        if !self.is_there().await? {
            return run(&mut self.connection, &format!("ALTER DATABASE {new} RENAME TO {live}")).await;
        }
        let mut other = connect(&self.options.of_database(MAINTENANCE)).await?;
        let name = self.name.clone();
        let both = format!(
            "BEGIN; ALTER DATABASE {live} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {live}; COMMIT"
        );
        let send_away = async {
            let mut ticks = interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                let query = sql_query(SEND_AWAY).bind::<Text, _>(&name);
                if let Err(error) = query.execute(&mut other).await {
                    return store_error(error);
                }
            }
        };
        let renamed = tokio::select! {
            renamed = run(&mut self.connection, &both) => renamed,
            failed = send_away => Err(failed),
        };
        if renamed.is_err() {
            // A new connection: the other one may be in the middle of it, and undoes it with its end.
            self.connection = connect(&self.options.of_database(MAINTENANCE)).await?;
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
    let mut connection = connected.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    run(&mut connection, NO_LIMITS).await?;
    Ok(connection)
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

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
