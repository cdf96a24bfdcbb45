//! Rows of `sessions`, read and written.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::letter::{DEVICE_NOISE, device_of};
use subtle_domain::ports::StoreError;
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::{ClientInfo, Generation, Session, SessionSummary};
use subtle_domain::token::TokenDigest;

use crate::error::corrupt;
use crate::schema::sessions;

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub(super) struct SessionRow {
    id: String,
    user_id: String,
    refresh_token: String,
    expires_at: Timestamp,
    created_at: Timestamp,
    generation: i32,
    salt: Vec<u8>,
    user_agent: Option<String>,
    ip_address: Option<String>,
    last_used_at: Timestamp,
    revoked_at: Option<Timestamp>,
    authenticated_at: Option<Timestamp>,
    second_factor: bool,
}

impl SessionRow {
    /// Which it is.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is of this person.
    pub(super) fn is_of(&self, user: &UserId) -> bool {
        self.user_id == user.as_str()
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: SessionId::try_from(row.id).map_err(|_invalid| corrupt("sessions", "id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_invalid| corrupt("sessions", "user_id"))?,
            generation: Generation::new(row.generation),
            digest: TokenDigest::new(row.refresh_token),
            salt: row.salt,
            created_at: row.created_at,
            authenticated_at: row.authenticated_at.unwrap_or(row.created_at),
            assurance: assurance(row.second_factor),
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            client: client(row.ip_address, row.user_agent),
        })
    }
}

/// What `subtle_user` may read of a session.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub(super) struct SummaryRow {
    id: String,
    expires_at: Timestamp,
    created_at: Timestamp,
    user_agent: Option<String>,
    ip_address: Option<String>,
    last_used_at: Timestamp,
    revoked_at: Option<Timestamp>,
    authenticated_at: Option<Timestamp>,
    second_factor: bool,
}

impl TryFrom<SummaryRow> for SessionSummary {
    type Error = StoreError;

    fn try_from(row: SummaryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: SessionId::try_from(row.id).map_err(|_invalid| corrupt("sessions", "id"))?,
            created_at: row.created_at,
            authenticated_at: row.authenticated_at.unwrap_or(row.created_at),
            assurance: assurance(row.second_factor),
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            client: client(row.ip_address, row.user_agent),
        })
    }
}

fn assurance(second_factor: bool) -> Assurance {
    if second_factor { Assurance::SecondFactor } else { Assurance::Password }
}

/// Only shown to people. Another program may have written anything.
fn client(ip_address: Option<String>, user_agent: Option<String>) -> ClientInfo {
    ClientInfo { ip_address: ip_address.and_then(|text| text.parse().ok()), user_agent }
}

#[derive(Insertable)]
#[diesel(table_name = sessions)]
pub(super) struct NewRow<'a> {
    pub(super) id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) refresh_token: &'a str,
    pub(super) expires_at: Timestamp,
    pub(super) created_at: Timestamp,
    pub(super) generation: i32,
    pub(super) salt: &'a [u8],
    pub(super) user_agent: Option<&'a str>,
    pub(super) ip_address: Option<String>,
    pub(super) last_used_at: Timestamp,
    pub(super) authenticated_at: Timestamp,
    pub(super) second_factor: bool,
}

impl<'a> From<&'a Session> for NewRow<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.id.as_str(),
            user_id: session.user_id.as_str(),
            refresh_token: session.digest.expose(),
            expires_at: session.expires_at,
            created_at: session.created_at,
            generation: session.generation.number(),
            salt: &session.salt,
            user_agent: session.client.user_agent.as_deref(),
            ip_address: session.client.ip_address.map(|address| address.to_string()),
            last_used_at: session.last_used_at,
            authenticated_at: session.authenticated_at,
            second_factor: session.assurance == Assurance::SecondFactor,
        }
    }
}

diesel::define_sql_function! {
    /// Takes the letters of `from` out of a text, where `to` is empty.
    fn translate(text: Text, from: Text, to: Text) -> Text;
}
diesel::define_sql_function! {
    /// The text, or another one instead of NULL.
    fn coalesce(text: Nullable<Text>, other: Text) -> Text;
}

/// Whether there are sessions of the user, and none on this device.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn is_new_device<'a>(session: &'a Session) -> _ {
    let user: &'a str = session.user_id.as_str();
    let device: String = device_of(session.client.user_agent.as_deref().unwrap_or_default());
    let noise: &'static str = DEVICE_NOISE;
    let theirs = translate(coalesce(sessions::user_agent, ""), noise, "");
    let any = sessions::table.filter(sessions::user_id.eq(user)).select(sessions::id);
    let same =
        sessions::table.filter(sessions::user_id.eq(user)).filter(theirs.eq(device)).select(sessions::id);
    exists(any).and(not(exists(same)))
}

/// A session that a statement has ended.
#[derive(QueryableByName)]
pub(super) struct Ended {
    #[diesel(sql_type = Text)]
    id: String,
}

pub(super) fn ids(ended: Vec<Ended>) -> Result<Vec<SessionId>, StoreError> {
    let id = |row: Ended| SessionId::try_from(row.id).map_err(|_invalid| corrupt("sessions", "id"));
    ended.into_iter().map(id).collect()
}
