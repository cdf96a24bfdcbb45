//! Rows of `billing_history`, read; and closings turned into columns, written.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use diesel::prelude::*;
use subtle_domain::Timestamp;
use subtle_domain::billing::{BillingRecord, BillingStatus, Closing};
use subtle_domain::ids::{BillingId, UserId};
use subtle_domain::money::Amount;
use subtle_domain::ports::StoreError;
use subtle_domain::text::Description;

use crate::error::corrupt;
use crate::schema::billing_history;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = billing_history, check_for_backend(diesel::pg::Pg))]
pub(super) struct RecordRow {
    id: String,
    user_id: String,
    amount: BigDecimal,
    currency: String,
    status: String,
    description: Option<String>,
    created_at: Timestamp,
}

/// Where a record stands, by the name under which that is stored.
pub(super) fn status(text: &str) -> Result<BillingStatus, StoreError> {
    BillingStatus::parse(text).ok_or_else(|| corrupt("billing_history", "status"))
}

impl TryFrom<RecordRow> for BillingRecord {
    type Error = StoreError;

    fn try_from(row: RecordRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: BillingId::try_from(row.id).map_err(|_invalid| corrupt("billing_history", "id"))?,
            user_id: UserId::try_from(row.user_id)
                .map_err(|_invalid| corrupt("billing_history", "user_id"))?,
            amount: Amount::from_stored(row.amount),
            currency: row.currency,
            status: status(&row.status)?,
            description: row.description.map(Description::from_stored),
            created_at: row.created_at,
        })
    }
}

/// Closings and their bills, column by column.
pub(super) struct Columns<'a> {
    pub(super) users: Vec<&'a str>,
    pub(super) months: Vec<NaiveDate>,
    pub(super) totals: Vec<&'a BigDecimal>,
    pub(super) ids: Vec<Option<&'a str>>,
    pub(super) amounts: Vec<Option<&'a BigDecimal>>,
    pub(super) currencies: Vec<Option<&'a str>>,
    pub(super) states: Vec<Option<&'static str>>,
    pub(super) descriptions: Vec<Option<&'a str>>,
    pub(super) times: Vec<Option<Timestamp>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(closings: &'a [Closing]) -> Self {
        let bills = || closings.iter().map(|closing| closing.record.as_ref());
        Self {
            users: closings.iter().map(|closing| closing.cost.user_id.as_str()).collect(),
            months: closings.iter().map(|closing| closing.month.days().from).collect(),
            totals: closings.iter().map(|closing| &closing.cost.total).collect(),
            ids: bills().map(|bill| bill.map(|bill| bill.id.as_str())).collect(),
            amounts: bills().map(|bill| bill.map(|bill| bill.amount.value())).collect(),
            currencies: bills().map(|bill| bill.map(|bill| bill.currency.as_str())).collect(),
            states: bills().map(|bill| bill.map(|bill| bill.status.as_str())).collect(),
            descriptions: bills()
                .map(|bill| bill.and_then(|bill| bill.description.as_ref()).map(Description::as_str))
                .collect(),
            times: bills().map(|bill| bill.map(|bill| bill.created_at)).collect(),
        }
    }
}
