//! Identifiers as Prisma makes them: 25 characters, roughly in order of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::ids::{
    ActivityId, AuditId, BillingId, BridgeId, InvalidId, LetterId, NoteId, OneTimeTokenId, ReservationId,
    ServiceKeyId, SessionId, SyncEventId, TokenId, UsageId, UserId,
};
use subtle_domain::ports::{Clock, IdGenerator};

use crate::random;

/// Makes cuids: `c`, the milliseconds since 1970 (8 digits, base 36), a counter (4), the process (4) and chance (8).
///
/// They are unique, not secret: what must not be guessed has a token.
pub struct CuidGenerator {
    clock: Arc<dyn Clock>,
    counter: AtomicU32,
    process: String,
}

impl CuidGenerator {
    /// A generator whose counter and mark of the process are drawn at random.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let counter = AtomicU32::new(u32::from_le_bytes(random::bytes()));
        Self { clock, counter, process: base36(u64::from_le_bytes(random::bytes()), 4) }
    }

    fn cuid<I: TryFrom<String, Error = InvalidId>>(&self) -> I {
        let time = base36(self.clock.now().timestamp_millis().unsigned_abs(), 8);
        let count = base36(self.counter.fetch_add(1, Ordering::Relaxed).into(), 4);
        let chance = base36(u64::from_le_bytes(random::bytes()), 8);
        identifier(format!("c{time}{count}{}{chance}", self.process))
    }
}

impl IdGenerator for CuidGenerator {
    fn user_id(&self) -> UserId {
        self.cuid()
    }

    fn session_id(&self) -> SessionId {
        self.cuid()
    }

    /// 128 bits of chance: where a `jti` is checked against a list, it must not be guessed.
    fn token_id(&self) -> TokenId {
        identifier(URL_SAFE_NO_PAD.encode(random::bytes::<16>()))
    }

    fn activity_id(&self) -> ActivityId {
        self.cuid()
    }

    fn audit_id(&self) -> AuditId {
        self.cuid()
    }

    fn usage_id(&self) -> UsageId {
        self.cuid()
    }

    fn reservation_id(&self, user: &UserId) -> ReservationId {
        let own: UsageId = self.cuid();
        known_good(ReservationId::parse(&format!("{user}.{own}")))
    }

    fn billing_id(&self) -> BillingId {
        self.cuid()
    }

    fn note_id(&self) -> NoteId {
        self.cuid()
    }

    fn bridge_id(&self) -> BridgeId {
        self.cuid()
    }

    fn sync_event_id(&self) -> SyncEventId {
        self.cuid()
    }

    fn letter_id(&self) -> LetterId {
        self.cuid()
    }

    fn one_time_token_id(&self) -> OneTimeTokenId {
        self.cuid()
    }

    fn service_key_id(&self) -> ServiceKeyId {
        self.cuid()
    }

    fn salt(&self) -> [u8; 16] {
        random::bytes()
    }
}

fn identifier<I: TryFrom<String, Error = InvalidId>>(text: String) -> I {
    known_good(I::try_from(text))
}

fn known_good<I>(made: Result<I, InvalidId>) -> I {
    made.unwrap_or_else(|error| unreachable!("base 36 and base64url give identifiers: {error}"))
}

/// The lowest `length` digits of a number.
fn base36(mut number: u64, length: usize) -> String {
    let mut digits = vec!['0'; length];
    for digit in digits.iter_mut().rev() {
        *digit =
            u32::try_from(number % 36).ok().and_then(|lowest| char::from_digit(lowest, 36)).unwrap_or('0');
        number /= 36;
    }
    digits.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use subtle_domain::Timestamp;

    use super::*;

    struct Standing;

    impl Clock for Standing {
        fn now(&self) -> Timestamp {
            chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
        }
    }

    #[test]
    fn numbers_are_written_in_base_36_with_leading_zeros() {
        for (number, text) in [(0, "0000"), (35, "000z"), (36, "0010"), (36 * 36 * 36 * 36 + 1, "0001")] {
            assert_eq!(base36(number, 4), text);
        }
        assert_eq!(base36(u64::MAX, 13), "3w5e11264sgsf");
    }

    #[test]
    fn identifiers_are_unique_even_within_one_millisecond() {
        let ids = CuidGenerator::new(Arc::new(Standing));
        let made: HashSet<String> = (0..100_000).map(|_| ids.user_id().into()).collect();
        assert_eq!(made.len(), 100_000);
        for id in &made {
            assert_eq!(id.len(), 25, "{id}");
            assert!(id.starts_with("cloyw3v28"), "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{id}");
        }
    }

    #[test]
    fn the_counter_alone_keeps_identifiers_apart() {
        let ids = CuidGenerator::new(Arc::new(Standing));
        let counts: HashSet<String> = (0..1_000).map(|_| ids.user_id().as_str()[9..13].to_owned()).collect();
        assert_eq!(counts.len(), 1_000);
    }

    #[test]
    fn two_processes_in_the_same_millisecond_make_different_identifiers() {
        let (one, other) = (CuidGenerator::new(Arc::new(Standing)), CuidGenerator::new(Arc::new(Standing)));
        let made: HashSet<SessionId> =
            (0..10_000).flat_map(|_| [one.session_id(), other.session_id()]).collect();
        assert_eq!(made.len(), 20_000);
    }

    #[test]
    fn every_kind_of_identifier_and_every_salt_is_new() {
        let ids = CuidGenerator::new(Arc::new(Standing));
        assert_ne!(ids.activity_id(), ids.activity_id());
        assert_ne!(ids.audit_id(), ids.audit_id());
        assert_ne!(ids.usage_id(), ids.usage_id());
        assert_ne!(ids.billing_id(), ids.billing_id());
        assert_ne!(ids.note_id(), ids.note_id());
        assert_ne!(ids.bridge_id(), ids.bridge_id());
        assert_ne!(ids.sync_event_id(), ids.sync_event_id());
        assert_ne!(ids.letter_id(), ids.letter_id());
        assert_ne!(ids.one_time_token_id(), ids.one_time_token_id());
        assert_ne!(ids.service_key_id(), ids.service_key_id());
        assert_ne!(ids.token_id(), ids.token_id());
        assert_ne!(ids.salt(), ids.salt());
    }

    #[test]
    fn a_reservation_tells_whose_it_is_and_is_new() {
        let ids = CuidGenerator::new(Arc::new(Standing));
        let ada = UserId::parse("ada").unwrap();
        let (one, other) = (ids.reservation_id(&ada), ids.reservation_id(&ada));
        assert_eq!((one.user(), one.own().len()), (&ada, 25));
        assert_ne!(one, other);
    }

    #[test]
    fn a_token_id_holds_128_bits() {
        let id = CuidGenerator::new(Arc::new(Standing)).token_id();
        assert_eq!(URL_SAFE_NO_PAD.decode(id.as_str()).unwrap().len(), 16);
    }
}
