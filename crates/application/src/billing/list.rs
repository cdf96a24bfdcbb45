use subtle_domain::billing::{BillingCursor, BillingQuery, BillingRecord, BillingTotal};
use subtle_domain::ports::StoreError;

use crate::sessions::Caller;
use crate::{Page, Ports};

/// A page of the ledger, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingPage {
    /// The records.
    pub records: Page<BillingRecord, BillingCursor>,
    /// What all pages add up to, by currency and status. Only the first page tells: it reads all that is wanted of the ledger.
    pub totals: Option<Vec<BillingTotal>>,
}

/// Shows the caller a page of their part of the ledger.
pub async fn list_billing(
    ports: &Ports,
    caller: &Caller,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<BillingPage, StoreError> {
    page(ports, &BillingQuery { user_id: Some(caller.user_id.clone()), status: None }, after, limit).await
}

pub(crate) async fn page(
    ports: &Ports,
    query: &BillingQuery,
    after: Option<BillingCursor>,
    limit: u32,
) -> Result<BillingPage, StoreError> {
    let totals = match after {
        Some(_) => None,
        None => Some(ports.billing.totals(query).await?),
    };
    let reach = Page::<BillingRecord, BillingCursor>::reach(limit);
    let records = ports.billing.records(query, after, reach).await?;
    let records = Page::of(records, limit, |last| (last.created_at, last.id.to_string()));
    Ok(BillingPage { records, totals })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller};

    #[tokio::test]
    async fn the_first_page_alone_tells_what_all_of_it_adds_up_to() {
        let mut mocks = test_ports::Mocks::default();
        let of_ada = |query: &BillingQuery| query.user_id == Some(ada().id);
        mocks.billing.expect_totals().withf(of_ada).times(1).returning(|_| Ok(Vec::new()));
        mocks.billing.expect_records().times(2).returning(|_, _, _| Ok(Vec::new()));
        let ports = mocks.ports();
        let first = list_billing(&ports, &caller(), None, 10).await.unwrap();
        assert_eq!(first.totals, Some(Vec::new()));
        let next = list_billing(&ports, &caller(), Some((NOW, "b1".to_owned())), 10).await.unwrap();
        assert_eq!(next.totals, None);
    }
}
