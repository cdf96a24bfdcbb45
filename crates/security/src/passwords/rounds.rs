//! bcrypt itself, at the same amount of work whatever it is asked.

use std::hint::black_box;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use bcrypt::HashParts;
use subtle_domain::password::{Password, PasswordAttempt, PasswordHash};

use super::outcome::outcome;
use crate::foreground::Foreground;
use crate::random;

/// About what a round takes, before any was measured.
const TIME_OF_A_ROUND: Duration = Duration::from_micros(50);
/// Bytes of a password that bcrypt reads: 72 with the NUL at its end.
const LONGEST: usize = 71;

/// bcrypt at a configured cost.
pub(super) struct Bcrypt {
    cost: u32,
    rounds: AtomicU64,
    foreground: Foreground,
}

impl Bcrypt {
    pub(super) const COSTS: RangeInclusive<u32> = 4..=31;

    /// `None` if bcrypt has no such cost.
    pub(super) fn new(cost: u32, foreground: Foreground) -> Option<Self> {
        let made = || Self { cost, rounds: AtomicU64::new(0), foreground };
        Self::COSTS.contains(&cost).then(made)
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
        let salt = random::bytes();
        let outcome = self.compute(password.expose(), self.cost, salt)?;
        PasswordHash::parse(&written(self.cost, salt, outcome)).ok()
    }

    /// Whether the attempt is the password of `hash`.
    ///
    /// A refusal takes the same work whether the password is wrong, the attempt could not match any hash, the hash is none
    /// (an erased person's), of an older cost, or `$2x$`, whose bug would have to be computed along (ASVS 6.3.8). Only a
    /// hash of a higher cost than configured takes more.
    pub(super) fn verify(&self, attempt: &PasswordAttempt, hash: &PasswordHash) -> bool {
        let stored = self.readable(hash.expose());
        let (cost, salt) =
            stored.as_ref().map_or((self.cost, [0; 16]), |parts| (parts.get_cost(), parts.get_salt_raw()));
        let text = attempt.expose();
        let outcome = self.compute(text.unwrap_or_default(), cost, salt);
        let matches = outcome.zip(stored).is_some_and(|(outcome, stored)| {
            let (ours, theirs) = (written(cost, salt, outcome), stored.to_string());
            verify_slices_are_equal(ours.as_bytes(), theirs.as_bytes()).is_ok() && text.is_some()
        });
        if !matches {
            self.fill_up_from(cost);
        }
        matches
    }

    /// The same work as refusing an attempt.
    pub(super) fn verify_nothing(&self, attempt: &PasswordAttempt) {
        black_box(self.verify(attempt, &PasswordHash::tombstone()));
    }

    /// The parts of a hash that can be computed within reason: of a cost no higher than the highest, unless that is configured.
    fn readable(&self, hash: &str) -> Option<HashParts> {
        let parts = HashParts::from_str(hash).ok()?;
        let affordable = *Self::COSTS.start()..=self.cost.max(PasswordHash::DEAREST);
        (affordable.contains(&parts.get_cost()) && !hash.starts_with("$2x$")).then_some(parts)
    }

    /// The work by which `cost` falls short of the configured one: 2^n is 2^m and all powers from there up to n.
    fn fill_up_from(&self, cost: u32) {
        for cost in cost..self.cost {
            black_box(self.compute("", cost, [0; 16]));
        }
    }

    /// bcrypt's outcome, after the same work whatever it is; `None` for a text that it would not read whole.
    fn compute(&self, text: &str, cost: u32, salt: [u8; 16]) -> Option<[u8; 23]> {
        self.rounds.fetch_add(1 << cost, Ordering::Relaxed);
        let whole = text.len() <= LONGEST && !text.contains('\0');
        let mut password = Vec::with_capacity(LONGEST + 1);
        password.extend_from_slice(if whole { text.as_bytes() } else { &[] });
        password.push(0);
        let outcome = outcome(cost, salt, &password, &self.foreground);
        black_box(&mut password).fill(0);
        whole.then_some(outcome)
    }
}

/// A hash as it is stored.
fn written(cost: u32, salt: [u8; 16], outcome: [u8; 23]) -> String {
    let base64 = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    format!("$2b${cost:02}${}{}", base64.encode(salt), base64.encode(outcome))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bcrypt(cost: u32) -> Bcrypt {
        Bcrypt::new(cost, Foreground::default()).unwrap()
    }

    fn verifies(text: &str, hash: &str) -> bool {
        bcrypt(4).verify(&PasswordAttempt::new(text), &PasswordHash::parse(hash).unwrap())
    }

    fn hash(cost: u32, text: &str) -> PasswordHash {
        bcrypt(cost).hash(&Password::parse(text).unwrap()).unwrap()
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
            let bcrypt = bcrypt(6);
            assert!(!bcrypt.verify(attempt, hash), "{what}");
            assert_eq!(bcrypt.rounds(), 1 << 6, "{what}");
        }
        let bcrypt = bcrypt(6);
        bcrypt.verify_nothing(&right);
        bcrypt.verify_nothing(&unreadable);
        assert_eq!(bcrypt.rounds(), 2 << 6);
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
