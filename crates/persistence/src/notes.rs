//! Notes of support: their lists, and their changes inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{NoteId, UserId};
use subtle_domain::note::{Note, NoteCursor, NoteQuery};
use subtle_domain::ports::{NoteRepository, Notes, StoreError};
use subtle_domain::text::NoteText;

use crate::error::corrupt;
use crate::pool::Database;
use crate::schema::admin_notes;
use crate::unit_of_work::PgUnitOfWork;

/// Notes in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgNotes {
    database: Database,
}

impl PgNotes {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = admin_notes, check_for_backend(diesel::pg::Pg))]
struct NoteRow {
    id: String,
    user_id: String,
    admin_id: String,
    note: String,
    is_flagged: bool,
    created_at: Timestamp,
}

impl TryFrom<NoteRow> for Note {
    type Error = StoreError;

    fn try_from(row: NoteRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: NoteId::try_from(row.id).map_err(|_invalid| corrupt("admin_notes", "id"))?,
            user_id: UserId::try_from(row.user_id).map_err(|_invalid| corrupt("admin_notes", "user_id"))?,
            author: UserId::try_from(row.admin_id).map_err(|_invalid| corrupt("admin_notes", "admin_id"))?,
            text: NoteText::from_stored(row.note),
            is_flagged: row.is_flagged,
            created_at: row.created_at,
        })
    }
}

#[async_trait]
impl Notes for PgNotes {
    async fn page(
        &self,
        query: &NoteQuery,
        after: Option<NoteCursor>,
        limit: u32,
    ) -> Result<Vec<Note>, StoreError> {
        let rows: Vec<NoteRow> = repeatable!(self.database, connection => {
            let mut page = admin_notes::table
                .order((admin_notes::created_at.desc(), admin_notes::id.desc()))
                .limit(limit.into())
                .select(NoteRow::as_select())
                .into_boxed();
            if let Some(user) = &query.user_id {
                page = page.filter(admin_notes::user_id.eq(user.as_str()));
            }
            if let Some(flagged) = query.flagged {
                page = page.filter(admin_notes::is_flagged.eq(flagged));
            }
            if let Some((at, id)) = &after {
                let earlier = admin_notes::created_at.lt(*at);
                let tied = admin_notes::created_at.eq(*at).and(admin_notes::id.lt(id.as_str()));
                // The index is entered at the bound; the rest alone would be a filter over all that is newer.
                page = page.filter(admin_notes::created_at.le(*at)).filter(earlier.or(tied));
            }
            page.load(connection)
        })?;
        rows.into_iter().map(Note::try_from).collect()
    }
}

#[async_trait]
impl NoteRepository for PgUnitOfWork {
    async fn add(&mut self, note: &Note) -> Result<(), StoreError> {
        step!(self, connection => diesel::insert_into(admin_notes::table)
            .values((
                admin_notes::id.eq(note.id.as_str()),
                admin_notes::user_id.eq(note.user_id.as_str()),
                admin_notes::admin_id.eq(note.author.as_str()),
                admin_notes::note.eq(note.text.as_str()),
                admin_notes::is_flagged.eq(note.is_flagged),
                admin_notes::created_at.eq(note.created_at),
            ))
            .execute(connection))?;
        Ok(())
    }

    async fn lock(&mut self, id: &NoteId) -> Result<Option<Note>, StoreError> {
        let row: Option<NoteRow> = step!(self, connection => admin_notes::table
            .find(id.as_str())
            .select(NoteRow::as_select())
            .for_update()
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(Note::try_from).transpose()
    }

    async fn set_flag(&mut self, id: &NoteId, is_flagged: bool) -> Result<(), StoreError> {
        step!(self, connection => diesel::update(admin_notes::table.find(id.as_str()))
            .set(admin_notes::is_flagged.eq(is_flagged))
            .execute(connection))?;
        Ok(())
    }
}
