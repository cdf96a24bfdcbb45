//! Letters that wait to be sent: taken on by one server at a time, for as long as one try may take.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{LetterId, OneTimeTokenId, UserId};
use subtle_domain::letter::{Letter, LetterKind, LetterRequest};
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{Outbox, OutboxRepository, StoreError, TakenLetter};
use subtle_domain::session::ClientInfo;

use crate::error::corrupt;
use crate::one_time::OneTimeRow;
use crate::pool::Database;
use crate::prepared::Prepare;
use crate::schema::{mail_outbox, mail_requests, one_time_tokens};
use crate::unit_of_work::PgUnitOfWork;

/// A CTE, for a subquery that locks may be run more than once.
const TAKE: &str = "
    WITH due AS MATERIALIZED (
        SELECT id FROM mail_outbox WHERE state = 'waiting' AND due_at <= $1 AND kind = ANY($3)
        ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE mail_outbox SET tries = tries + 1, due_at = $2 FROM due WHERE mail_outbox.id = due.id
    RETURNING mail_outbox.*";

/// The same for a request, which is over once it is taken.
const TAKE_REQUEST: &str = "
    WITH oldest AS MATERIALIZED (
        SELECT id FROM mail_requests ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM mail_requests USING oldest WHERE mail_requests.id = oldest.id
    RETURNING mail_requests.*";

/// Letters that wait in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgOutbox {
    database: Database,
}

impl PgOutbox {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn token(&self, user: &str, id: &str) -> Result<Option<OneTimeRecord>, StoreError> {
        let row: Option<OneTimeRow> = repeatable!(self.database, connection => one_time_tokens::table
            .filter(one_time_tokens::user_id.eq(user))
            .filter(one_time_tokens::id.eq(id))
            .select(OneTimeRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(OneTimeRecord::try_from).transpose()
    }
}

#[derive(QueryableByName)]
#[diesel(table_name = mail_outbox, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: String,
    user_id: String,
    kind: String,
    recipient: Option<String>,
    token_id: Option<String>,
    new_email: Option<String>,
    user_agent: Option<String>,
    ip_address: Option<String>,
    tries: i32,
    created_at: Timestamp,
}

impl TryFrom<Row> for Letter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let unfit = |column| corrupt("mail_outbox", column);
        let token = row.token_id.map(OneTimeTokenId::try_from).transpose();
        Ok(Self {
            id: LetterId::try_from(row.id).map_err(|_invalid| unfit("id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_invalid| unfit("user_id"))?,
            kind: LetterKind::parse(&row.kind).ok_or_else(|| unfit("kind"))?,
            recipient: EmailAddress::from_stored(row.recipient.ok_or_else(|| unfit("recipient"))?),
            token: token.map_err(|_invalid| unfit("token_id"))?,
            new_email: row.new_email.map(EmailAddress::from_stored),
            client: ClientInfo {
                ip_address: row.ip_address.and_then(|text| text.parse().ok()),
                user_agent: row.user_agent,
            },
            created_at: row.created_at,
        })
    }
}

#[derive(QueryableByName)]
#[diesel(table_name = mail_requests, check_for_backend(diesel::pg::Pg))]
struct RequestRow {
    id: String,
    purpose: String,
    email: String,
    created_at: Timestamp,
}

impl TryFrom<RequestRow> for LetterRequest {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let unfit = |column| corrupt("mail_requests", column);
        Ok(Self {
            id: LetterId::try_from(row.id).map_err(|_invalid| unfit("id"))?,
            purpose: Purpose::parse(&row.purpose).ok_or_else(|| unfit("purpose"))?,
            email: EmailAddress::from_stored(row.email),
            at: row.created_at,
        })
    }
}

/// As the column holds them. There are never so many.
fn column(tries: u32) -> i32 {
    i32::try_from(tries).unwrap_or(i32::MAX)
}

#[async_trait]
impl Outbox for PgOutbox {
    async fn request(&self, request: &LetterRequest) -> Result<(), StoreError> {
        once!(self.database, connection => diesel::insert_into(mail_requests::table)
            .values((
                mail_requests::id.eq(request.id.as_str()),
                mail_requests::purpose.eq(request.purpose.as_str()),
                mail_requests::email.eq(request.email.as_str()),
                mail_requests::created_at.eq(request.at),
            ))
            .execute(connection))?;
        Ok(())
    }

    async fn is_waiting(&self, now: Timestamp) -> Result<bool, StoreError> {
        let requests = exists(mail_requests::table.select(mail_requests::id));
        let due =
            mail_outbox::table.filter(mail_outbox::state.eq("waiting")).filter(mail_outbox::due_at.le(now));
        repeatable!(self.database, connection =>
            diesel::select(requests.or(exists(due.select(mail_outbox::id)))).get_result(connection))
    }

    async fn take(&self, now: Timestamp, until: Timestamp) -> Result<Option<TakenLetter>, StoreError> {
        // Those of a newer version are left to servers of that version.
        let known: Vec<&str> = LetterKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let row: Option<Row> = once!(self.database, connection => sql_query(TAKE)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(until)
            .bind::<Array<Text>, _>(&known).prepared()
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        let Some(row) = row else { return Ok(None) };
        let tries = u32::try_from(row.tries).unwrap_or_default();
        let token = match &row.token_id {
            Some(id) => self.token(&row.user_id, id).await?,
            None => None,
        };
        Ok(Some(TakenLetter { letter: row.try_into()?, token, tries }))
    }

    async fn forget(&self, id: &LetterId, tries: u32) -> Result<(), StoreError> {
        repeatable!(self.database, connection => diesel::delete(mail_outbox::table.find(id.as_str()))
            .filter(mail_outbox::tries.eq(column(tries)))
            .execute(connection))?;
        Ok(())
    }

    async fn put_off(
        &self,
        id: &LetterId,
        tries: u32,
        until: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        repeatable!(self.database, connection => diesel::update(mail_outbox::table.find(id.as_str()))
            .filter(mail_outbox::tries.eq(column(tries)))
            .set((mail_outbox::due_at.eq(until), mail_outbox::last_error.eq(why)))
            .execute(connection))?;
        Ok(())
    }

    async fn give_up(&self, id: &LetterId, tries: u32, now: Timestamp, why: &str) -> Result<(), StoreError> {
        repeatable!(self.database, connection => diesel::update(mail_outbox::table.find(id.as_str()))
            .filter(mail_outbox::tries.eq(column(tries)))
            .set((
                mail_outbox::state.eq("failed"),
                mail_outbox::recipient.eq(None::<&str>),
                mail_outbox::new_email.eq(None::<&str>),
                mail_outbox::user_agent.eq(None::<&str>),
                mail_outbox::ip_address.eq(None::<&str>),
                mail_outbox::due_at.eq(now),
                mail_outbox::last_error.eq(why),
            ))
            .execute(connection))?;
        Ok(())
    }
}

#[async_trait]
impl OutboxRepository for PgUnitOfWork {
    async fn take_request(&mut self) -> Result<Option<LetterRequest>, StoreError> {
        let row: Option<RequestRow> = step!(self, connection => sql_query(TAKE_REQUEST).prepared()
            .get_result(connection)
            .map(OptionalExtension::optional))?;
        row.map(LetterRequest::try_from).transpose()
    }

    async fn add(&mut self, letter: &Letter) -> Result<(), StoreError> {
        step!(self, connection => diesel::insert_into(mail_outbox::table)
            .values((
                mail_outbox::id.eq(letter.id.as_str()),
                mail_outbox::user_id.eq(letter.user_id.as_str()),
                mail_outbox::kind.eq(letter.kind.as_str()),
                mail_outbox::recipient.eq(letter.recipient.as_str()),
                mail_outbox::token_id.eq(letter.token.as_ref().map(OneTimeTokenId::as_str)),
                mail_outbox::new_email.eq(letter.new_email.as_ref().map(EmailAddress::as_str)),
                mail_outbox::user_agent.eq(letter.client.user_agent.as_deref()),
                mail_outbox::ip_address.eq(letter.client.ip_address.map(|address| address.to_string())),
                mail_outbox::created_at.eq(letter.created_at),
                mail_outbox::due_at.eq(letter.created_at),
            ))
            .execute(connection))?;
        Ok(())
    }
}
