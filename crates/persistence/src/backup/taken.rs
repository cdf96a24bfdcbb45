//! What was taken from whom since a backup: it does not come back by a restore.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;

use super::{Count, Word, connect, words};
use crate::error::store_error;
use crate::options::PoolOptions;
use crate::prepared::Prepare;

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
        ARRAY(SELECT concat_ws(' ', id, user_id) FROM sessions WHERE created_at > $1) AS begun,
        ARRAY(SELECT concat_ws(' ', id, user_id) FROM sessions WHERE revoked_at IS NOT NULL) AS ended,
        ARRAY(SELECT concat_ws(' ', id, role) FROM users WHERE id = ANY($2) AND role <> 'admin') AS demoted";

const REVOKE_KEYS: &str = "
    UPDATE service_keys SET revoked_at = $2 WHERE id = ANY($1) AND revoked_at IS NULL RETURNING id AS text";

const DISABLE: &str = "
    UPDATE users SET disabled_at = $2 WHERE id = ANY($1) AND disabled_at IS NULL AND deleted_at IS NULL
    RETURNING id AS text";

/// Whose access tokens are still good is known by the rows of ended sessions: so there must be some.
const END_BEGUN: &str = "
    INSERT INTO sessions (id, user_id, refresh_token, created_at, expires_at, revoked_at, revoked_reason)
    SELECT split_part(begun, ' ', 1), u.id, 'ended by a restore: ' || split_part(begun, ' ', 1),
        $2, $2 + interval '1 day', $2, 'admin'
    FROM unnest($1) AS begun JOIN users u ON u.id = split_part(begun, ' ', 2)
    ON CONFLICT DO NOTHING
    RETURNING id AS text";

const END: &str = "
    UPDATE sessions s SET revoked_at = $2, revoked_reason = 'admin' FROM unnest($1) AS ended
    WHERE s.id = split_part(ended, ' ', 1) AND s.user_id = split_part(ended, ' ', 2) AND s.revoked_at IS NULL
    RETURNING s.id AS text";

/// Roles by what they may do: nobody gets more by this.
const DEMOTE: &str = "
    WITH demoted AS (
        SELECT split_part(one, ' ', 1) AS id, split_part(one, ' ', 2) AS role, ARRAY['user', 'support', 'admin'] AS roles
        FROM unnest($1) AS one
    )
    UPDATE users u SET role = d.role, updated_at = $2 FROM demoted d
    WHERE u.id = d.id AND array_position(d.roles, u.role::text) > array_position(d.roles, d.role)
    RETURNING u.id AS text";

const PRIVILEGED: &str = "SELECT id AS text FROM users WHERE role <> 'user'";

/// Accounts of one database, page by page, with what stands for their passwords…
const ACCOUNTS: &str = "
    SELECT concat_ws(' ', id, hashtextextended(password_hash, 0), role) AS text FROM users
    WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT 10000";

/// …and how many of them are otherwise in another one.
const OTHERWISE: &str = "
    SELECT count(*) FILTER (WHERE hashtextextended(u.password_hash, 0)::text <> split_part(one, ' ', 2)) AS passwords,
        count(*) FILTER (WHERE u.role::text <> split_part(one, ' ', 3)) AS roles
    FROM unnest($1) AS one JOIN users u ON u.id = split_part(one, ' ', 1)";

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
    /// Sessions that were ended, each with its account: as long as their rows are kept.
    #[diesel(sql_type = Array<Text>)]
    ended: Vec<String>,
    /// Accounts that would come back with more than their role here, each with that.
    #[diesel(sql_type = Array<Text>)]
    demoted: Vec<String>,
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
    /// Sessions that were ended since.
    pub ended: Vec<String>,
    /// Accounts whose role was taken away since.
    pub demoted: Vec<String>,
}

impl TakenAgain {
    /// And more.
    pub fn add(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.disabled.extend(more.disabled);
        self.erased.extend(more.erased);
        self.ended.extend(more.ended);
        self.demoted.extend(more.demoted);
    }
}

/// How many accounts are otherwise in a copy of their database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, QueryableByName)]
pub struct Changed {
    /// They have another password there.
    #[diesel(sql_type = BigInt)]
    pub passwords: i64,
    /// They have another role.
    #[diesel(sql_type = BigInt)]
    pub roles: i64,
}

/// Whose role is more than everybody's.
pub async fn privileged(options: &PoolOptions) -> Result<Vec<String>, StoreError> {
    words(&mut connect(options).await?, PRIVILEGED).await
}

/// What was taken away in a database so far, which sessions began there since a backup, and what has become of the roles of who was
/// privileged in it.
pub async fn taken_away(
    options: &PoolOptions,
    since: Timestamp,
    privileged: &[String],
) -> Result<TakenAway, StoreError> {
    let mut connection = connect(options).await?;
    let query = sql_query(TAKEN_AWAY).bind::<Timestamptz, _>(since).bind::<Array<Text>, _>(privileged);
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
        ended: each(END, &taken.ended).await?,
        demoted: each(DEMOTE, &taken.demoted).await?,
    })
}

/// Ends all sessions of a database, and voids what begins one; tells how many sessions that were.
pub async fn shut(options: &PoolOptions, now: Timestamp) -> Result<i64, StoreError> {
    let mut connection = connect(options).await?;
    let ended: Count = sql_query(SHUT)
        .bind::<Timestamptz, _>(now)
        .prepared()
        .get_result(&mut connection)
        .await
        .map_err(store_error)?;
    Ok(ended.number)
}

/// How many of a database's accounts have another password or role in a copy of it.
pub async fn changed(options: &PoolOptions, copy: &PoolOptions) -> Result<Changed, StoreError> {
    let (mut connection, mut other) = (connect(options).await?, connect(copy).await?);
    let (mut all, mut last) = (Changed::default(), String::new());
    loop {
        let page = sql_query(ACCOUNTS).bind::<Text, _>(&last);
        let page: Vec<Word> = page.load(&mut connection).await.map_err(store_error)?;
        let page: Vec<String> = page.into_iter().map(|row| row.text).collect();
        let Some(end) = page.last().and_then(|row| row.split(' ').next()) else { return Ok(all) };
        end.clone_into(&mut last);
        let found = sql_query(OTHERWISE).bind::<Array<Text>, _>(&page);
        let found: Changed = found.get_result(&mut other).await.map_err(store_error)?;
        all = Changed { passwords: all.passwords + found.passwords, roles: all.roles + found.roles };
    }
}
