use std::collections::VecDeque;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use subtle_application::accounts::{self, ExportCursor, ExportError, ExportPart, ExportRow};
use subtle_application::sessions::FreshCaller;
use subtle_application::{OpenStream, Ports};
use subtle_domain::import::ForeignIdentity;
use subtle_domain::throttle::RetryAfter;
use utoipa::ToSchema;

use super::activity::ActivityDto;
use super::billing::RecordDto;
use super::dto::{UserDto, time};
use super::sync::SyncEventDto;
use super::timeline::BegunSession;
use super::usage::UsageDto;
use crate::problem::ApiError;
use crate::request::FreshlySignedIn;

/// When there may be room for one more export of an account.
const ROOM: Duration = Duration::from_secs(10);

/// Everything that is held about a person.
#[derive(ToSchema)]
#[schema(as = Export, rename_all = "camelCase")]
#[expect(dead_code, reason = "it is written piece by piece; this is for the document")]
pub(super) struct ExportDto {
    /// When it was made.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    exported_at: String,
    user: UserDto,
    /// Newest first, as all that follows.
    sessions: Vec<BegunSession>,
    /// By which providers you signed in at the service that your account was moved here from.
    identities: Vec<IdentityDto>,
    activity: Vec<ActivityDto>,
    usage: Vec<UsageDto>,
    billing: Vec<RecordDto>,
    /// What your apps told each other; oldest first.
    sync: Vec<SyncEventDto>,
    /// What other programs wrote into the sync log: its place is 0, and it is no part of the feed.
    sync_of_others: Vec<SyncEventDto>,
    /// What administrators did to the account.
    audit: Vec<DoneDto>,
}

/// By which provider, and as whom there, somebody signed in at another service.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdentityDto {
    #[schema(example = "google")]
    provider: String,
    #[schema(example = "117204631875264310984")]
    provider_id: String,
    #[schema(format = DateTime, example = "2025-11-25T08:00:00.000Z")]
    created_at: Option<String>,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    last_sign_in_at: Option<String>,
}

impl From<ForeignIdentity> for IdentityDto {
    fn from(identity: ForeignIdentity) -> Self {
        Self {
            provider: identity.provider,
            provider_id: identity.provider_id,
            created_at: identity.created_at.map(time),
            last_sign_in_at: identity.last_sign_in_at.map(time),
        }
    }
}

/// What was done to an account by who may: not by whom, and from where.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DoneDto {
    #[schema(example = "user.update")]
    action: String,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

/// Take everything that is held about you.
///
/// One JSON document, sent as it is read. It ends before its closing brace if it could not be read to the end. Asks for a sign-in that
/// is not old, and ends with the session. Not in it: notes of support, which are theirs, and what is under way: letters, hand-offs,
/// sessions of another service that were not taken over yet.
#[utoipa::path(
    operation_id = "exportMe",
    tag = "me",
    responses(
        (status = 200, description = "Everything", body = ExportDto),
        (status = 403, description = "The sign-in is too old: `reauthentication-required`"),
        (status = 429, description = "Too many exports of this account are under way"),
    ),
    security(("accessToken" = []))
)]
#[get("/v1/me/export")]
pub(super) async fn export(ports: Data<Ports>, caller: FreshlySignedIn) -> Result<HttpResponse, ApiError> {
    let (user, counted) = accounts::export_account(&ports, &caller.0).await?;
    let head = format!(
        r#"{{"exportedAt":{},"user":{}"#,
        json(&time(ports.clock.now())),
        json(&UserDto::from(&user))
    );
    let writer = Writer {
        ports,
        caller: caller.0,
        _counted: counted,
        parts: ExportPart::ALL.into_iter().collect(),
        after: None,
        has_rows: false,
        head,
    };
    Ok(HttpResponse::Ok().content_type("application/json").streaming(writer.into_stream()))
}

/// Writes an export, a page of rows at a time.
struct Writer {
    ports: Data<Ports>,
    caller: FreshCaller,
    _counted: OpenStream,
    /// Those that are not written to their end.
    parts: VecDeque<ExportPart>,
    /// How far the first of them is written.
    after: Option<ExportCursor>,
    /// Whether a row of it is.
    has_rows: bool,
    /// What goes before all of them, until it is written.
    head: String,
}

impl Writer {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, ApiError>> {
        stream::try_unfold(self, |mut writer| async move {
            let Some(part) = writer.parts.front().copied() else { return Ok(None) };
            let mut text = std::mem::take(&mut writer.head);
            writer.write(part, &mut text).await?;
            Ok(Some((Bytes::from(text), writer)))
        })
    }

    async fn write(&mut self, part: ExportPart, text: &mut String) -> Result<(), ExportError> {
        let is_first = self.after.is_none();
        let page = accounts::export_part(&self.ports, &self.caller, part, self.after.take()).await?;
        if is_first {
            text.extend([",\"", name(part), "\":["]);
        }
        for row in page.items.into_iter().filter_map(written) {
            if std::mem::replace(&mut self.has_rows, true) {
                text.push(',');
            }
            text.push_str(&row);
        }
        self.after = page.next;
        if self.after.is_none() {
            text.push(']');
            self.has_rows = false;
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            text.push('}');
        }
        Ok(())
    }
}

fn name(part: ExportPart) -> &'static str {
    match part {
        ExportPart::Sessions => "sessions",
        ExportPart::Identities => "identities",
        ExportPart::Activity => "activity",
        ExportPart::Usage => "usage",
        ExportPart::Billing => "billing",
        ExportPart::Sync => "sync",
        ExportPart::SyncOfOthers => "syncOfOthers",
        ExportPart::Audit => "audit",
    }
}

/// A row; nothing for what is about notes, which are support's own.
fn written(row: ExportRow) -> Option<String> {
    Some(match row {
        ExportRow::Session(session) => json(&BegunSession::from(&*session)),
        ExportRow::Identity(identity) => json(&IdentityDto::from(identity)),
        ExportRow::Activity(row) => json(&ActivityDto::from(row)),
        ExportRow::Usage(row) => json(&UsageDto::from(row)),
        ExportRow::Billing(record) => json(&RecordDto::from(&record)),
        ExportRow::Sync(row) => json(&SyncEventDto::from(row)),
        ExportRow::Audit(row) if row.action.starts_with("note.") => return None,
        ExportRow::Audit(row) => json(&DoneDto { action: row.action, created_at: time(row.at) }),
    })
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Closed => Self::account_closed(),
            ExportError::TooMany(_) => Self::TooManyRequests(RetryAfter(ROOM)),
            ExportError::Store(store) => Self::Store(store),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    // DTOs always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}
