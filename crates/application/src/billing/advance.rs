use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditAction, FieldChange};
use subtle_domain::billing::{BillingRecord, BillingStatus, ForbiddenTransition};
use subtle_domain::ids::BillingId;
use subtle_domain::ports::StoreError;

use super::Biller;
use super::create::facts;
use crate::Ports;
use crate::actor::Told;
use crate::admin::Forbidden;
use crate::again::again;

/// Why a record stays where it stands.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// There is no such step.
    #[error(transparent)]
    Transition(#[from] ForbiddenTransition),
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Moves a record on to another state. Of those who do so at once one succeeds.
pub async fn advance(
    ports: &Ports,
    by: &Biller,
    id: &BillingId,
    to: BillingStatus,
) -> Result<BillingRecord, AdvanceError> {
    let now = ports.clock.now();
    again(|| attempt(ports, by, id, to, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Biller,
    id: &BillingId,
    to: BillingStatus,
    now: Timestamp,
) -> Result<Result<BillingRecord, AdvanceError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let refused = if let Err(lost) = by.confirm(unit.as_mut()).await? {
        lost.into()
    } else {
        match unit.billing().find(id).await? {
            None => AdvanceError::NotFound,
            Some(record) => match record.status.transition_to(to) {
                Err(forbidden) => forbidden.into(),
                Ok(_) if unit.billing().transition(&record, record.status, to).await? => {
                    let told = Told { changes: vec![change(record.status, to)], facts: facts(&record) };
                    let subject = Some(&record.user_id);
                    let entry =
                        ports.audit_entry(&by.actor(), AuditAction::BillingChanged, subject, told, now);
                    unit.audit().append(&entry).await?;
                    unit.commit().await?;
                    return Ok(Ok(BillingRecord { status: to, ..record }));
                }
                Ok(_) => {
                    unit.rollback().await?;
                    return Err(StoreError::Again("somebody else moved the record on".into()));
                }
            },
        }
    };
    unit.rollback().await.map(|()| Err(refused))
}

fn change(from: BillingStatus, to: BillingStatus) -> FieldChange {
    FieldChange { field: "status", before: Some(from.to_string()), after: Some(to.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::super::create::tests::record;
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::test_ports::{self, was};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::Role;

    fn unit(found: Option<BillingRecord>) -> MockUnit {
        let mut unit = unit_of_grace(Role::Admin);
        unit.billing.expect_find().returning(move |_| Ok(found.clone()));
        unit
    }

    async fn ask(unit: MockUnit, to: BillingStatus) -> (Result<BillingRecord, AdvanceError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let id = BillingId::parse("b-new").unwrap();
        (advance(&mocks.ports(), &Biller::Admin(grace()), &id, to).await, was(&committed))
    }

    #[tokio::test]
    async fn each_pair_of_states_is_a_step_or_a_refusal_that_names_them() {
        for from in BillingStatus::ALL {
            for to in BillingStatus::ALL {
                let allowed = from.transition_to(to).is_ok();
                let mut unit = unit(Some(record(from)));
                if allowed {
                    unit.billing.expect_transition().times(1).returning(|_, _, _| Ok(true));
                    unit.audit.expect_append().times(1).returning(|entry| {
                        assert_eq!(entry.action, AuditAction::BillingChanged);
                        assert_eq!(entry.changes.len(), 1);
                        Ok(())
                    });
                }
                let (moved, committed) = ask(unit, to).await;
                assert_eq!(committed, allowed, "{from} {to}");
                match moved {
                    Ok(moved) => assert_eq!(moved.status, to),
                    Err(error) => {
                        assert_eq!(error.to_string(), format!("a {from} record cannot become {to}"));
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn who_comes_second_decides_again_on_what_the_first_left() {
        let mut mocks = test_ports::Mocks::default();
        let mut first = unit(Some(record(BillingStatus::Completed)));
        first.billing.expect_transition().returning(|_, _, _| Ok(false));
        let mut units = vec![unit(Some(record(BillingStatus::Refunded))), first];
        mocks.store.expect_begin().times(2).returning(move || Ok(Box::new(units.pop().unwrap())));
        let id = BillingId::parse("b-new").unwrap();
        let by = Biller::Admin(grace());
        let refused = advance(&mocks.ports(), &by, &id, BillingStatus::Refunded).await;
        assert!(matches!(refused, Err(AdvanceError::Transition(_))));
    }

    #[tokio::test]
    async fn a_missing_record_is_told() {
        let (moved, committed) = ask(unit(None), BillingStatus::Completed).await;
        assert!(matches!(moved, Err(AdvanceError::NotFound)));
        assert!(!committed);
    }
}
