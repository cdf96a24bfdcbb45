use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use subtle_application::Ports;
use subtle_application::billing::{self, CloseError};
use subtle_domain::money::Amount;
use subtle_domain::usage::Month;
use utoipa::ToSchema;

use crate::problem::{ApiError, FieldErrors};
use crate::request::{Admin, Json};

/// Which month to close.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct CloseRequest {
    /// A month that is over, UTC.
    #[schema(example = "2026-10")]
    month: String,
}

/// What a close came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::routes) struct Closed {
    #[schema(example = "2026-10")]
    month: String,
    /// Users whose usage was closed by this call, and not before.
    #[schema(example = 120)]
    users: u64,
    /// Bills that were made: usage that rounds to nothing has none.
    #[schema(example = 118)]
    records: u64,
    /// What the bills add up to, US dollars.
    #[schema(example = "1482.07")]
    amount: String,
    /// Users whose usage costs more than a record holds. They stay open.
    too_much: Vec<String>,
}

/// Close a month.
///
/// Each user's usage of the month becomes one pending record, rounded half up to cents. Run again, it goes on where it was interrupted,
/// and bills nobody twice.
#[utoipa::path(
    operation_id = "closeMonth",
    tag = "admin",
    request_body = CloseRequest,
    responses((status = 200, description = "What was closed now", body = Closed)),
    security(("accessToken" = []))
)]
#[post("/v1/admin/billing/close")]
pub(in crate::routes) async fn close(
    ports: Data<Ports>,
    Admin { by, asked: Json(asked) }: Admin<Json<CloseRequest>>,
) -> Result<HttpResponse, ApiError> {
    let mut errors = FieldErrors::default();
    let Some(month) = errors.take("month", Month::parse(&asked.month)) else { return Err(errors.into()) };
    let closed = billing::close_month(&ports, &by, month).await?;
    Ok(HttpResponse::Ok().json(Closed {
        month: closed.month.to_string(),
        users: closed.users,
        records: closed.records,
        amount: subtle_domain::decimal::print(&closed.amount, Amount::SCALE),
        too_much: closed.too_much.iter().map(ToString::to_string).collect(),
    }))
}

impl From<CloseError> for ApiError {
    fn from(error: CloseError) -> Self {
        match error {
            CloseError::NotOver => {
                let mut errors = FieldErrors::default();
                errors.note("month", error);
                errors.into()
            }
            CloseError::Forbidden(why) => why.into(),
            CloseError::Store(store) => Self::Store(store),
        }
    }
}
