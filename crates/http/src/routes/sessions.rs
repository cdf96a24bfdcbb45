use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get};
use subtle_application::admin::EndSessionsError;
use subtle_application::sessions::{self, EndSession};
use subtle_application::{Ports, admin};
use subtle_domain::ids::{SessionId, UserId};

use super::dto::{List, ListQuery, SessionDto};
use crate::cursor;
use crate::problem::ApiError;
use crate::request::{Admin, Authenticated, Id, Ids, Params, Support};

/// See your sessions.
#[utoipa::path(
    operation_id = "listMySessions",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "Live sessions, last used first", body = List<SessionDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/me/sessions")]
pub(super) async fn list_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.0.part(cursor::sessions)?;
    let page = sessions::list_sessions(&ports, &caller.0, after, limit).await?;
    let item = |session| SessionDto::new(&session, Some(&caller.0.session_id));
    Ok(HttpResponse::Ok().json(List::of(page, item, cursor::of_sessions)))
}

/// See somebody's sessions.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listUserSessions",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "Live sessions, last used first", body = List<SessionDto>)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/sessions")]
pub(super) async fn list_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(cursor::sessions)?;
    let page = admin::list_user_sessions(&ports, &by, &id, after, limit).await?.ok_or(ApiError::NotFound)?;
    let item = |session| SessionDto::new(&session, None);
    Ok(HttpResponse::Ok().json(List::of(page, item, cursor::of_sessions)))
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

/// End one of somebody's sessions.
///
/// For administrators. Its access tokens are refused within a second on every server.
#[utoipa::path(
    operation_id = "endUserSession",
    tag = "admin",
    params(
        ("id" = String, Path, description = "Of an account"),
        ("sessionId" = String, Path, description = "Of one of its sessions"),
    ),
    responses((status = 204, description = "The session is over")),
    security(("accessToken" = []))
)]
#[delete("/v1/admin/users/{id}/sessions/{sessionId}")]
pub(super) async fn end_theirs(
    ports: Data<Ports>,
    Admin { by, asked: Ids(id, session) }: Admin<Ids<UserId, SessionId>>,
) -> Result<HttpResponse, ApiError> {
    admin::end_user_session(&ports, &by, &id, &session).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End all of somebody's sessions.
///
/// For administrators.
#[utoipa::path(
    operation_id = "endUserSessions",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses((status = 204, description = "They are signed in nowhere")),
    security(("accessToken" = []))
)]
#[delete("/v1/admin/users/{id}/sessions")]
pub(super) async fn end_all_theirs(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    admin::end_user_sessions(&ports, &by, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<EndSessionsError> for ApiError {
    fn from(error: EndSessionsError) -> Self {
        match error {
            EndSessionsError::NotFound => Self::NotFound,
            EndSessionsError::Forbidden(why) => why.into(),
            EndSessionsError::Store(store) => Self::Store(store),
        }
    }
}
