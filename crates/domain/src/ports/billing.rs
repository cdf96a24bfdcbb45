use async_trait::async_trait;

use super::StoreError;
use crate::billing::{
    BillingCursor, BillingQuery, BillingRecord, BillingStatus, BillingTotal, Closing, MonthlyCost,
};
use crate::ids::{BillingId, UserId};
use crate::usage::Month;

/// Reading in the ledger.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Billing: Send + Sync {
    /// A page of the ledger, newest first: at most `limit` records behind `after`.
    async fn records(
        &self,
        query: &BillingQuery,
        after: Option<BillingCursor>,
        limit: u32,
    ) -> Result<Vec<BillingRecord>, StoreError>;
    /// What the records add up to, by currency and status.
    async fn totals(&self, query: &BillingQuery) -> Result<Vec<BillingTotal>, StoreError>;
    /// What the usage of a month that is not closed yet costs, by user in the order of their identifiers: at most `limit` users
    /// behind `after`. Read from the daily rollup.
    async fn open_month(
        &self,
        month: Month,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<MonthlyCost>, StoreError>;
}

/// The ledger inside a unit of work.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BillingRepository: Send {
    /// Writes a new record; `false` if there is no such account, or no longer.
    async fn add(&mut self, record: &BillingRecord) -> Result<bool, StoreError>;
    /// The record of an identifier.
    async fn find(&mut self, id: &BillingId) -> Result<Option<BillingRecord>, StoreError>;
    /// Moves a record on, if it still stands at `from`.
    async fn transition(
        &mut self,
        record: &BillingRecord,
        from: BillingStatus,
        to: BillingStatus,
    ) -> Result<bool, StoreError>;
    /// What the usage of a month costs these users, who are there. None of them is recorded more of it before this unit of work ends,
    /// and all that was is counted.
    async fn settled_costs(&mut self, month: Month, users: &[UserId])
    -> Result<Vec<MonthlyCost>, StoreError>;
    /// Closes months of users, with their bills; those that are closed already are left alone. Gives the users that were closed now.
    async fn close(&mut self, closings: &[Closing]) -> Result<Vec<UserId>, StoreError>;
}
