use actix_web::web::Data;
use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::notes::{self, FlagNoteError, NewNote, WriteNoteError};
use subtle_domain::ids::{NoteId, UserId};
use subtle_domain::note::Note;
use subtle_domain::text::NoteText;
use utoipa::{IntoParams, ToSchema};

use super::dto::{List, ListQuery, time};
use crate::cursor;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Id, Json, Params, Repeat, Support};

/// What cursors of this list are called.
const LIST: &str = "notes";

/// A note on a user, who never sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Note)]
pub(super) struct NoteDto {
    #[schema(example = "cmb3x0f5e0008abcd1234efgh")]
    id: String,
    /// On whom.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// By whom.
    #[schema(example = "cmb3x0f5e0009abcd1234efgh")]
    admin_id: String,
    #[schema(example = "Called twice about the invoice of October.")]
    note: String,
    /// Whether somebody should look at it.
    is_flagged: bool,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

impl From<&Note> for NoteDto {
    fn from(note: &Note) -> Self {
        Self {
            id: note.id.to_string(),
            user_id: note.user_id.to_string(),
            admin_id: note.author.to_string(),
            note: note.text.as_str().to_owned(),
            is_flagged: note.is_flagged,
            created_at: time(note.created_at),
        }
    }
}

/// A note to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NoteRequest {
    /// 1 to 10,000 characters.
    #[schema(example = "Called twice about the invoice of October.")]
    note: String,
    /// Whether somebody should look at it; no, if it is not said.
    #[serde(default)]
    is_flagged: bool,
}

/// Write a note on somebody.
///
/// For support and administrators. With an `Idempotency-Key` the same request is answered as the first time.
#[utoipa::path(
    operation_id = "writeNote",
    tag = "admin",
    params(
        ("id" = String, Path, description = "Of an account"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters"),
    ),
    request_body = NoteRequest,
    responses((status = 201, description = "The note", body = NoteDto)),
    security(("accessToken" = []))
)]
#[post("/v1/admin/users/{id}/notes")]
pub(super) async fn write(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Repeat { body, request }) }: Support<(Id<UserId>, Repeat<NoteRequest>)>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let Some(text) = errors.take("note", NoteText::parse(&body.note)) else { return Err(errors.into()) };
    let new = NewNote { user_id: id, text, is_flagged: body.is_flagged };
    let note = notes::write_note(&ports, &by, new, request).await?;
    Ok(HttpResponse::Created().json(NoteDto::from(&note)))
}

/// See the notes on somebody.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listUserNotes",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "A page of notes, newest first", body = List<NoteDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/notes")]
pub(super) async fn list_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(|text| cursor::row(LIST, text))?;
    let page = notes::list_user_notes(&ports, &by, &id, after, limit).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(List::of(
        page,
        |note| NoteDto::from(&note),
        |next| cursor::of_row(LIST, next),
    )))
}

/// Which notes are wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NotesQuery {
    /// Only the flagged ones, or only the others.
    flagged: Option<bool>,
    /// Most entries of the page: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// See the notes on all users.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listNotes",
    tag = "admin",
    params(NotesQuery),
    responses((status = 200, description = "A page of notes, newest first", body = List<NoteDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/notes")]
pub(super) async fn list(
    ports: Data<Ports>,
    Support { by, asked: Params(query) }: Support<Params<NotesQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = ListQuery::new(query.limit, query.cursor).part(|text| cursor::row(LIST, text))?;
    let page = notes::list_notes(&ports, &by, query.flagged, after, limit).await?;
    Ok(HttpResponse::Ok().json(List::of(
        page,
        |note| NoteDto::from(&note),
        |next| cursor::of_row(LIST, next),
    )))
}

/// A change of a note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FlagRequest {
    /// Whether somebody should look at it.
    #[schema(example = false)]
    is_flagged: bool,
}

/// Flag a note, or take its flag away.
///
/// For support and administrators. What a note says stays as it was written.
#[utoipa::path(
    operation_id = "flagNote",
    tag = "admin",
    params(("id" = String, Path, description = "Of a note")),
    request_body = FlagRequest,
    responses((status = 200, description = "The note", body = NoteDto)),
    security(("accessToken" = []))
)]
#[patch("/v1/admin/notes/{id}")]
pub(super) async fn flag(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Json(asked)) }: Support<(Id<NoteId>, Json<FlagRequest>)>,
) -> Result<HttpResponse, ApiError> {
    let note = notes::flag_note(&ports, &by, &id, asked.is_flagged).await?;
    Ok(HttpResponse::Ok().json(NoteDto::from(&note)))
}

impl From<WriteNoteError> for ApiError {
    fn from(error: WriteNoteError) -> Self {
        match error {
            WriteNoteError::NotFound => Self::NotFound,
            WriteNoteError::KeyTaken(_) => Self::KeyTaken,
            WriteNoteError::Forbidden(why) => why.into(),
            WriteNoteError::Store(store) => Self::Store(store),
        }
    }
}

impl From<FlagNoteError> for ApiError {
    fn from(error: FlagNoteError) -> Self {
        match error {
            FlagNoteError::NotFound => Self::NotFound,
            FlagNoteError::Forbidden(why) => why.into(),
            FlagNoteError::Store(store) => Self::Store(store),
        }
    }
}
