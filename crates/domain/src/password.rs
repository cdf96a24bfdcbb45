//! Passwords and their hashes. Neither can be printed.

use std::fmt;

/// Why a text is no password that we keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitPassword {
    /// Under 8 bytes (ASVS 6.2.1).
    #[error("must be at least 8 characters")]
    TooShort,
    /// Over 71 bytes: bcrypt reads 72 with its terminator and would cut the rest off in silence.
    #[error("must be at most 71 bytes: nothing is ever cut off")]
    TooLong,
    /// Holds a NUL, at which bcrypt stops reading.
    #[error("must not contain a NUL character")]
    Nul,
    /// Among the most used passwords, or the product's own name (ASVS 6.2.4).
    #[error("is among the most common passwords: choose another")]
    Common,
}

/// A password that somebody chooses: 8 to 71 bytes, not common, no rules of composition (ASVS 6.2.5).
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Most bytes a password may have.
    pub const MOST_BYTES: usize = 71;

    /// Takes a password that is fit to be chosen.
    pub fn parse(text: &str) -> Result<Self, UnfitPassword> {
        let password = Self::parse_for_development(text)?;
        if is_common(text) { Err(UnfitPassword::Common) } else { Ok(password) }
    }

    /// As [`Password::parse`], but takes common ones: for the development data alone, whose `admin123` is well known.
    pub fn parse_for_development(text: &str) -> Result<Self, UnfitPassword> {
        if text.len() < 8 {
            return Err(UnfitPassword::TooShort);
        }
        if text.len() > Self::MOST_BYTES {
            return Err(UnfitPassword::TooLong);
        }
        if text.contains('\0') {
            return Err(UnfitPassword::Nul);
        }
        Ok(Self(text.into()))
    }

    /// The password itself, for the hasher alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password that somebody claims to have. It was fit when it was chosen, perhaps under other rules, so it is only bounded.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordAttempt(Option<Box<str>>);

impl PasswordAttempt {
    /// Takes any text. What bcrypt could not read whole is kept as an attempt that never matches.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let whole = text.len() <= Password::MOST_BYTES && !text.contains('\0');
        Self(whole.then(|| text.into()))
    }

    /// The attempt itself, for the hasher alone; `None` where no stored hash can match it.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The attempt as a password to be hashed again, once it has been verified.
    #[must_use]
    pub fn verified(self) -> Option<Password> {
        self.0.map(Password)
    }
}

impl fmt::Debug for PasswordAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordAttempt(…)")
    }
}

/// Why a text is no bcrypt hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no bcrypt hash of 60 characters")]
pub struct InvalidPasswordHash;

/// A bcrypt hash in its modular crypt format: `$2b$10$…`, 60 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// The highest cost at which any hash is verified, whatever is configured: at cost 31, one would hold a thread for days.
    pub const DEAREST: u32 = 16;

    /// Takes a bcrypt hash of any of the prefixes in use (`$2a$`, `$2b$`, `$2x$`, `$2y$`), or a tombstone.
    pub fn parse(text: &str) -> Result<Self, InvalidPasswordHash> {
        if text.len() == 60 && text.is_ascii() { Ok(Self(text.into())) } else { Err(InvalidPasswordHash) }
    }

    /// What takes the place of an erased person's hash: as long as one, and no password verifies against it.
    #[must_use]
    pub fn tombstone() -> Self {
        Self("*".repeat(60).into())
    }

    /// The cost that is written in the hash, if it is a hash: its work doubles with each step.
    #[must_use]
    pub fn cost(&self) -> Option<u32> {
        self.0.strip_prefix("$2")?.get(2..4)?.parse().ok()
    }

    /// Takes a hash that another service made, if passwords can be verified against it: bcrypt in any form but `$2x$`, at a cost of 4 to
    /// [`PasswordHash::DEAREST`].
    pub fn parse_verifiable(text: &str) -> Result<Self, InvalidPasswordHash> {
        let hash = Self::parse(text)?;
        let form = ["$2a$", "$2b$", "$2y$"].into_iter().find_map(|prefix| text.strip_prefix(prefix));
        let (cost, rest) = form.and_then(|rest| rest.split_once('$')).ok_or(InvalidPasswordHash)?;
        let digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
        let affordable = digits && hash.cost().is_some_and(|cost| (4..=Self::DEAREST).contains(&cost));
        let letters =
            rest.len() == 53 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
        if affordable && letters { Ok(hash) } else { Err(InvalidPasswordHash) }
    }

    /// The hash itself, for the hasher and the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The most common passwords of eight characters and more, sorted, lower case, one a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Words that an attacker tries here first.
const OWN_WORDS: [&str; 4] = ["subtle", "gosubtle", "subtleapp", "gosubtleapp"];

fn is_common(text: &str) -> bool {
    let lower = text.to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphabetic()).collect();
    OWN_WORDS.contains(&letters.as_str())
        || COMMON.lines().collect::<Vec<_>>().binary_search(&lower.as_str()).is_ok()
        || is_one_character(&lower)
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    characters.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_to_seventy_one_bytes_are_taken_whole() {
        for text in ["tr0ub4d8", "correct horse battery staple", &"xy".repeat(35), "pässwörd-süß", "🦀🦀🦞"]
        {
            assert_eq!(Password::parse(text).unwrap().expose(), text);
        }
        assert_eq!(Password::parse(&format!("a{}", "bc".repeat(35))).unwrap().expose().len(), 71);
    }

    #[test]
    fn what_bcrypt_would_cut_and_what_is_too_short_is_refused() {
        assert_eq!(Password::parse("short77"), Err(UnfitPassword::TooShort));
        assert_eq!(Password::parse(&"ab".repeat(36)), Err(UnfitPassword::TooLong));
        assert_eq!(Password::parse(&"ä".repeat(36)), Err(UnfitPassword::TooLong));
        assert_eq!(Password::parse("secret\0tail"), Err(UnfitPassword::Nul));
    }

    #[test]
    fn common_passwords_and_our_own_name_are_refused() {
        for text in [
            "password",
            "PassWord",
            "12345678",
            "qwertyuiop",
            "admin123",
            "Subtle123",
            "go-subtle!",
            "aaaaaaaa",
        ] {
            assert_eq!(Password::parse(text), Err(UnfitPassword::Common), "{text}");
        }
        assert!(Password::parse_for_development("admin123").is_ok());
    }

    #[test]
    fn the_list_is_sorted_and_long_enough() {
        let words: Vec<_> = COMMON.lines().collect();
        assert!(words.len() >= 3_000, "{}", words.len());
        assert!(words.windows(2).all(|pair| pair.first() < pair.last()));
        assert!(words.iter().all(|word| word.len() >= 8 && *word == word.to_lowercase()));
    }

    #[test]
    fn an_attempt_that_bcrypt_would_cut_never_matches() {
        assert_eq!(PasswordAttempt::new("secret\0tail").expose(), None);
        assert_eq!(PasswordAttempt::new(&"x".repeat(72)).expose(), None);
        assert_eq!(PasswordAttempt::new("").expose(), Some(""));
    }

    #[test]
    fn neither_prints_itself() {
        assert_eq!(format!("{:?}", Password::parse("tr0ub4d8").unwrap()), "Password(…)");
        assert_eq!(format!("{:?}", PasswordAttempt::new("tr0ub4d8")), "PasswordAttempt(…)");
        assert_eq!(format!("{:?}", PasswordHash::tombstone()), "PasswordHash(…)");
    }

    #[test]
    fn a_hash_tells_its_cost_and_a_tombstone_has_none() {
        let hash = PasswordHash::parse(&format!("$2b$12${}", "a".repeat(53))).unwrap();
        assert_eq!(hash.cost(), Some(12));
        assert_eq!(PasswordHash::tombstone().cost(), None);
        assert_eq!(PasswordHash::parse("$2b$10$short"), Err(InvalidPasswordHash));
    }

    #[test]
    fn a_hash_of_another_service_is_taken_if_it_verifies_here() {
        let hash = |start: &str| format!("{start}{}", "./aZ9".repeat(11).get(..53).unwrap());
        for start in ["$2a$10$", "$2b$04$", "$2y$16$"] {
            assert!(PasswordHash::parse_verifiable(&hash(start)).is_ok(), "{start}");
        }
        for start in ["$2x$10$", "$2b$03$", "$2b$17$", "$2b$31$", "$2b$+9$", "$3b$10$", "*2b$10$"] {
            assert_eq!(PasswordHash::parse_verifiable(&hash(start)), Err(InvalidPasswordHash), "{start}");
        }
        let odd = format!("$2b$10${}", "=".repeat(53));
        for text in [
            "",
            "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
            "$fbscrypt$v=1,n=14,r=8,p=1$c2FsdA==$aGFzaA==",
            &odd,
        ] {
            assert_eq!(PasswordHash::parse_verifiable(text), Err(InvalidPasswordHash), "{text}");
        }
        assert!(PasswordHash::parse_verifiable(PasswordHash::tombstone().expose()).is_err());
    }
}
