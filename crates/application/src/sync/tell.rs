use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::SyncEventId;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::sync::{EventName, PlacedEvent, SyncEvent};
use subtle_domain::text::ErrorMessage;
use subtle_domain::throttle::RetryAfter;

use crate::again::again;
use crate::idempotent::{KeyTaken, Next, Once};
use crate::sessions::Caller;
use crate::{AccountLimit, Ports};

/// Something that one of a person's apps tells the others.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What kind of event it is.
    pub event_type: EventName,
    /// Where it comes from.
    pub source: EventName,
    /// What is worth knowing about it: a JSON document, if there is one.
    pub data: Option<String>,
    /// Whether it went well.
    pub success: bool,
    /// What went wrong, if something did.
    pub error: Option<ErrorMessage>,
}

/// Why an event was not written.
#[derive(Debug, thiserror::Error)]
pub enum TellEventError {
    /// The account can't be used any more.
    #[error("the account is closed")]
    Closed,
    /// The account's apps tell too much.
    #[error("too many events of this account")]
    TooMany(RetryAfter),
    /// The idempotency key was used for another request.
    #[error(transparent)]
    KeyTaken(#[from] KeyTaken),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes an event into the caller's sync log, or finds the one that the same request wrote before. Those who follow the log, on
/// whichever server, are told on commit.
///
/// What is kept with the key is which event it is, not what it says: that outlives the person's erasure.
pub async fn tell_event(
    ports: &Ports,
    caller: &Caller,
    new: NewEvent,
    request: Option<Repeatable>,
) -> Result<PlacedEvent, TellEventError> {
    let now = ports.clock.now();
    ports.limits.admit_account(AccountLimit::Event, &caller.user_id, now).map_err(TellEventError::TooMany)?;
    let once = Once::new(format!("user:{}", caller.user_id), request, now);
    let event = SyncEvent {
        id: ports.ids.sync_event_id(),
        user_id: caller.user_id.clone(),
        event_type: new.event_type,
        source: new.source,
        data: new.data,
        success: new.success,
        error: new.error,
        client: caller.client.clone(),
        at: now,
    };
    again(|| attempt(ports, &event, &once)).await?
}

async fn attempt(
    ports: &Ports,
    event: &SyncEvent,
    once: &Once,
) -> Result<Result<PlacedEvent, TellEventError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let done = match decide(event, once, unit.as_mut()).await? {
        Ok(None) => {
            let placed = unit.sync().append(event).await?;
            once.keep(unit.as_mut(), event.id.as_str()).await?;
            return unit.commit().await.map(|()| Ok(placed));
        }
        Ok(Some(earlier)) => Ok(earlier),
        Err(refused) => Err(refused),
    };
    unit.rollback().await.map(|()| done)
}

/// The event that the same request wrote before, or nothing if it is to be written.
async fn decide(
    event: &SyncEvent,
    once: &Once,
    unit: &mut dyn UnitOfWork,
) -> Result<Result<Option<PlacedEvent>, TellEventError>, StoreError> {
    // Whoever closes or erases the account waits, or has been waited for.
    let user = unit.users().lock(&event.user_id).await?;
    if !user.is_some_and(|user| user.is_active()) {
        return Ok(Err(TellEventError::Closed));
    }
    Ok(match once.claim(unit).await? {
        Next::Do => Ok(None),
        Next::Refuse(taken) => Err(taken.into()),
        Next::Answer(kept) => match SyncEventId::parse(&kept) {
            Ok(id) => Ok(unit.sync().find(&event.user_id, &id).await?),
            Err(_invalid) => Ok(None),
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::test_ports::{self, NOW, ada, caller, was};
    use crate::{LimitRates, Limits};
    use chrono::TimeDelta;
    use subtle_domain::idempotency::Claimed;
    use subtle_domain::ids::UserId;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::sync::Place;
    use subtle_domain::text::IdempotencyKey;
    use subtle_domain::throttle::Rate;
    use subtle_domain::user::User;

    fn new() -> NewEvent {
        NewEvent {
            event_type: EventName::parse_type("settings.changed").unwrap(),
            source: EventName::parse_source("mac_app").unwrap(),
            data: Some(r#"{"theme": "dark"}"#.to_owned()),
            success: true,
            error: None,
        }
    }

    /// Ada's event at that place.
    pub(in crate::sync) fn placed(number: i64) -> PlacedEvent {
        let NewEvent { event_type, source, data, success, error } = new();
        let id = SyncEventId::parse("e-new").unwrap();
        let (user_id, client) = (ada().id, caller().client);
        let event = SyncEvent { id, user_id, event_type, source, data, success, error, client, at: NOW };
        PlacedEvent { place: Place::new(number), event }
    }

    fn unit(user: User) -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().withf(|id: &UserId| *id == ada().id).return_once(|_| Ok(Some(user)));
        unit
    }

    async fn ask(unit: MockUnit, keyed: bool) -> (Result<PlacedEvent, TellEventError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let key = IdempotencyKey::parse("k").unwrap();
        let request = keyed.then_some(Repeatable { key, fingerprint: [1; 32] });
        (tell_event(&mocks.ports(), &caller(), new(), request).await, was(&committed))
    }

    #[tokio::test]
    async fn an_event_is_written_and_its_key_keeps_which_it_is() {
        for keyed in [false, true] {
            let mut unit = unit(ada());
            unit.idempotency
                .expect_claim()
                .withf(|claim| claim.caller == "user:ada")
                .times(usize::from(keyed))
                .returning(|_| Ok(Claimed::First));
            let keep = unit.idempotency.expect_keep().withf(|_, kept| kept == "e-new");
            keep.times(usize::from(keyed)).returning(|_, _| Ok(()));
            unit.sync
                .expect_append()
                .withf(|event| *event == placed(1).event)
                .times(1)
                .returning(|_| Ok(placed(1)));
            let (written, committed) = ask(unit, keyed).await;
            assert_eq!(written.unwrap(), placed(1));
            assert!(committed);
        }
    }

    #[tokio::test]
    async fn a_request_that_comes_again_finds_its_event() {
        let mut again = unit(ada());
        again.idempotency.expect_claim().returning(|_| Ok(Claimed::Answered("e-new".to_owned())));
        again.sync.expect_find().withf(|_, id| id.as_str() == "e-new").returning(|_, _| Ok(Some(placed(1))));
        let (found, committed) = ask(again, true).await;
        assert_eq!((found.unwrap(), committed), (placed(1), false));
        let mut other = unit(ada());
        other.idempotency.expect_claim().returning(|_| Ok(Claimed::Taken));
        let (refused, committed) = ask(other, true).await;
        assert!(matches!(refused, Err(TellEventError::KeyTaken(_))) && !committed);
    }

    #[tokio::test]
    async fn an_event_too_many_is_refused_before_anything_is_asked() {
        let once = Some(Rate { burst: 0, interval: TimeDelta::minutes(1) });
        let limits = Limits::new(LimitRates { events_by_account: once, ..LimitRates::default() });
        let mocks = test_ports::Mocks { limits, ..test_ports::Mocks::default() };
        let refused = tell_event(&mocks.ports(), &caller(), new(), None).await;
        assert!(matches!(refused, Err(TellEventError::TooMany(_))));
    }

    #[tokio::test]
    async fn a_closed_account_tells_nothing() {
        let (refused, committed) = ask(unit(User { deleted_at: Some(NOW), ..ada() }), false).await;
        assert!(matches!(refused, Err(TellEventError::Closed)) && !committed);
    }
}
