use actix_web::web::Data;
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use subtle_application::billing::{self, AdvanceError, Biller, BillingPage, CreateBillError, NewBill};
use subtle_application::{Ports, admin};
use subtle_domain::billing::{BillingQuery, BillingRecord, BillingStatus, BillingTotal};
use subtle_domain::ids::{BillingId, UserId};
use subtle_domain::money::{Amount, Currency};
use subtle_domain::text::Description;
use utoipa::{IntoParams, ToSchema};

use super::dto::{ListQuery, time};
use super::reservations::unknown_user;
use crate::cursor;
use crate::problem::{ApiError, FieldErrors};
use crate::request::{Authenticated, Id, Ledger, Params, Repeat, Support};

pub(super) mod close;

/// What cursors of this list are called.
const LIST: &str = "billing";

/// A record of the ledger.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BillingRecord)]
pub(super) struct RecordDto {
    #[schema(example = "cmb3x0f5e0007abcd1234efgh")]
    id: String,
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// With two decimals.
    #[schema(example = "12.50")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// `pending`, `completed`, `failed` or `refunded`.
    #[schema(example = "pending")]
    status: &'static str,
    #[schema(example = "Usage of 2026-10: 12.4999999999 USD")]
    description: Option<String>,
    #[schema(format = DateTime, example = "2026-11-25T08:00:00.000Z")]
    created_at: String,
}

impl From<&BillingRecord> for RecordDto {
    fn from(record: &BillingRecord) -> Self {
        Self {
            id: record.id.to_string(),
            user_id: record.user_id.to_string(),
            amount: record.amount.to_string(),
            currency: record.currency.clone(),
            status: record.status.as_str(),
            description: record.description.as_ref().map(|text| text.as_str().to_owned()),
            created_at: time(record.created_at),
        }
    }
}

/// What records of one currency and status add up to.
#[derive(Serialize, ToSchema)]
struct TotalDto {
    #[schema(example = "USD")]
    currency: String,
    #[schema(example = "completed")]
    status: &'static str,
    #[schema(example = 3)]
    records: i64,
    /// With two decimals.
    #[schema(example = "37.50")]
    amount: String,
}

impl From<&BillingTotal> for TotalDto {
    fn from(total: &BillingTotal) -> Self {
        Self {
            currency: total.currency.clone(),
            status: total.status.as_str(),
            records: total.records,
            amount: subtle_domain::decimal::print(&total.amount, Amount::SCALE),
        }
    }
}

/// A page of the ledger, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillingList {
    items: Vec<RecordDto>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
    /// What all pages add up to, by currency and status; null on all but the first.
    totals: Option<Vec<TotalDto>>,
}

impl From<BillingPage> for BillingList {
    fn from(page: BillingPage) -> Self {
        Self {
            items: page.records.items.iter().map(RecordDto::from).collect(),
            next_cursor: page.records.next.map(|next| cursor::of_row(LIST, &next)),
            totals: page.totals.map(|totals| totals.iter().map(TotalDto::from).collect()),
        }
    }
}

/// A record to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BillRequest {
    /// Who owes it.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// Above zero, with up to two decimals.
    #[schema(example = "12.50")]
    amount: String,
    /// ISO 4217, in capitals.
    #[schema(example = "USD", default = "USD")]
    currency: Option<String>,
    /// What for: 1 to 500 characters.
    #[schema(example = "Top-up")]
    description: Option<String>,
}

impl BillRequest {
    fn into_bill(self) -> Result<NewBill, ApiError> {
        let mut errors = FieldErrors::default();
        let user_id = errors.take("userId", UserId::parse(&self.user_id));
        let amount = errors.take("amount", Amount::parse(&self.amount));
        let currency = self.currency.as_deref().map_or(Ok(Currency::USD), Currency::parse);
        let currency = errors.take("currency", currency);
        let description = self.description.as_deref().map(Description::parse).transpose();
        let description = errors.take("description", description);
        match (user_id, amount, currency, description) {
            (Some(user_id), Some(amount), Some(currency), Some(description)) => {
                Ok(NewBill { user_id, amount, currency, description })
            }
            _ => Err(errors.into()),
        }
    }
}

/// Make a record of the ledger.
///
/// It is `pending`. For administrators, and for service keys of the scope `billing:write`.
#[utoipa::path(
    operation_id = "createBillingRecord",
    tag = "billing",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters")),
    request_body = BillRequest,
    responses(
        (status = 201, description = "The record", body = RecordDto),
        (status = 403, description = "The key lacks the scope, or the role may not do this"),
    ),
    security(("serviceKey" = []), ("accessToken" = []))
)]
#[post("/v1/billing")]
pub(super) async fn create(
    ports: Data<Ports>,
    Ledger { by, asked }: Ledger<Repeat<BillRequest>>,
) -> Result<HttpResponse, ApiError> {
    let (body, request) = asked.with_key()?;
    let made = billing::create_bill(&ports, &by, body.into_bill()?, request).await?;
    Ok(HttpResponse::Created().json(RecordDto::from(&made)))
}

async fn advance(
    ports: &Ports,
    by: &Biller,
    id: &BillingId,
    to: BillingStatus,
) -> Result<HttpResponse, ApiError> {
    let record = billing::advance(ports, by, id, to).await?;
    Ok(HttpResponse::Ok().json(RecordDto::from(&record)))
}

/// A pending record was paid.
#[utoipa::path(
    operation_id = "completeBillingRecord",
    tag = "billing",
    params(("id" = String, Path, description = "Of a record")),
    responses(
        (status = 200, description = "The record as it is now", body = RecordDto),
        (status = 403, description = "The key lacks the scope, or the role may not do this"),
        (status = 409, description = "The record is not pending"),
    ),
    security(("serviceKey" = []), ("accessToken" = []))
)]
#[post("/v1/billing/{id}/complete")]
pub(super) async fn complete(
    ports: Data<Ports>,
    Ledger { by, asked: Id(id) }: Ledger<Id<BillingId>>,
) -> Result<HttpResponse, ApiError> {
    advance(&ports, &by, &id, BillingStatus::Completed).await
}

/// A pending record could not be collected.
#[utoipa::path(
    operation_id = "failBillingRecord",
    tag = "billing",
    params(("id" = String, Path, description = "Of a record")),
    responses(
        (status = 200, description = "The record as it is now", body = RecordDto),
        (status = 403, description = "The key lacks the scope, or the role may not do this"),
        (status = 409, description = "The record is not pending"),
    ),
    security(("serviceKey" = []), ("accessToken" = []))
)]
#[post("/v1/billing/{id}/fail")]
pub(super) async fn fail(
    ports: Data<Ports>,
    Ledger { by, asked: Id(id) }: Ledger<Id<BillingId>>,
) -> Result<HttpResponse, ApiError> {
    advance(&ports, &by, &id, BillingStatus::Failed).await
}

/// A paid record was given back.
#[utoipa::path(
    operation_id = "refundBillingRecord",
    tag = "billing",
    params(("id" = String, Path, description = "Of a record")),
    responses(
        (status = 200, description = "The record as it is now", body = RecordDto),
        (status = 403, description = "The key lacks the scope, or the role may not do this"),
        (status = 409, description = "The record is not completed"),
    ),
    security(("serviceKey" = []), ("accessToken" = []))
)]
#[post("/v1/billing/{id}/refund")]
pub(super) async fn refund(
    ports: Data<Ports>,
    Ledger { by, asked: Id(id) }: Ledger<Id<BillingId>>,
) -> Result<HttpResponse, ApiError> {
    advance(&ports, &by, &id, BillingStatus::Refunded).await
}

/// See your part of the ledger.
#[utoipa::path(
    operation_id = "listMyBilling",
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first; the first with the sums of all", body = BillingList)),
    security(("accessToken" = []))
)]
#[get("/v1/me/billing")]
pub(super) async fn list_mine(
    ports: Data<Ports>,
    caller: Authenticated,
    query: Params<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.0.part(|text| cursor::row(LIST, text))?;
    let page = billing::list_billing(&ports, &caller.0, after, limit).await?;
    Ok(HttpResponse::Ok().json(BillingList::from(page)))
}

/// See somebody's part of the ledger.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listUserBilling",
    tag = "admin",
    params(("id" = String, Path, description = "Of an account"), ListQuery),
    responses((status = 200, description = "A page, newest first; the first with the sums of all", body = BillingList)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/users/{id}/billing")]
pub(super) async fn list_theirs(
    ports: Data<Ports>,
    Support { by, asked: (Id(id), Params(query)) }: Support<(Id<UserId>, Params<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (after, limit) = query.part(|text| cursor::row(LIST, text))?;
    let page = admin::list_user_billing(&ports, &by, &id, after, limit).await?;
    Ok(HttpResponse::Ok().json(BillingList::from(page.ok_or(ApiError::NotFound)?)))
}

/// Which part of the ledger is wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct LedgerQuery {
    /// `pending`, `completed`, `failed` or `refunded`.
    status: Option<String>,
    /// Of one account only.
    user_id: Option<String>,
    /// Most entries of the page: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl LedgerQuery {
    fn into_parts(self) -> Result<(BillingQuery, ListQuery), ApiError> {
        let mut errors = FieldErrors::default();
        let status = |text: &str| BillingStatus::ALL.into_iter().find(|status| status.as_str() == text);
        let status = self
            .status
            .as_deref()
            .map(|text| status(text).ok_or("must be pending, completed, failed or refunded"));
        let status = errors.take("status", status.transpose());
        let user_id = errors.take("userId", self.user_id.as_deref().map(UserId::parse).transpose());
        match (status, user_id) {
            (Some(status), Some(user_id)) => {
                Ok((BillingQuery { user_id, status }, ListQuery::new(self.limit, self.cursor)))
            }
            _ => Err(errors.into()),
        }
    }
}

/// See the ledger.
///
/// For support and administrators.
#[utoipa::path(
    operation_id = "listBilling",
    tag = "admin",
    params(LedgerQuery),
    responses((status = 200, description = "A page, newest first; the first with the sums of all that match", body = BillingList)),
    security(("accessToken" = []))
)]
#[get("/v1/admin/billing")]
pub(super) async fn list(
    ports: Data<Ports>,
    Support { by, asked: Params(query) }: Support<Params<LedgerQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (query, part) = query.into_parts()?;
    let (after, limit) = part.part(|text| cursor::row(LIST, text))?;
    let page = admin::list_all_billing(&ports, &by, &query, after, limit).await?;
    Ok(HttpResponse::Ok().json(BillingList::from(page)))
}

impl From<CreateBillError> for ApiError {
    fn from(error: CreateBillError) -> Self {
        match error {
            CreateBillError::UnknownUser => unknown_user(),
            CreateBillError::KeyTaken(_) => Self::KeyTaken,
            CreateBillError::Forbidden(why) => why.into(),
            CreateBillError::Store(store) => Self::Store(store),
        }
    }
}

impl From<AdvanceError> for ApiError {
    fn from(error: AdvanceError) -> Self {
        match error {
            AdvanceError::NotFound => Self::NotFound,
            AdvanceError::Transition(forbidden) => Self::Transition(forbidden),
            AdvanceError::Forbidden(why) => why.into(),
            AdvanceError::Store(store) => Self::Store(store),
        }
    }
}
