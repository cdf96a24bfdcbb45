//! A database and those beside it on its server: made, filled by others, swapped, dropped.

use std::pin::pin;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Bool, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::ports::StoreError;
use tokio::time::interval;

use super::{Count, Named, Word, connect, run};
use crate::error::store_error;
use crate::options::PoolOptions;
use crate::prepared::Prepare;

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
/// What kind of process one is of another role is not shown to everybody.
const SEND_AWAY: &str = "
    SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid, pg_roles own
    WHERE a.datname = $1 AND coalesce(a.backend_type, 'client backend') = 'client backend' AND own.rolname = current_user
        AND (own.rolsuper OR pg_has_role(r.oid, 'USAGE')
            OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT r.rolsuper))";

const STAYERS: &str = "
    SELECT DISTINCT coalesce(r.rolname, 'a role that is not shown')::text AS text
    FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid, pg_roles own
    WHERE a.datname = $1 AND coalesce(a.backend_type, 'client backend') = 'client backend' AND own.rolname = current_user
        AND NOT (own.rolsuper OR coalesce(pg_has_role(r.oid, 'USAGE'), false)
            OR (pg_has_role('pg_signal_backend', 'USAGE') AND NOT coalesce(r.rolsuper, true)))";

const CONNECTED: &str = "
    SELECT DISTINCT coalesce(r.rolname, 'a role that is not shown')::text AS text
    FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
    WHERE a.datname = $1 AND coalesce(a.backend_type, 'client backend') = 'client backend' ORDER BY 1";

const OTHER_OWNER: &str = "
    SELECT pg_get_userbyid(datdba)::text AS text FROM pg_database
    WHERE datname = $1 AND pg_get_userbyid(datdba) <> current_user";

const ABILITIES: &str = "
    SELECT current_user::text AS role, rolsuper OR rolcreatedb AS makes_databases,
        rolsuper OR rolcreaterole OR to_regrole('subtle_user') IS NOT NULL AS has_user_role,
        coalesce((SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = $1), true) AS owns
    FROM pg_roles WHERE rolname = current_user";

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

/// What whoever asks may do with a database and beside it.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Abilities {
    /// Who asks.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// Whether they may make databases.
    #[diesel(sql_type = Bool)]
    pub makes_databases: bool,
    /// Whether the role that policies name is there, or they may make it.
    #[diesel(sql_type = Bool)]
    pub has_user_role: bool,
    /// Whether the database is theirs, or is not there yet.
    #[diesel(sql_type = Bool)]
    pub owns: bool,
}

/// Why a database did not take another's place. Both are as they were.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// These roles did not leave it, or came back again and again.
    #[error("it is in use by {}", .0.join(", "))]
    InUse(Vec<String>),
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        // One that isn't renamed while somebody is in it.
        let connection = connect(&options.of_database(MAINTENANCE)).await?;
        Ok(Self { options: options.clone(), name, connection })
    }

    /// The options that lead to a sibling.
    #[must_use]
    pub fn options(&self, sibling: &str) -> PoolOptions {
        self.options.of_database(sibling)
    }

    /// The name of a sibling. PostgreSQL would cut off the end of a longer one than 63 bytes: so of a long name stand the beginning and a
    /// checksum (FNV-1a), which keeps those apart that begin alike.
    #[must_use]
    pub fn named(&self, word: &str) -> String {
        const ROOM: usize = 33;
        const BEGINNING: usize = ROOM - 9;
        if self.name.len() <= ROOM {
            return format!("{}_{word}", self.name);
        }
        let end = (0..=BEGINNING).rev().find(|end| self.name.is_char_boundary(*end)).unwrap_or(0);
        let beginning = self.name.get(..end).unwrap_or_default();
        let mix = |sum: u32, byte: u8| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        format!("{beginning}_{:08x}_{word}", self.name.bytes().fold(0x811c_9dc5, mix))
    }

    /// What whoever asks may do here.
    pub async fn abilities(&mut self) -> Result<Abilities, StoreError> {
        let query = sql_query(ABILITIES).bind::<Text, _>(&self.name);
        query.get_result(&mut self.connection).await.map_err(store_error)
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
        let like = sql_query(LIKE).bind::<Text, _>(&self.name).prepared().load::<Word>(&mut self.connection);
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
        self.words(STAYERS).await
    }

    /// Who is connected to the database, by role.
    pub async fn connected(&mut self) -> Result<Vec<String>, StoreError> {
        self.words(CONNECTED).await
    }

    /// The role that owns the database, if that is not who asks.
    pub async fn other_owner(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.words(OTHER_OWNER).await?.into_iter().next())
    }

    /// What is said of the database itself.
    async fn words(&mut self, query: &str) -> Result<Vec<String>, StoreError> {
        let query = sql_query(query).bind::<Text, _>(&self.name);
        let rows: Vec<Word> = query.load(&mut self.connection).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    async fn settings(&mut self) -> Result<Vec<Named>, StoreError> {
        sql_query(SETTINGS)
            .bind::<Text, _>(&self.name)
            .prepared()
            .load(&mut self.connection)
            .await
            .map_err(store_error)
    }

    /// Drops a sibling, whoever is in it.
    pub async fn drop(&mut self, sibling: &str) -> Result<(), StoreError> {
        run(&mut self.connection, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(sibling))).await
    }

    /// Drops a sibling in which nobody is; tells whether it did.
    pub async fn drop_unused(&mut self, sibling: &str) -> bool {
        run(&mut self.connection, &format!("DROP DATABASE IF EXISTS {}", quoted(sibling))).await.is_ok()
    }

    /// Lets a sibling take the database's place, which goes on under the name `kept`. Both happens or nothing, also if this is killed.
    ///
    /// Renaming locks the database, so that whoever wants to connect waits, and then waits itself until all who are connected have left: they
    /// are sent away by another connection meanwhile.
    pub async fn swap(&mut self, sibling: &str, kept: &str) -> Result<(), SwapError> {
        let (new, old, live) = (quoted(sibling), quoted(kept), quoted(&self.name));
        if !self.is_there().await? {
            let rename = format!("ALTER DATABASE {new} RENAME TO {live}");
            return Ok(run(&mut self.connection, &rename).await?);
        }
        let mut other = connect(&self.options.of_database(MAINTENANCE)).await?;
        let both = format!(
            "BEGIN; ALTER DATABASE {live} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {live}; COMMIT"
        );
        let renamed = {
            let mut renaming = pin!(self.connection.batch_execute(&both));
            let mut ticks = interval(Duration::from_millis(100));
            loop {
                tokio::select! {
                    renamed = &mut renaming => break renamed,
                    _ = ticks.tick() => {
                        // Whoever stays ends the waiting, and is named by its error.
                        let sent_away = sql_query(SEND_AWAY).bind::<Text, _>(&self.name).prepared().execute(&mut other);
                        let _the_next_time = sent_away.await;
                    }
                }
            }
        };
        let Err(error) = renamed else { return Ok(()) };
        run(&mut self.connection, "ROLLBACK").await?;
        // PostgreSQL gives up waiting after five seconds.
        if error.to_string().contains("is being accessed by other users") {
            return Err(SwapError::InUse(self.connected().await?));
        }
        Err(store_error(error).into())
    }

    /// The siblings whose name is this word and a time.
    pub async fn kept(&mut self, word: &str) -> Result<Vec<String>, StoreError> {
        let beginning = self.named(word);
        let rows: Vec<Word> = sql_query(KEPT)
            .bind::<Text, _>(&beginning)
            .prepared()
            .load(&mut self.connection)
            .await
            .map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }
}

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
