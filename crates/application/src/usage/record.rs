use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::ports::NotRecorded;
use subtle_domain::text::{IdempotencyKey, Label};
use subtle_domain::usage::{Recorded, Usage, UsageEvent};

use crate::Ports;
use crate::service_keys::Service;

/// Usage, as it is told.
#[derive(Debug, Clone)]
pub struct NewUsageEvent {
    /// Who used it.
    pub user_id: UserId,
    /// How much.
    pub usage: Usage,
    /// What for.
    pub feature: Option<Label>,
    /// Under which it counts once, however often it is told.
    pub key: Option<IdempotencyKey>,
    /// When; now, if it is not said.
    pub at: Option<Timestamp>,
}

/// Records usage, each event judged on its own: what became of each, in their order. It has happened, so it is never refused for
/// being too much.
pub async fn record_usage(
    ports: &Ports,
    _by: &Service,
    events: Vec<NewUsageEvent>,
) -> Result<Vec<Recorded>, NotRecorded> {
    let now = ports.clock.now();
    if events.is_empty() {
        return Ok(Vec::new());
    }
    ports.usage_log.record(events.into_iter().map(|new| event(ports, new, now)).collect()).await
}

fn event(ports: &Ports, new: NewUsageEvent, now: Timestamp) -> UsageEvent {
    UsageEvent {
        id: ports.ids.usage_id(),
        user_id: new.user_id,
        usage: new.usage,
        feature: new.feature,
        key: new.key,
        at: new.at.unwrap_or(now),
        at_given: new.at.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_keys::tests::service;
    use crate::test_ports::{self, NOW, ada, usage};
    use chrono::TimeDelta;
    use subtle_domain::ids::UsageId;

    #[tokio::test]
    async fn an_event_without_a_time_happens_now() {
        let earlier = NOW - TimeDelta::hours(1);
        let new =
            |at| NewUsageEvent { user_id: ada().id, usage: usage(1, 2, "3"), feature: None, key: None, at };
        let mut mocks = test_ports::Mocks::default();
        mocks
            .usage_log
            .expect_record()
            .withf(move |events| {
                let times: Vec<_> = events.iter().map(|event| (event.at, event.at_given)).collect();
                times == [(NOW, false), (earlier, true)]
            })
            .times(1)
            .returning(|events| Ok(events.into_iter().map(|event| Recorded::Accepted(event.id)).collect()));
        let done =
            record_usage(&mocks.ports(), &service(), vec![new(None), new(Some(earlier))]).await.unwrap();
        let accepted = Recorded::Accepted(UsageId::parse("u-new").unwrap());
        assert_eq!(done, [accepted.clone(), accepted]);
    }

    #[tokio::test]
    async fn nothing_is_asked_for_no_events() {
        let done = record_usage(&test_ports::Mocks::default().ports(), &service(), Vec::new()).await.unwrap();
        assert_eq!(done, []);
    }
}
