use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use subtle_application::{Ports, admin};
use subtle_domain::ids::UserId;
use subtle_domain::session::SessionSummary;
use subtle_domain::timeline::TimelineEntry;
use utoipa::ToSchema;

use super::activity::ActivityDto;
use super::audit_logs::AuditDto;
use super::billing::RecordDto;
use super::dto::{List, ListQuery, SessionDto, time};
use super::notes::NoteDto;
use super::usage::summary::DayDto;
use crate::cursor;
use crate::problem::ApiError;
use crate::request::{Id, Params, Support};

/// An entry of all that is known about somebody: what it is, when it was, and the thing itself under the name of its type.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
#[schema(as = TimelineEntry)]
pub(super) enum EntryDto {
    /// Something that happened on the account.
    Activity { at: String, activity: ActivityDto },
    /// A use of privilege on the account.
    Audit { at: String, audit: AuditDto },
    /// A record of the ledger, as it is now.
    Billing { at: String, billing: RecordDto },
    /// A note of support, as it is now.
    Note { at: String, note: NoteDto },
    /// A session that began.
    Session { at: String, session: BegunSession },
    /// A day's usage. Its time is the day's first moment, UTC.
    Usage { at: String, usage: DayDto },
}

/// A session that began, and how it ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BegunSession {
    #[serde(flatten)]
    session: SessionDto,
    /// When it was ended before its time; null if it was not.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    revoked_at: Option<String>,
}

impl From<&SessionSummary> for BegunSession {
    fn from(session: &SessionSummary) -> Self {
        Self { session: SessionDto::new(session, None), revoked_at: session.revoked_at.map(time) }
    }
}

impl From<TimelineEntry> for EntryDto {
    fn from(entry: TimelineEntry) -> Self {
        let at = time(entry.at());
        match entry {
            TimelineEntry::Activity(row) => Self::Activity { at, activity: row.into() },
            TimelineEntry::Audit(row) => Self::Audit { at, audit: row.into() },
            TimelineEntry::Billing(record) => Self::Billing { at, billing: (&record).into() },
            TimelineEntry::Note(note) => Self::Note { at, note: (&note).into() },
            TimelineEntry::Session(session) => Self::Session { at, session: (&*session).into() },
            TimelineEntry::Usage(day, totals) => Self::Usage { at, usage: DayDto::new(day, &totals) },
        }
    }
}

/// See all that is known about somebody.
///
/// For support and administrators: activity, sessions, usage by day, billing, notes and audit entries in one list.
#[utoipa::path(
    operation_id = "showUserTimeline",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "A page of entries, newest first", body = List<EntryDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/timeline")]
pub(super) async fn show(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(cursor::timeline)?;
    let page = admin::show_person(&ports, &by, &id, after, limit).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(List::of(page, EntryDto::from, cursor::of_timeline)))
}
