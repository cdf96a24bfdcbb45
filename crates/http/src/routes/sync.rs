use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::Ports;
use subtle_application::sync::{self, NewEvent, TellEventError};
use subtle_domain::sync::{EventName, Place, PlacedEvent};
use subtle_domain::text::ErrorMessage;
use utoipa::{IntoParams, ToSchema};

use super::dto::{List, time};
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Params, Repeat, document};
use crate::turns::Turns;

pub(super) mod stream;

/// Most bytes of what an event carries.
const MOST_DATA: usize = 65_536;

/// Something that one of your apps, or the service, told the others.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SyncEvent)]
pub(super) struct SyncEventDto {
    #[schema(example = "cmb3x0f5e000aabcd1234efgh")]
    id: String,
    /// Where it stands among your events: what `after` and `Last-Event-ID` take.
    #[schema(example = "7")]
    place: String,
    /// What kind of event it is.
    #[schema(example = "settings.changed")]
    event_type: String,
    /// Where it comes from; `subtle` is the service itself.
    #[schema(example = "mac_app")]
    event_source: String,
    /// What is worth knowing about it: any JSON, or null.
    #[schema(value_type = serde_json::Value, example = json!({"theme": "dark"}))]
    data: Option<Box<RawValue>>,
    /// Whether it went well.
    success: bool,
    /// What went wrong.
    #[schema(example = "the disk is full")]
    error_message: Option<String>,
    /// From where it was told.
    #[schema(example = "203.0.113.9")]
    ip_address: Option<String>,
    /// With what it was told.
    #[schema(example = "Subtle/1.0 (Macintosh)")]
    user_agent: Option<String>,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

impl From<PlacedEvent> for SyncEventDto {
    fn from(PlacedEvent { place, event }: PlacedEvent) -> Self {
        Self {
            id: event.id.to_string(),
            place: place.to_string(),
            event_type: event.event_type.as_str().to_owned(),
            event_source: event.source.as_str().to_owned(),
            // It was JSON in the database.
            data: event.data.and_then(|data| RawValue::from_string(data).ok()),
            success: event.success,
            error_message: event.error.map(|error| error.as_str().to_owned()),
            ip_address: event.client.ip_address.map(|address| address.to_string()),
            user_agent: event.client.user_agent,
            created_at: time(event.at),
        }
    }
}

/// Something to tell your other apps.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SyncEventRequest {
    /// 1 to 100 letters, digits, `_`, `.`, `:` or `-`, a letter first.
    #[schema(example = "settings.changed")]
    event_type: String,
    /// Likewise, but not `subtle`.
    #[schema(example = "mac_app")]
    event_source: String,
    /// What is worth knowing about it: any JSON of at most 65,536 bytes.
    #[schema(value_type = Option<serde_json::Value>, example = json!({"theme": "dark"}))]
    data: Option<Box<RawValue>>,
    /// Whether it went well; yes, if it is not said.
    success: Option<bool>,
    /// What went wrong: 1 to 2,000 characters.
    #[schema(example = "the disk is full")]
    error_message: Option<String>,
}

/// Tell your other apps of something.
///
/// It is in the log once this is answered, and goes out to all that follow it at once, on every server. With an `Idempotency-Key` the
/// same request is answered as the first time, and written once.
#[utoipa::path(
    operation_id = "tellSyncEvent",
    tag = "sync",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters")),
    request_body = SyncEventRequest,
    responses(
        (status = 201, description = "The event", body = SyncEventDto),
        (status = 429, description = "Too many events of this account"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/sync/events")]
pub(super) async fn tell(
    ports: Data<Ports>,
    turns: Data<Turns>,
    caller: Authenticated,
    Repeat { body, request }: Repeat<SyncEventRequest>,
) -> Result<HttpResponse, ApiError> {
    let _turn = Turns::take(&turns, caller.0.user_id.as_str()).await?;
    let mut errors = FieldErrors::default();
    let event_type = errors.take("eventType", EventName::parse_type(&body.event_type));
    let source = errors.take("eventSource", EventName::parse_source(&body.event_source));
    let data = errors.take("data", body.data.as_deref().map(|data| document(data, MOST_DATA)).transpose());
    let error = body.error_message.as_deref().map(ErrorMessage::parse).transpose();
    let error = errors.take("errorMessage", error);
    let (Some(event_type), Some(source), Some(data), Some(error)) = (event_type, source, data, error) else {
        return Err(errors.into());
    };
    let new = NewEvent { event_type, source, data, success: body.success.unwrap_or(true), error };
    let event = sync::tell_event(&ports, &caller.0, new, request).await?;
    Ok(HttpResponse::Created().json(SyncEventDto::from(event)))
}

/// Which part of the log is wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The place behind which to begin: that of the last event that is known, or `nextCursor` of the page before. Without it, from
    /// the first.
    #[param(pattern = "^[0-9]{1,18}$", example = "7")]
    after: Option<String>,
    /// Most entries of the page: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

/// See what your apps have told each other.
///
/// Places have no holes. Where the first one is not the next one, the events between are no longer kept.
#[utoipa::path(
    operation_id = "listSyncEvents",
    tag = "sync",
    params(EventsQuery),
    responses((status = 200, description = "A page of the log, oldest first", body = List<SyncEventDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/sync/events")]
pub(super) async fn list(
    ports: Data<Ports>,
    caller: Authenticated,
    Params(query): Params<EventsQuery>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let limit = query.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        errors.note("limit", "must be from 1 to 200");
    }
    let after = errors.take("after", query.after.as_deref().map_or(Ok(Place::START), Place::parse));
    let Some(after) = after.filter(|_| errors.is_empty()) else { return Err(errors.into()) };
    let page = sync::list_events(&ports, &caller.0, after, limit).await?;
    Ok(HttpResponse::Ok().json(List::of(page, SyncEventDto::from, Place::to_string)))
}

impl From<TellEventError> for ApiError {
    fn from(error: TellEventError) -> Self {
        match error {
            TellEventError::Closed => Self::account_closed(),
            TellEventError::TooMany(after) => Self::TooManyRequests(after),
            TellEventError::KeyTaken(_) => Self::KeyTaken,
            TellEventError::Store(store) => Self::Store(store),
        }
    }
}
