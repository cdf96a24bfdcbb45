use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use subtle_application::Ports;
use subtle_application::admin::show_stats;
use utoipa::ToSchema;

use crate::problem::ApiError;
use crate::request::Admin;

/// The figures over all accounts. Days begin at midnight UTC.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    /// Accounts that are not erased.
    #[schema(example = 1024)]
    total_users: i64,
    /// Those with activity today.
    #[schema(example = 311)]
    active_users_today: i64,
    /// Those made within the last seven days.
    #[schema(example = 57)]
    new_users_this_week: i64,
    /// Rows of usage.
    #[schema(example = 90210)]
    total_usage_metrics: i64,
    /// Those made today.
    #[schema(example = 8)]
    new_users_today: i64,
}

/// See the figures over all accounts.
#[utoipa::path(
    operation_id = "showStats",
    tag = "admin",
    responses((status = 200, description = "The figures as of now", body = Stats)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/stats")]
pub(super) async fn show(ports: Data<Ports>, admin: Admin<()>) -> Result<HttpResponse, ApiError> {
    let stats = show_stats(&ports, &admin.by).await?;
    Ok(HttpResponse::Ok().json(Stats {
        total_users: stats.total_users,
        active_users_today: stats.active_users_today,
        new_users_this_week: stats.new_users_this_week,
        total_usage_metrics: stats.total_usage_metrics,
        new_users_today: stats.new_users_today,
    }))
}
