//! bcrypt itself, at the same amount of work whatever it is asked.

use std::hint::black_box;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use bcrypt::HashParts;
use subtle_domain::password::{Password, PasswordAttempt, PasswordHash};

use crate::random;

/// About what a round takes, before any was measured.
const TIME_OF_A_ROUND: Duration = Duration::from_micros(50);

/// bcrypt at a configured cost.
pub(super) struct Bcrypt {
    cost: u32,
    /// A hash of the configured cost that no password is known for.
    dummy: String,
    rounds: AtomicU64,
}

impl Bcrypt {
    pub(super) const COSTS: RangeInclusive<u32> = 4..=31;

    /// `None` if bcrypt has no such cost.
    pub(super) fn new(cost: u32) -> Option<Self> {
        Self::COSTS.contains(&cost).then(|| Self { cost, dummy: dummy(cost), rounds: AtomicU64::new(0) })
    }

    pub(super) fn cost(&self) -> u32 {
        self.cost
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// What one computation should take, before any was measured.
    pub(super) fn expected_time(&self) -> Duration {
        TIME_OF_A_ROUND.saturating_mul(1 << self.cost)
    }

    /// A hash of the password, which is short enough to be read whole; `None` if bcrypt should see that otherwise.
    pub(super) fn hash(&self, password: &Password) -> Option<PasswordHash> {
        let parts = self.compute(password.expose(), self.cost, random::bytes())?;
        PasswordHash::parse(&parts.to_string()).ok()
    }

    /// Whether the attempt is the password of `hash`.
    ///
    /// A refusal takes the same work whether the password is wrong, the attempt could not match any hash, the hash is none
    /// (an erased person's), of an older cost, or `$2x$`, whose bug would have to be computed along (ASVS 6.3.8). Only a
    /// hash of a higher cost than configured takes more.
    pub(super) fn verify(&self, attempt: &PasswordAttempt, hash: &PasswordHash) -> bool {
        let stored = self.readable_cost(hash.expose());
        let (hash, cost) = stored.map_or((self.dummy.as_str(), self.cost), |cost| (hash.expose(), cost));
        let text = attempt.expose();
        self.count(cost);
        let matches = bcrypt::non_truncating_verify(text.unwrap_or_default(), hash).unwrap_or(false)
            && text.is_some()
            && stored.is_some();
        if !matches {
            self.fill_up_from(cost);
        }
        matches
    }

    /// The same work as refusing an attempt.
    pub(super) fn verify_nothing(&self, attempt: &PasswordAttempt) {
        black_box(self.verify(attempt, &PasswordHash::tombstone()));
    }

    /// The cost of a hash that can be computed within reason: no higher than the highest, unless that is configured.
    fn readable_cost(&self, hash: &str) -> Option<u32> {
        let cost = HashParts::from_str(hash).ok()?.get_cost();
        let affordable = *Self::COSTS.start()..=self.cost.max(PasswordHash::DEAREST);
        (affordable.contains(&cost) && !hash.starts_with("$2x$")).then_some(cost)
    }

    /// The work by which `cost` falls short of the configured one: 2^n is 2^m and all powers from there up to n.
    fn fill_up_from(&self, cost: u32) {
        for cost in cost..self.cost {
            black_box(self.compute("", cost, [0; 16]));
        }
    }

    fn compute(&self, text: &str, cost: u32, salt: [u8; 16]) -> Option<HashParts> {
        self.count(cost);
        bcrypt::non_truncating_hash_with_salt(text, cost, salt).ok()
    }

    fn count(&self, cost: u32) {
        self.rounds.fetch_add(1 << cost, Ordering::Relaxed);
    }
}

/// A hash of random salt and outcome: as much work to verify against as any, and nothing to do at the start.
fn dummy(cost: u32) -> String {
    let base64 = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let (salt, outcome) = (random::bytes::<16>(), random::bytes::<23>());
    format!("$2b${cost:02}${}{}", base64.encode(salt), base64.encode(outcome))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verifies(text: &str, hash: &str) -> bool {
        Bcrypt::new(4).unwrap().verify(&PasswordAttempt::new(text), &PasswordHash::parse(hash).unwrap())
    }

    fn hash(cost: u32, text: &str) -> PasswordHash {
        Bcrypt::new(cost).unwrap().hash(&Password::parse(text).unwrap()).unwrap()
    }

    /// Computed with libxcrypt.
    const OTHERS: [(&str, &str); 6] = [
        ("tr0ub4d8", "$2b$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy"),
        ("pässwörd-süß", "$2a$04$abcdefghijklmnopqrstuulmzTsb65oLlXzlvA.lJcgkGPJf1LcJe"),
        ("pässwörd-süß", "$2y$04$abcdefghijklmnopqrstuulmzTsb65oLlXzlvA.lJcgkGPJf1LcJe"),
        ("pässwörd-süß", "$2b$04$abcdefghijklmnopqrstuulmzTsb65oLlXzlvA.lJcgkGPJf1LcJe"),
        ("", "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"),
        ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    ];

    #[test]
    fn hashes_of_other_services_verify() {
        for (text, hash) in OTHERS {
            assert!(verifies(text, hash), "{hash}");
            assert!(!verifies(&format!("{text}x"), hash), "{hash}");
        }
    }

    #[test]
    fn ours_is_plain_2b_with_a_salt_of_its_own() {
        let (one, other) = (hash(4, "tr0ub4d8"), hash(4, "tr0ub4d8"));
        assert!(one.expose().starts_with("$2b$04$"));
        assert_ne!(one, other);
        assert!(verifies("tr0ub4d8", one.expose()) && verifies("tr0ub4d8", other.expose()));
    }

    #[test]
    fn seventy_one_bytes_count_to_the_last() {
        let whole = format!("{}x", "0123456789".repeat(7));
        // Computed with libxcrypt.
        let theirs = "$2b$04$abcdefghijklmnopqrstuuqaK9NsVju6CZW9NmUjnVLqWuMKXLA46";
        for stored in [theirs, hash(4, &whole).expose()] {
            assert!(verifies(&whole, stored));
            assert!(!verifies(&whole[..70], stored));
            assert!(!verifies(&whole.replace('x', "y"), stored));
            assert!(!verifies(&format!("{whole}x"), stored));
        }
    }

    #[test]
    fn what_bcrypt_would_cut_never_matches() {
        let stored = hash(4, "tr0ub4d8");
        assert!(!verifies("tr0ub4d8\0", stored.expose()));
        assert!(!verifies("tr0ub4d8\0tail", stored.expose()));
        let of_nothing = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";
        assert!(verifies("", of_nothing) && !verifies("\0", of_nothing));
        // Another service has cut a password of 80 bytes: all of them, or the first 72, are not what it was.
        let cut = bcrypt::hash_with_salt("x".repeat(80), 4, [1; 16]).unwrap().to_string();
        assert!(!verifies(&"x".repeat(80), &cut) && !verifies(&"x".repeat(72), &cut));
    }

    #[test]
    fn hashes_with_the_bug_of_2x_never_match() {
        for (text, hash) in [
            ("tr0ub4d8", "$2x$04$abcdefghijklmnopqrstuu8BOYc4Ytiw4Dxs0wJvirmgyb8ofI0Sy"),
            ("pässwörd-süß", "$2x$04$abcdefghijklmnopqrstuufEQwfRnIqDjEhKB/tfmq04AUWHsjF6O"),
        ] {
            assert!(!verifies(text, hash));
        }
    }

    #[test]
    fn every_refusal_is_the_same_work() {
        let malformed = |text: &str| PasswordHash::parse(text).unwrap();
        let right = PasswordAttempt::new("tr0ub4d8");
        let wrong = PasswordAttempt::new("tr0ub4d9");
        let unreadable = PasswordAttempt::new("tr0ub4d8\0");
        let stored = hash(6, "tr0ub4d8");
        let of_2x = stored.expose().replacen("$2b", "$2x", 1);
        let of_cost = |cost: &str| stored.expose().replacen("$06", cost, 1);
        for (what, attempt, hash) in [
            ("wrong", &wrong, &stored),
            ("not to be read whole", &unreadable, &stored),
            ("erased", &right, &PasswordHash::tombstone()),
            ("of a lower cost", &wrong, &hash(4, "tr0ub4d8")),
            ("of a lower cost, not to be read whole", &unreadable, &hash(5, "tr0ub4d8")),
            ("2x", &right, &malformed(&of_2x)),
            ("no such cost", &right, &malformed(&of_cost("$00"))),
            ("no such cost", &right, &malformed(&of_cost("$99"))),
            ("too dear", &right, &malformed(&of_cost("$31"))),
            ("no base64", &right, &malformed(&stored.expose().replacen("$06$", "$06$!", 1)[..60])),
        ] {
            let bcrypt = Bcrypt::new(6).unwrap();
            assert!(!bcrypt.verify(attempt, hash), "{what}");
            assert_eq!(bcrypt.rounds(), 1 << 6, "{what}");
        }
        let bcrypt = Bcrypt::new(6).unwrap();
        bcrypt.verify_nothing(&right);
        bcrypt.verify_nothing(&unreadable);
        assert_eq!(bcrypt.rounds(), 2 << 6);
    }

    #[test]
    fn a_dummy_hash_is_one_like_any_other() {
        for cost in [4, 10, 31] {
            let dummy = PasswordHash::parse(&dummy(cost)).unwrap();
            assert_eq!(Bcrypt::new(31).unwrap().readable_cost(dummy.expose()), Some(cost));
            assert_eq!(HashParts::from_str(dummy.expose()).unwrap().to_string(), dummy.expose());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_stored_text_panics_or_matches(text in "[ -~]{60}", tail in "[./A-Za-z0-9$]{53}") {
            prop_assert!(!verifies("tr0ub4d8", &text));
            let hash = format!("$2b$04${tail}");
            prop_assert!(!verifies("tr0ub4d8", &hash));
        }
    }
}
