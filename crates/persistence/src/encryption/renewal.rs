//! Which keys are in use, and bringing what is under another key under the newest one, in small batches that nobody waits for.
//!
//! What somebody else has locked is left for the next time, and what somebody has changed since it was read stays as they wrote it. The
//! statements go by key and not by user: they run beside the requests, not in them. Each walks along the column's index of keys.

use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;
use subtle_domain::encryption::KeyId;
use subtle_domain::ports::StoreError;

use super::{AVATAR_URL, Column, Form, SESSION_DATA};
use crate::pool::Database;

const COLUMNS: [&Column; 2] = [&AVATAR_URL, &SESSION_DATA];
/// How many rows one statement changes at most.
const BATCH: i64 = 100;
/// What stands for a key where values are not encrypted.
const PLAIN: &str = "plain";

/// How a key stands to those that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is what new values are under.
    Newest,
    /// Its values are to be brought under the newest.
    Older,
    /// Its values can't be read.
    Unknown,
}

/// How many values of a column are under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// `table.column`.
    pub column: String,
    /// The key's identifier; `plain` where values are not encrypted.
    pub key: String,
    /// How it stands to the keys that we have.
    pub standing: KeyStanding,
    /// The values.
    pub rows: i64,
}

/// The keys in use in a database.
#[derive(Debug, Clone)]
pub struct PgEncryption {
    database: Database,
}

#[derive(diesel::QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    key: String,
}

#[derive(diesel::QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(diesel::QueryableByName)]
struct KeptRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    kept: String,
}

impl Column {
    /// Under which key a row's value is, as the column's index has it: written in another way, all rows would be read.
    fn key(&self) -> &'static str {
        match self.form {
            Form::Text => {
                r#"coalesce(substring(avatar_url COLLATE "C" from '^enc:(v[0-9]+:[0-9a-f]{8}):[A-Za-z0-9_-]+$'), 'plain')"#
            }
            Form::Json => {
                r#"coalesce(substring(session_data::text COLLATE "C" from '^\{"\$enc": "(v[0-9]+:[0-9a-f]{8}):[A-Za-z0-9_-]+"\}$'), 'plain')"#
            }
        }
    }

    fn with(&self, selected: &str, condition: &str) -> String {
        let Self { table, name, .. } = self;
        format!("SELECT {selected} FROM {table} WHERE {name} IS NOT NULL AND {} {condition}", self.key())
    }

    fn next_key(&self) -> String {
        let key = self.key();
        self.with(&format!("{key} AS key"), &format!("> $1 ORDER BY {key} LIMIT 1"))
    }

    fn count(&self) -> String {
        self.with("count(*) AS rows", "= $1")
    }

    fn page(&self) -> String {
        let kept = format!("id, {}::text AS kept", self.name);
        self.with(&kept, "= $1 AND id > $2 ORDER BY id LIMIT $3")
    }

    fn replacement(&self) -> String {
        let Self { table, name, form } = self;
        let kind = match form {
            Form::Text => "text",
            Form::Json => "jsonb",
        };
        format!(
            "WITH free AS (SELECT id FROM {table} WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED)
             UPDATE {table} SET {name} = new.kept::{kind}
             FROM unnest($1, $2, $3) AS new (id, was, kept), free
             WHERE {table}.id = new.id AND free.id = new.id AND {table}.{name}::text = new.was"
        )
    }
}

impl PgEncryption {
    /// Of `database`, whose cipher has the keys that we have.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The keys whose values can't be read. Costs a look into an index for each key in use.
    pub async fn unknown_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut unknown = Vec::new();
        for column in COLUMNS {
            let keys = self.keys(column).await?;
            unknown.extend(keys.into_iter().filter(|key| self.standing(key) == KeyStanding::Unknown));
        }
        unknown.sort();
        unknown.dedup();
        Ok(unknown)
    }

    /// All keys in use, counted.
    pub async fn in_use(&self) -> Result<Vec<KeyUse>, StoreError> {
        let mut uses = Vec::new();
        for column in COLUMNS {
            for key in self.keys(column).await? {
                let count = column.count();
                let counted: CountRow = repeatable!(self.database, connection => sql_query(count.as_str())
                    .bind::<Text, _>(&key)
                    .get_result(connection))?;
                let standing = self.standing(&key);
                let column = format!("{}.{}", column.table, column.name);
                uses.push(KeyUse { column, key, standing, rows: counted.rows });
            }
        }
        Ok(uses)
    }

    /// Brings everything under the newest key. Tells how many values were left because somebody was at work on them.
    pub async fn renew(&self) -> Result<usize, StoreError> {
        let mut left = 0;
        for column in COLUMNS {
            left += self.renew_column(column).await?;
        }
        Ok(left)
    }

    async fn renew_column(&self, column: &Column) -> Result<usize, StoreError> {
        let (mut renewed, mut left) = (0, 0);
        for key in self.keys(column).await? {
            match self.standing(&key) {
                KeyStanding::Newest => {}
                KeyStanding::Older => {
                    let (done, not) = self.renew_from(column, &key).await?;
                    renewed += done;
                    left += not;
                }
                KeyStanding::Unknown => {
                    tracing::error!(
                        column = column.name,
                        key,
                        "values are under a key that is not among encryption_keys"
                    );
                }
            }
        }
        if renewed > 0 {
            let (column, key) = (column.name, self.newest());
            tracing::info!(column, key, renewed, left, "brought values under the newest key");
        }
        Ok(left)
    }

    /// How many values of a key were brought under the newest, and how many were left.
    async fn renew_from(&self, column: &Column, key: &str) -> Result<(usize, usize), StoreError> {
        let (mut renewed, mut left) = (0, 0);
        let mut after = String::new();
        loop {
            let page = self.page(column, key, &after).await?;
            let Some(last) = page.last() else { return Ok((renewed, left)) };
            after.clone_from(&last.id);
            let (ids, was, kept) = self.reencrypted(column, page);
            let replacement = column.replacement();
            let replaced = repeatable!(self.database, connection => sql_query(replacement.as_str())
                .bind::<Array<Text>, _>(&ids)
                .bind::<Array<Text>, _>(&was)
                .bind::<Array<Text>, _>(&kept)
                .execute(connection))?;
            renewed += replaced;
            left += ids.len() - replaced;
        }
    }

    /// Identifiers, what is kept and what is to be. What can't be read has been told of, and is left out.
    fn reencrypted(&self, column: &Column, page: Vec<KeptRow>) -> (Vec<String>, Vec<String>, Vec<String>) {
        let cipher = self.database.cipher();
        let mut all = (Vec::new(), Vec::new(), Vec::new());
        for KeptRow { id, kept: was } in page {
            let value = column.read(cipher, &id, was.clone());
            if let Ok(kept) = value.and_then(|value| column.keep(cipher, &id, &value)) {
                all.0.push(id);
                all.1.push(was);
                all.2.push(kept);
            }
        }
        all
    }

    async fn page(&self, column: &Column, key: &str, after: &str) -> Result<Vec<KeptRow>, StoreError> {
        let page = column.page();
        repeatable!(self.database, connection => sql_query(page.as_str())
            .bind::<Text, _>(key)
            .bind::<Text, _>(after)
            .bind::<BigInt, _>(BATCH)
            .load(connection))
    }

    /// The keys in use in a column, each found behind the one before it.
    async fn keys(&self, column: &Column) -> Result<Vec<String>, StoreError> {
        let next = column.next_key();
        let mut keys = Vec::new();
        loop {
            let before = keys.last().map_or("", String::as_str);
            let found: Vec<KeyRow> = repeatable!(self.database, connection => sql_query(next.as_str())
                .bind::<Text, _>(before)
                .load(connection))?;
            let Some(row) = found.into_iter().next() else { return Ok(keys) };
            keys.push(row.key);
        }
    }

    fn newest(&self) -> &str {
        self.database.cipher().newest().map_or(PLAIN, KeyId::as_str)
    }

    fn standing(&self, key: &str) -> KeyStanding {
        if key == self.newest() {
            KeyStanding::Newest
        } else if key == PLAIN || KeyId::parse(key).is_some_and(|key| self.database.cipher().knows(&key)) {
            KeyStanding::Older
        } else {
            KeyStanding::Unknown
        }
    }
}
