use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::billing::Closing;
use subtle_domain::ids::UserId;
use subtle_domain::ports::StoreError;
use subtle_domain::usage::Month;

use super::create;
use crate::Ports;
use crate::actor::{Actor, Told};
use crate::admin::{Forbidden, Privileged};
use crate::again::again;

/// How many users are closed in one unit of work: few enough for a short one, many enough for a quick close.
const TOGETHER: u32 = 200;

/// What the close of a month came to, this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedMonth {
    /// The month.
    pub month: Month,
    /// Users whose usage was closed now. Those of an earlier close are not counted again.
    pub users: u64,
    /// Bills that were made now: a user whose usage rounds to nothing has none.
    pub records: u64,
    /// What the bills add up to.
    pub amount: bigdecimal::BigDecimal,
    /// Users whose usage costs more than a record holds. They stay open.
    pub too_much: Vec<UserId>,
}

/// Why a month is not closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It is not over.
    #[error("the month is not over")]
    NotOver,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was closed in one unit of work.
struct Part {
    /// The closings that were made now.
    closed: Vec<Closing>,
    too_much: Vec<UserId>,
}

/// Makes one pending record of each user's usage of a month. What was closed before is left alone, so a close that was interrupted
/// is simply run again.
pub async fn close_month(ports: &Ports, by: &Privileged, month: Month) -> Result<ClosedMonth, CloseError> {
    let now = ports.clock.now();
    if month.end() > now {
        return Err(CloseError::NotOver);
    }
    let mut total = ClosedMonth { month, users: 0, records: 0, amount: 0.into(), too_much: Vec::new() };
    let mut after = None;
    loop {
        let open = ports.billing.open_month(month, after.take(), TOGETHER).await?;
        let users: Vec<UserId> = open.into_iter().map(|cost| cost.user_id).collect();
        let Some(last) = users.last() else { return Ok(total) };
        after = Some(last.clone());
        let part = again(|| attempt(ports, by, month, &users, now)).await??;
        total.too_much.extend(part.too_much);
        for closing in part.closed {
            total.users += 1;
            if let Some(record) = closing.record {
                total.records += 1;
                total.amount += record.amount.value();
            }
        }
    }
}

/// Closes a month of some users who were open a moment ago. Their usage is summed once nothing can be added to it any more: what was
/// recorded is billed, and what is not billed comes after the close.
async fn attempt(
    ports: &Ports,
    by: &Privileged,
    month: Month,
    users: &[UserId],
    now: Timestamp,
) -> Result<Result<Part, Forbidden>, StoreError> {
    let mut unit = ports.store.begin().await?;
    if let Err(lost) = by.confirm(unit.as_mut()).await? {
        return unit.rollback().await.map(|()| Err(lost));
    }
    let (mut closings, mut too_much) = (Vec::new(), Vec::new());
    for cost in unit.billing().settled_costs(month, users).await? {
        let user = cost.user_id.clone();
        match Closing::new(month, cost, ports.ids.billing_id(), now) {
            Ok(closing) => closings.push(closing),
            Err(_over_the_column) => too_much.push(user),
        }
    }
    let new = unit.billing().close(&closings).await?;
    closings.retain(|closing| new.contains(&closing.cost.user_id));
    let part = Part { closed: closings, too_much };
    if part.closed.is_empty() {
        return unit.rollback().await.map(|()| Ok(part));
    }
    for bill in part.closed.iter().filter_map(|closing| closing.record.as_ref()) {
        let facts = [vec![("month", month.to_string())], create::facts(bill)].concat();
        let (action, subject) = (AuditAction::BillingClosed, Some(&bill.user_id));
        let entry = ports.audit_entry(&Actor::from(by), action, subject, Told::facts(facts), now);
        unit.audit().append(&entry).await?;
    }
    unit.commit().await.map(|()| Ok(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::test_ports::{self, was};
    use subtle_domain::billing::MonthlyCost;
    use subtle_domain::user::Role;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn cost(name: &str, total: &str) -> MonthlyCost {
        MonthlyCost { user_id: user(name), total: total.parse().unwrap() }
    }

    fn month() -> Month {
        Month::parse("2023-10").unwrap()
    }

    #[tokio::test]
    async fn what_is_open_is_billed_once_and_what_was_closed_meanwhile_is_not_counted() {
        let mut mocks = test_ports::Mocks::default();
        mocks.billing.expect_open_month().withf(|_, after, _| after.is_none()).times(1).returning(
            |_, _, _| Ok(vec![cost("a", "1"), cost("b", "0.001"), cost("c", "7"), cost("d", "123456789012")]),
        );
        mocks
            .billing
            .expect_open_month()
            .withf(|_, after, _| *after == Some(user("d")))
            .times(1)
            .returning(|_, _, _| Ok(Vec::new()));
        let mut unit = unit_of_grace(Role::Admin);
        // Something was recorded for a in between.
        unit.billing.expect_settled_costs().withf(|_, users| users.len() == 4).times(1).returning(|_, _| {
            Ok(vec![cost("a", "1.005"), cost("b", "0.001"), cost("c", "7"), cost("d", "123456789012")])
        });
        // Somebody else closed c's month in between.
        unit.billing.expect_close().times(1).returning(|closings| {
            assert_eq!(closings.len(), 3);
            Ok(vec![user("a"), user("b")])
        });
        unit.audit
            .expect_append()
            .withf(|entry| {
                entry.action == AuditAction::BillingClosed
                    && entry.subject == Some(user("a"))
                    && entry.facts.contains(&("amount", "1.01".to_owned()))
            })
            .times(1)
            .returning(|_| Ok(()));
        let committed = mocks.expect_unit(unit);
        let closed = close_month(&mocks.ports(), &grace(), month()).await.unwrap();
        assert_eq!((closed.users, closed.records, closed.amount.to_string().as_str()), (2, 1, "1.01"));
        assert_eq!(closed.too_much, [user("d")]);
        assert!(was(&committed));
    }

    #[tokio::test]
    async fn a_month_that_is_not_over_is_not_closed() {
        // NOW is in November 2023.
        let refused =
            close_month(&test_ports::Mocks::default().ports(), &grace(), Month::parse("2023-11").unwrap())
                .await;
        assert!(matches!(refused, Err(CloseError::NotOver)));
    }

    #[tokio::test]
    async fn a_closed_month_closes_again_to_nothing() {
        let mut mocks = test_ports::Mocks::default();
        mocks.billing.expect_open_month().returning(|_, _, _| Ok(Vec::new()));
        let closed = close_month(&mocks.ports(), &grace(), month()).await.unwrap();
        assert_eq!((closed.users, closed.records), (0, 0));
    }
}
