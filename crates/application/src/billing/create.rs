use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::billing::{BillingRecord, BillingStatus};
use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::{BillingId, UserId};
use subtle_domain::money::{Amount, Currency};
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::text::Description;

use super::Biller;
use crate::Ports;
use crate::actor::Told;
use crate::admin::Forbidden;
use crate::again::again;
use crate::idempotent::{KeyTaken, Next, Once};

/// A record to be made.
#[derive(Debug, Clone)]
pub struct NewBill {
    /// Who owes it.
    pub user_id: UserId,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What for.
    pub description: Option<Description>,
}

/// Why no record is made.
#[derive(Debug, thiserror::Error)]
pub enum CreateBillError {
    /// There is no such account, or no longer.
    #[error("there is no such account")]
    UnknownUser,
    /// The idempotency key was used for another request.
    #[error(transparent)]
    KeyTaken(#[from] KeyTaken),
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a pending record, or finds the one that the same request made before, as it was then. Record, audit entry and key commit
/// together. With the key only the record's identifier is kept: what it says of a person goes when they are erased.
pub async fn create_bill(
    ports: &Ports,
    by: &Biller,
    new: NewBill,
    request: Repeatable,
) -> Result<BillingRecord, CreateBillError> {
    let now = ports.clock.now();
    let once = Once::new(by.caller(), Some(request), now);
    let record = BillingRecord {
        id: ports.ids.billing_id(),
        user_id: new.user_id,
        amount: new.amount,
        currency: new.currency.as_str().to_owned(),
        status: BillingStatus::Pending,
        description: new.description,
        created_at: now,
    };
    again(|| attempt(ports, by, &record, &once, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Biller,
    record: &BillingRecord,
    once: &Once,
    now: Timestamp,
) -> Result<Result<BillingRecord, CreateBillError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let done = if let Err(lost) = by.confirm(unit.as_mut()).await? {
        Err(lost.into())
    } else {
        match once.claim(unit.as_mut()).await? {
            Next::Answer(id) => made(&id, unit.as_mut()).await?.ok_or(CreateBillError::UnknownUser),
            Next::Refuse(taken) => Err(taken.into()),
            Next::Do if unit.billing().add(record).await? => {
                let told = Told::facts(facts(record));
                let subject = Some(&record.user_id);
                let entry = ports.audit_entry(&by.actor(), AuditAction::BillingCreated, subject, told, now);
                unit.audit().append(&entry).await?;
                once.keep(unit.as_mut(), record.id.as_str()).await?;
                return unit.commit().await.map(|()| Ok(record.clone()));
            }
            Next::Do => Err(CreateBillError::UnknownUser),
        }
    };
    unit.rollback().await.map(|()| done)
}

/// The record as it was made, by what was kept with the key; `None` if it is gone.
async fn made(id: &str, unit: &mut dyn UnitOfWork) -> Result<Option<BillingRecord>, StoreError> {
    let Ok(id) = BillingId::parse(id) else { return Ok(None) };
    let record = unit.billing().find(&id).await?;
    Ok(record.map(|record| BillingRecord { status: BillingStatus::Pending, ..record }))
}

pub(super) fn facts(record: &BillingRecord) -> Vec<(&'static str, String)> {
    vec![
        ("billingId", record.id.to_string()),
        ("amount", record.amount.to_string()),
        ("currency", record.currency.clone()),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, NOW, ada, was};
    use subtle_domain::audit::Origin;
    use subtle_domain::idempotency::Claimed;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::text::IdempotencyKey;
    use subtle_domain::user::Role;

    pub(in crate::billing) fn record(status: BillingStatus) -> BillingRecord {
        BillingRecord {
            id: BillingId::parse("b-new").unwrap(),
            user_id: ada().id,
            amount: Amount::parse("12.50").unwrap(),
            currency: "USD".to_owned(),
            status,
            description: None,
            created_at: NOW,
        }
    }

    async fn ask(by: Biller, unit: MockUnit) -> (Result<BillingRecord, CreateBillError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let amount = Amount::parse("12.5").unwrap();
        let new = NewBill { user_id: ada().id, amount, currency: Currency::USD, description: None };
        let request = Repeatable { key: IdempotencyKey::parse("k").unwrap(), fingerprint: [1; 32] };
        (create_bill(&mocks.ports(), &by, new, request).await, was(&committed))
    }

    #[tokio::test]
    async fn a_record_its_audit_entry_and_its_answer_commit_together() {
        let mut unit = MockUnit::default();
        unit.idempotency
            .expect_claim()
            .withf(|claim| claim.caller == "key:k1")
            .returning(|_| Ok(Claimed::First));
        unit.billing
            .expect_add()
            .withf(|new| *new == record(BillingStatus::Pending))
            .times(1)
            .returning(|_| Ok(true));
        unit.audit
            .expect_append()
            .withf(|entry| {
                entry.action == AuditAction::BillingCreated
                    && entry.actor.as_str() == "grace"
                    && matches!(&entry.origin, Origin::ServiceKey(key, _) if key.as_str() == "k1")
                    && entry.facts.contains(&("amount", "12.50".to_owned()))
            })
            .times(1)
            .returning(|_| Ok(()));
        unit.idempotency.expect_keep().withf(|_, kept| kept == "b-new").times(1).returning(|_, _| Ok(()));
        let (made, committed) = ask(Biller::Service(service()), unit).await;
        assert_eq!(made.unwrap(), record(BillingStatus::Pending));
        assert!(committed);
    }

    #[tokio::test]
    async fn an_unknown_user_owes_nothing_and_the_key_is_not_used_up() {
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::First));
        unit.billing.expect_add().returning(|_| Ok(false));
        let (answer, committed) = ask(Biller::Service(service()), unit).await;
        assert!(matches!(answer, Err(CreateBillError::UnknownUser)));
        assert!(!committed);
    }

    #[tokio::test]
    async fn a_repeated_request_is_answered_as_the_first_time() {
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::Answered("b-new".to_owned())));
        unit.billing.expect_find().returning(|_| Ok(Some(record(BillingStatus::Refunded))));
        let (made, committed) = ask(Biller::Service(service()), unit).await;
        assert_eq!((made.unwrap(), committed), (record(BillingStatus::Pending), false));
    }

    #[tokio::test]
    async fn who_lost_the_privilege_makes_no_record() {
        let (answer, committed) = ask(Biller::Admin(grace()), unit_of_grace(Role::User)).await;
        assert!(matches!(answer, Err(CreateBillError::Forbidden(_))));
        assert!(!committed);
    }
}
