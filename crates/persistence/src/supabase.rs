//! The accounts of a Supabase project (schema `auth`, as `GoTrue` lays it out), read from its database and never written.
//!
//! All is read in one transaction that only reads and sees one moment. Columns that came late are read out of the row as JSON, where one
//! that is missing is NULL; so one set of statements reads every layout since the sessions' table, without asking which it is.

mod rows;

use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use subtle_domain::import::ForeignAccount;
use subtle_domain::ports::{ImportSource, StoreError};
use tokio::time::timeout;

use self::rows::{AccountRow, FactorRow, IdentityRow, SessionRow, assemble};
use crate::error::store_error;
use crate::pool::{ConnectError, Database, Mute};
use crate::prepared::Prepare;

/// Longest wait for an answer: a page is read along keys.
const PATIENCE: Duration = Duration::from_mins(1);

/// One moment for all pages. Where rows are hidden from this role the statements fail, rather than read a part of the accounts and look
/// complete; and the pause between two pages is as long as it takes to write one.
const BEGIN: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL row_security = off;
    SET LOCAL statement_timeout = '50s';
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// The tables that must be there.
const TABLES: &str = "
    SELECT name FROM unnest(ARRAY['users', 'identities', 'sessions', 'refresh_tokens', 'mfa_factors']) AS name
    WHERE to_regclass('auth.' || name) IS NULL";

const COUNT: &str = "SELECT count(*) AS count FROM auth.users";

/// Names and pictures are cut behind what is longer than any that is taken: some keep whole pictures there.
const ACCOUNTS: &str = "
    SELECT u.id::text AS id, u.email::text AS email, u.encrypted_password::text AS hash,
        array_remove(ARRAY[
            CASE WHEN fields ->> 'email_confirmed_at' IS NOT NULL THEN 'confirmed' END,
            CASE WHEN (fields ->> 'is_anonymous')::boolean THEN 'anonymous' END,
            CASE WHEN fields ->> 'deleted_at' IS NOT NULL THEN 'deleted' END,
            CASE WHEN (fields ->> 'is_sso_user')::boolean THEN 'single_sign_on' END,
            CASE WHEN (fields ->> 'is_sso_user')::boolean AND EXISTS (
                SELECT FROM auth.users AS other
                WHERE other.email = u.email AND (to_jsonb(other) ->> 'is_sso_user')::boolean IS NOT TRUE
            ) THEN 'shadowed' END,
            CASE WHEN fields ->> 'phone' <> '' THEN 'phone' END,
            CASE WHEN (fields ->> 'is_super_admin')::boolean
                OR fields ->> 'role' NOT IN ('', 'authenticated') THEN 'privileged' END
        ], NULL) AS marks,
        ARRAY(
            SELECT left(u.raw_user_meta_data ->> key, 300)
            FROM unnest(ARRAY['full_name', 'name']) WITH ORDINALITY AS wanted (key, place)
            WHERE jsonb_typeof(u.raw_user_meta_data -> key) = 'string' ORDER BY place
        ) AS names,
        ARRAY(
            SELECT left(u.raw_user_meta_data ->> key, 3000)
            FROM unnest(ARRAY['avatar_url', 'picture']) WITH ORDINALITY AS wanted (key, place)
            WHERE jsonb_typeof(u.raw_user_meta_data -> key) = 'string' ORDER BY place
        ) AS pictures,
        fields ->> 'created_at' AS created_at, fields ->> 'banned_until' AS banned_until
    FROM auth.users AS u
    CROSS JOIN LATERAL (
        SELECT to_jsonb(u) - 'raw_user_meta_data' - 'raw_app_meta_data' AS fields OFFSET 0
    ) AS whole
    WHERE $1 IS NULL OR u.id > $1::uuid
    ORDER BY u.id LIMIT $2";

/// Before it had identifiers of its own, an identity's was who somebody is at the provider.
const IDENTITIES: &str = "
    SELECT i.user_id::text AS user_id, i.provider, coalesce(fields ->> 'provider_id', fields ->> 'id') AS provider_id,
        fields ->> 'created_at' AS created_at, fields ->> 'last_sign_in_at' AS last_sign_in_at
    FROM auth.identities AS i
    CROSS JOIN LATERAL (SELECT to_jsonb(i) - 'identity_data' AS fields OFFSET 0) AS whole
    WHERE i.user_id = ANY ($1::uuid[])
    ORDER BY i.user_id, i.provider, provider_id";

/// What a factor was last used for tells which one its owner has at hand.
const FACTORS: &str = "
    SELECT f.user_id::text AS user_id, f.factor_type::text AS kind, f.secret
    FROM auth.mfa_factors AS f
    CROSS JOIN LATERAL (SELECT to_jsonb(f) AS fields OFFSET 0) AS whole
    WHERE f.user_id = ANY ($1::uuid[]) AND f.status::text = 'verified'
    ORDER BY f.user_id, (fields ->> 'last_challenged_at')::timestamptz DESC NULLS LAST, f.created_at DESC, f.id";

/// Good are the tokens that are not revoked, and the parent of the newest of them: whoever lost the last answer still has that.
const SESSIONS: &str = "
    SELECT s.id::text AS id, s.user_id::text AS user_id, fields ->> 'created_at' AS created_at,
        fields ->> 'refreshed_at' AS refreshed_at, fields ->> 'not_after' AS not_after,
        coalesce(fields ->> 'aal', 'aal1') <> 'aal1' AS second_factor,
        fields ->> 'oauth_client_id' IS NOT NULL AS programs,
        fields ->> 'refresh_token_hmac_key' AS key, (fields ->> 'refresh_token_counter')::bigint AS counter,
        ARRAY(
            SELECT t.token::text FROM auth.refresh_tokens AS t
            WHERE t.session_id = s.id AND t.revoked IS NOT TRUE AND t.token IS NOT NULL
            ORDER BY t.id DESC LIMIT 8
        ) AS tokens,
        newest.parent, to_jsonb(newest) ->> 'created_at' AS token_made_at
    FROM auth.sessions AS s
    CROSS JOIN LATERAL (SELECT to_jsonb(s) AS fields OFFSET 0) AS whole
    LEFT JOIN LATERAL (
        SELECT t.parent::text AS parent, t.created_at FROM auth.refresh_tokens AS t
        WHERE t.session_id = s.id AND t.revoked IS NOT TRUE
        ORDER BY t.id DESC LIMIT 1
    ) AS newest ON true
    WHERE s.user_id = ANY ($1::uuid[])
    ORDER BY s.user_id, s.id";

/// Why there are no accounts to be read.
#[derive(Debug, thiserror::Error)]
pub enum SupabaseError {
    /// The database was not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It is no Supabase project's, or its `GoTrue` is of 2021.
    #[error("there is no table auth.{0}: is it the database of a Supabase project, of 2022 or later?")]
    Layout(String),
    /// It was reached, and did not answer as it should.
    #[error("the accounts there cannot be read")]
    Read(#[source] StoreError),
}

/// The accounts of a Supabase project, as they are at the moment when this is opened.
pub struct PgSupabase {
    connection: AsyncPgConnection,
}

#[derive(QueryableByName)]
struct Missing {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl PgSupabase {
    /// Those in `database`.
    pub async fn open(database: &Database) -> Result<Self, SupabaseError> {
        let mut connection = database.connect().await?;
        let begun = answered(connection.batch_execute(BEGIN)).await;
        begun.map_err(SupabaseError::Read)?;
        let missing = answered(sql_query(TABLES).prepared().load::<Missing>(&mut connection)).await;
        match missing.map_err(SupabaseError::Read)?.into_iter().next() {
            Some(table) => Err(SupabaseError::Layout(table.name)),
            None => Ok(Self { connection }),
        }
    }
}

#[async_trait]
impl ImportSource for PgSupabase {
    async fn count(&mut self) -> Result<u64, StoreError> {
        let counted: Count = answered(sql_query(COUNT).prepared().get_result(&mut self.connection)).await?;
        Ok(counted.count.unsigned_abs())
    }

    async fn page<'a>(
        &mut self,
        after: Option<&'a str>,
        limit: u32,
    ) -> Result<Vec<ForeignAccount>, StoreError> {
        let query = sql_query(ACCOUNTS).bind::<Nullable<Text>, _>(after).bind::<BigInt, _>(i64::from(limit));
        let accounts: Vec<AccountRow> = answered(query.load(&mut self.connection)).await?;
        let ids: Vec<&str> = accounts.iter().map(AccountRow::id).collect();
        let of_these = |query| sql_query(query).bind::<Array<Text>, _>(&ids);
        let identities: Vec<IdentityRow> = answered(of_these(IDENTITIES).load(&mut self.connection)).await?;
        let factors: Vec<FactorRow> = answered(of_these(FACTORS).load(&mut self.connection)).await?;
        let sessions: Vec<SessionRow> = answered(of_these(SESSIONS).load(&mut self.connection)).await?;
        Ok(assemble(accounts, identities, factors, sessions))
    }
}

async fn answered<T>(query: impl Future<Output = QueryResult<T>> + Send) -> Result<T, StoreError> {
    match timeout(PATIENCE, query).await {
        Ok(answer) => answer.map_err(store_error),
        Err(_elapsed) => Err(StoreError::Unavailable(Box::new(Mute))),
    }
}
