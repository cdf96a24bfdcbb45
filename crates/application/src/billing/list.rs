use subtle_domain::billing::{BillingCursor, BillingQuery, BillingRecord, BillingTotal};
use subtle_domain::ports::StoreError;

use crate::sessions::Caller;
use crate::{Page, Ports};

/// A page of the ledger, newest first.
pub type BillingPage = Page<BillingRecord, BillingCursor>;

/// Shows the caller a page of their part of the ledger.
pub async fn list_billing(
    ports: &Ports,
    caller: &Caller,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<BillingPage, StoreError> {
    page(ports, &BillingQuery { user_id: Some(caller.user_id.clone()), status: None }, after, limit).await
}

/// Shows the caller what their part of the ledger adds up to, by currency and status.
pub async fn total_billing(ports: &Ports, caller: &Caller) -> Result<Vec<BillingTotal>, StoreError> {
    ports.billing.totals(&BillingQuery { user_id: Some(caller.user_id.clone()), status: None }).await
}

pub(crate) async fn page(
    ports: &Ports,
    query: &BillingQuery,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<BillingPage, StoreError> {
    let records = ports.billing.records(query, after, BillingPage::reach(limit)).await?;
    Ok(Page::of(records, limit, |last| (last.created_at, last.id.to_string())))
}
