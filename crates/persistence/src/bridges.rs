//! Bridge tokens, of which only digests are here. Every statement carries the user's identifier.

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::bridge::{Bridge, CodeChallenge};
use subtle_domain::ids::{BridgeId, SessionId, UserId};
use subtle_domain::ports::{BridgeRepository, Bridges, FieldCipher, StoreError};
use subtle_domain::session::ClientInfo;
use subtle_domain::token::TokenDigest;

use crate::encryption::SESSION_DATA;
use crate::error::corrupt;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::bridge_tokens;
use crate::unit_of_work::PgUnitOfWork;

/// Writes a token. The document travels as text: a parser of ours would not keep every number.
const INSERT: &str = "
    INSERT INTO bridge_tokens
        (id, token, user_id, session_id, code_challenge, session_data, client_ip, user_agent, expires_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10)";

/// Bridge tokens in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgBridges {
    database: Database,
}

impl PgBridges {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = bridge_tokens)]
struct BridgeRow {
    id: String,
    token: String,
    user_id: String,
    // As PostgreSQL prints it.
    #[diesel(select_expression = sql::<Nullable<Text>>("session_data::text"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Text>>)]
    session_data: Option<String>,
    client_ip: Option<String>,
    user_agent: Option<String>,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    created_at: Timestamp,
    code_challenge: Option<String>,
    session_id: Option<String>,
}

impl BridgeRow {
    fn read(self, cipher: &dyn FieldCipher) -> Result<Bridge, StoreError> {
        let unfit = |column| corrupt("bridge_tokens", column);
        let session_id = self.session_id.map(SessionId::try_from).transpose();
        let challenge = self.code_challenge.as_deref().map(CodeChallenge::parse).transpose();
        let data = self.session_data.map(|kept| SESSION_DATA.read(cipher, &self.id, kept)).transpose()?;
        Ok(Bridge {
            id: BridgeId::try_from(self.id).map_err(|_invalid| unfit("id"))?,
            user_id: UserId::try_from(self.user_id).map_err(|_invalid| unfit("user_id"))?,
            session_id: session_id.map_err(|_invalid| unfit("session_id"))?,
            digest: TokenDigest::new(self.token),
            challenge: challenge.map_err(|_invalid| unfit("code_challenge"))?,
            data,
            client: ClientInfo {
                // Only shown to people. Another program may have written anything.
                ip_address: self.client_ip.and_then(|text| text.parse().ok()),
                user_agent: self.user_agent,
            },
            created_at: self.created_at,
            expires_at: self.expires_at,
            used_at: self.used_at,
        })
    }
}

#[async_trait]
impl Bridges for PgBridges {
    async fn find(&self, user: &UserId, digest: &TokenDigest) -> Result<Option<Bridge>, StoreError> {
        let row: Option<BridgeRow> = repeatable!(self.database, connection => bridge_tokens::table
            .filter(bridge_tokens::user_id.eq(user.as_str()))
            .filter(bridge_tokens::token.eq(digest.expose()))
            .select(BridgeRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(|row| row.read(self.database.cipher())).transpose()
    }
}

#[async_trait]
impl BridgeRepository for PgUnitOfWork {
    async fn add(&mut self, bridge: &Bridge) -> Result<(), StoreError> {
        let data = bridge.data.as_deref();
        let data = data.map(|data| SESSION_DATA.keep(self.cipher(), bridge.id.as_str(), data)).transpose()?;
        step_as!(self, &bridge.user_id, connection => sql_query(INSERT)
            .bind::<Text, _>(bridge.id.as_str())
            .bind::<Text, _>(bridge.digest.expose())
            .bind::<Text, _>(bridge.user_id.as_str())
            .bind::<Nullable<Text>, _>(bridge.session_id.as_ref().map(SessionId::as_str))
            .bind::<Nullable<Text>, _>(bridge.challenge.as_ref().map(CodeChallenge::as_str))
            .bind::<Nullable<Text>, _>(data)
            .bind::<Nullable<Text>, _>(bridge.client.ip_address.map(|address| address.to_string()))
            .bind::<Nullable<Text>, _>(bridge.client.user_agent.as_deref())
            .bind::<Timestamptz, _>(bridge.expires_at)
            .bind::<Timestamptz, _>(bridge.created_at).prepared()
            .execute(connection))?;
        Ok(())
    }

    async fn spend(&mut self, bridge: &Bridge, now: Timestamp) -> Result<bool, StoreError> {
        let spent = step!(self, connection => diesel::update(bridge_tokens::table)
            .filter(bridge_tokens::user_id.eq(bridge.user_id.as_str()))
            .filter(bridge_tokens::token.eq(bridge.digest.expose()))
            .filter(bridge_tokens::used_at.is_null())
            .filter(bridge_tokens::expires_at.gt(now))
            .set((
                bridge_tokens::used_at.eq(now),
                bridge_tokens::session_data.eq(None::<serde_json::Value>),
            ))
            .execute(connection))?;
        Ok(spent == 1)
    }
}
