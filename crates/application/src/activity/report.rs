use subtle_domain::activity::ReportedActivity;
use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::{ActivityId, UserId};
use subtle_domain::ports::StoreError;
use subtle_domain::text::Label;

use crate::Ports;
use crate::again::again;
use crate::idempotent::{KeyTaken, Next, Once};
use crate::service_keys::Service;

/// What a program tells of what happened on an account.
#[derive(Debug, Clone)]
pub struct NewActivity {
    /// On whose account.
    pub user_id: UserId,
    /// What happened.
    pub action: Label,
    /// What is worth knowing about it: a JSON document, if there is one.
    pub data: Option<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ReportActivityError {
    /// The idempotency key was used for another request.
    #[error(transparent)]
    KeyTaken(#[from] KeyTaken),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes into people's timelines what a program tells, and gives the answer that `render` makes of what became of each event: the
/// row that it is, or `None` where there is no such account. Rows, key and answer commit together.
pub async fn report_activity(
    ports: &Ports,
    by: &Service,
    events: Vec<NewActivity>,
    request: Option<Repeatable>,
    render: &(dyn Fn(&[Option<ActivityId>]) -> String + Sync),
) -> Result<String, ReportActivityError> {
    let now = ports.clock.now();
    let once = Once::new(by.caller(), request, now);
    let reported: Vec<_> = events
        .into_iter()
        .map(|NewActivity { user_id, action, data }| ReportedActivity {
            id: ports.ids.activity_id(),
            user_id,
            action,
            data,
            at: now,
        })
        .collect();
    again(|| attempt(ports, &reported, &once, render)).await?
}

async fn attempt(
    ports: &Ports,
    reported: &[ReportedActivity],
    once: &Once,
    render: &(dyn Fn(&[Option<ActivityId>]) -> String + Sync),
) -> Result<Result<String, ReportActivityError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let known = match once.claim(unit.as_mut()).await? {
        Next::Answer(answer) => Ok(answer),
        Next::Refuse(taken) => Err(taken.into()),
        Next::Do => {
            let written = unit.activity().report(reported).await?;
            let rows = reported.iter().zip(written);
            let rows: Vec<_> = rows.map(|(event, written)| written.then(|| event.id.clone())).collect();
            let answer = render(&rows);
            once.keep(unit.as_mut(), &answer).await?;
            return unit.commit().await.map(|()| Ok(answer));
        }
    };
    unit.rollback().await.map(|()| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, NOW, ada, was};
    use subtle_domain::idempotency::Claimed;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::text::IdempotencyKey;

    async fn ask(unit: MockUnit, key: Option<&str>) -> (Result<String, ReportActivityError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let event = NewActivity { user_id: ada().id, action: Label::parse("export").unwrap(), data: None };
        let request =
            key.map(|key| Repeatable { key: IdempotencyKey::parse(key).unwrap(), fingerprint: [1; 32] });
        let events = vec![event.clone(), event];
        let render = |rows: &[Option<ActivityId>]| format!("{rows:?}");
        (report_activity(&mocks.ports(), &service(), events, request, &render).await, was(&committed))
    }

    #[tokio::test]
    async fn each_event_is_answered_for_and_told_of_now() {
        let mut unit = MockUnit::default();
        unit.activity
            .expect_report()
            .withf(|reported| reported.len() == 2 && reported.iter().all(|event| event.at == NOW))
            .times(1)
            .returning(|_| Ok(vec![true, false]));
        let (answer, committed) = ask(unit, None).await;
        assert_eq!(answer.unwrap(), "[Some(ActivityId(\"a-new\")), None]");
        assert!(committed);
    }

    #[tokio::test]
    async fn a_request_that_comes_again_writes_nothing() {
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::Answered("as before".to_owned())));
        let (answer, committed) = ask(unit, Some("k")).await;
        assert_eq!(answer.unwrap(), "as before");
        assert!(!committed);
        let mut unit = MockUnit::default();
        unit.idempotency.expect_claim().returning(|_| Ok(Claimed::Taken));
        let (answer, committed) = ask(unit, Some("k")).await;
        assert!(matches!(answer, Err(ReportActivityError::KeyTaken(_))) && !committed);
    }
}
