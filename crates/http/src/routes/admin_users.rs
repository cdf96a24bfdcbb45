use actix_web::web::Data;
use actix_web::{HttpResponse, delete, get, patch, post};
use serde::Serialize;
use subtle_application::Ports;
use subtle_application::admin::{self, ChangeUserError};
use subtle_domain::directory::{PageStart, UserPage, UserQuery, UserRow};
use subtle_domain::ids::UserId;
use subtle_domain::user::User;
use utoipa::ToSchema;

use super::dto::{UserDto, time};
use crate::cursor;
use crate::problem::ApiError;
use crate::request::{Admin, Id, Json, Params};

mod change_request;
mod list_query;

use change_request::ChangeRequest;
use list_query::UserListQuery;

/// An account, as administrators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdminUser {
    #[serde(flatten)]
    user: UserDto,
    /// Since when it is closed; null while it is open.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    disabled_at: Option<String>,
}

impl From<&User> for AdminUser {
    fn from(user: &User) -> Self {
        Self { user: user.into(), disabled_at: user.disabled_at.map(time) }
    }
}

/// An account with its counts.
#[derive(Serialize, ToSchema)]
pub(super) struct CountedUser {
    #[serde(flatten)]
    user: AdminUser,
    counts: Counts,
}

/// How many rows an account has.
#[derive(Serialize, ToSchema)]
struct Counts {
    /// In its activity timeline.
    #[schema(example = 42)]
    activity: i64,
    /// Of usage.
    #[schema(example = 7)]
    usage: i64,
}

impl From<&UserRow> for CountedUser {
    fn from(row: &UserRow) -> Self {
        Self { user: (&row.user).into(), counts: Counts { activity: row.activity, usage: row.usage } }
    }
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserList {
    users: Vec<CountedUser>,
    /// Accounts that match, on all pages.
    #[schema(example = 1024)]
    total: i64,
    /// Pages of this size.
    #[schema(example = 52)]
    total_pages: i64,
    /// The page's number; null where a cursor was given.
    #[schema(example = 1)]
    current_page: Option<u32>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

impl UserList {
    /// A page that answers a query.
    #[must_use]
    pub fn of(page: &UserPage, query: &UserQuery) -> Self {
        let size = i64::from(query.page_size);
        Self {
            users: page.users.iter().map(CountedUser::from).collect(),
            total: page.total,
            total_pages: (page.total + size - 1) / size,
            current_page: match query.start {
                PageStart::Number(number) => Some(number),
                PageStart::After(_) => None,
            },
            next_cursor: page.next.as_ref().map(|next| cursor::of_users(next, query.sort)),
        }
    }
}

/// List accounts.
///
/// By page number, as in `?page=3&pageSize=20`, or from place to place with `?cursor=`, which misses and doubles nobody while
/// accounts come and go. Erased accounts are not listed.
#[utoipa::path(
    operation_id = "listUsers",
    tag = "admin",
    params(UserListQuery),
    responses((status = 200, description = "A page of accounts", body = UserList)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users")]
pub(super) async fn list(
    ports: Data<Ports>,
    Admin { by, asked: Params(query) }: Admin<Params<UserListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let query = query.into_query()?;
    let page = admin::list_users(&ports, &by, &query).await?;
    Ok(HttpResponse::Ok().json(UserList::of(&page, &query)))
}

/// See an account.
#[utoipa::path(
    operation_id = "showUser",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses((status = 200, description = "The account with its counts", body = CountedUser)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}")]
pub(super) async fn show(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    let row = admin::show_user(&ports, &by, &id).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(CountedUser::from(&row)))
}

/// Change an account.
///
/// The change and its audit entry commit together.
#[utoipa::path(
    operation_id = "changeUser",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    request_body = ChangeRequest,
    responses(
        (status = 200, description = "The account as it is now", body = AdminUser),
        (status = 409, description = "Administrators do not demote themselves"),
    ),
    security(("accessToken" = []))
)]
#[patch("/v1/admin/users/{id}")]
pub(super) async fn change(
    ports: Data<Ports>,
    Admin { by, asked: (Id(id), Json(change)) }: Admin<(Id<UserId>, Json<ChangeRequest>)>,
) -> Result<HttpResponse, ApiError> {
    let user = admin::change_user(&ports, &by, &id, change.into_change()?).await?;
    Ok(HttpResponse::Ok().json(AdminUser::from(&user)))
}

/// Delete an account.
///
/// Everything that is about the person is erased; usage and ledger stay, attached to nobody.
#[utoipa::path(
    operation_id = "deleteUser",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses(
        (status = 204, description = "The person is erased"),
        (status = 409, description = "Administrators do not delete themselves here"),
    ),
    security(("accessToken" = []))
)]
#[delete("/v1/admin/users/{id}")]
pub(super) async fn erase(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    admin::erase_user(&ports, &by, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Close an account.
///
/// Its sessions end at once, and nobody signs in to it.
#[utoipa::path(
    operation_id = "disableUser",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses(
        (status = 200, description = "The account as it is now", body = AdminUser),
        (status = 409, description = "Administrators do not disable themselves"),
    ),
    security(("accessToken" = []))
)]
#[post("/v1/admin/users/{id}/disable")]
pub(super) async fn disable(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    let user = admin::disable_user(&ports, &by, &id).await?;
    Ok(HttpResponse::Ok().json(AdminUser::from(&user)))
}

/// Open a closed account again.
///
/// Its sessions stay ended.
#[utoipa::path(
    operation_id = "enableUser",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account")),
    responses((status = 200, description = "The account as it is now", body = AdminUser)),
    security(("accessToken" = []))
)]
#[post("/v1/admin/users/{id}/enable")]
pub(super) async fn enable(
    ports: Data<Ports>,
    Admin { by, asked: Id(id) }: Admin<Id<UserId>>,
) -> Result<HttpResponse, ApiError> {
    let user = admin::enable_user(&ports, &by, &id).await?;
    Ok(HttpResponse::Ok().json(AdminUser::from(&user)))
}

impl From<ChangeUserError> for ApiError {
    fn from(error: ChangeUserError) -> Self {
        match error {
            ChangeUserError::NotFound => Self::NotFound,
            ChangeUserError::OwnAccount => Self::OwnAccount,
            ChangeUserError::Forbidden(why) => why.into(),
            ChangeUserError::Store(store) => Self::Store(store),
        }
    }
}
