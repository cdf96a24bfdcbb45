use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get};
use serde::Serialize;
use subtle_application::Ports;
use subtle_application::sessions::{self, EndSession};
use subtle_domain::ids::SessionId;
use utoipa::ToSchema;

use super::dto::{ListQuery, SessionDto};
use crate::cursor;
use crate::problem::ApiError;
use crate::request::{Authenticated, Id, Params};

/// A page of sessions, last used first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionList {
    items: Vec<SessionDto>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// See your sessions.
#[utoipa::path(
    operation_id = "listMySessions",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "Live sessions, last used first", body = SessionList)),
    security(("accessToken" = []))
)]
#[get("/v1/me/sessions")]
pub(super) async fn list(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.0.part(cursor::sessions)?;
    let page = sessions::list_sessions(&ports, &caller.0, after, limit).await?;
    Ok(HttpResponse::Ok().json(SessionList {
        items: page.items.iter().map(|session| SessionDto::new(session, &caller.0.session_id)).collect(),
        next_cursor: page.next.as_ref().map(cursor::of_sessions),
    }))
}

/// End a session.
#[utoipa::path(
    operation_id = "endMySession",
    tag = "me",
    params(("id" = String, Path, description = "Of one of your sessions")),
    responses((status = 204, description = "The session is over")),
    security(("accessToken" = []))
)]
#[delete("/v1/me/sessions/{id}")]
pub(super) async fn end(
    ports: Data<Ports>,
    caller: Authenticated,
    id: Id<SessionId>,
) -> Result<HttpResponse, ApiError> {
    match sessions::end_session(&ports, &caller.0, &id.0).await? {
        EndSession::Ended => Ok(HttpResponse::NoContent().finish()),
        EndSession::NotFound => Err(ApiError::NotFound),
    }
}

/// End all other sessions.
#[utoipa::path(
    operation_id = "endMyOtherSessions",
    tag = "me",
    responses((status = 204, description = "Only the session that asks is left")),
    security(("accessToken" = []))
)]
#[delete("/v1/me/sessions")]
pub(super) async fn end_others(ports: Data<Ports>, caller: Authenticated) -> Result<HttpResponse, ApiError> {
    sessions::end_others(&ports, &caller.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
