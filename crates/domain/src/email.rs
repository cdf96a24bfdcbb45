//! E-mail addresses, normalised so that one person has one account.

use std::fmt;

/// Why a text is no address that letters can reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Over 254 bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
    #[error("must be at most 254 characters")]
    TooLong,
    /// Not one `@` with something on both sides.
    #[error("must have the form name@example.com")]
    Form,
    /// The part before the `@` is no dot-atom of RFC 5322, 3.2.3, or is over 64 bytes.
    #[error("the part before the @ has a character or form that mail servers refuse")]
    LocalPart,
    /// The part behind the `@` is no host name of two labels or more, or the one that erased accounts have.
    #[error("the part after the @ is no domain name")]
    Domain,
}

/// An address in the one form under which it is stored and compared: lower case, the domain in ASCII (IDNA, RFC 5891).
///
/// RFC 5321 lets a server tell `A@x.io` from `a@x.io`; none in use does, and two accounts for one mailbox are a way in for an
/// impostor. Plus-addresses stay apart: they are different mailboxes to many.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct EmailAddress(Box<str>);

impl EmailAddress {
    /// Parses and normalises an address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        if text.len() > 254 {
            return Err(InvalidEmail::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail::Form)?;
        if local.is_empty() || domain.is_empty() {
            return Err(InvalidEmail::Form);
        }
        let local = parse_local_part(local)?;
        let domain = parse_domain(domain)?;
        let address = format!("{local}@{domain}");
        if address.len() > 254 {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self(address.into()))
    }

    /// The address somebody signs in with: also one of the forms that another program on the same database let in, such as
    /// dots in a row, so that nobody is locked out by our stricter rules.
    pub fn parse_known(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text).or_else(|unfit| {
            let lower = text.to_ascii_lowercase();
            let known = |part: &str, extra: &[u8]| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
            };
            let parts = lower.rsplit_once('@').filter(|_| lower.len() <= 254);
            match parts {
                Some((local, domain))
                    if domain != ERASED && known(local, b"._%+-") && known(domain, b".-") =>
                {
                    Ok(Self(lower.into()))
                }
                _ => Err(unfit),
            }
        })
    }

    /// An address as the database holds it: another program may have written it, so it is taken as it is.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The address that takes the place of an erased person's: it belongs to nobody (RFC 2606, `.invalid`).
    #[must_use]
    pub fn tombstone(user: &crate::ids::UserId) -> Self {
        Self(format!("deleted+{}@{ERASED}", user.as_str().to_ascii_lowercase()).into())
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The domain of addresses that belong to nobody. Whoever could take one would keep somebody else from being erased.
const ERASED: &str = "erased.invalid";

fn parse_local_part(local: &str) -> Result<String, InvalidEmail> {
    let atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
    };
    if local.len() <= 64 && local.split('.').all(atom) {
        Ok(local.to_ascii_lowercase())
    } else {
        Err(InvalidEmail::LocalPart)
    }
}

fn parse_domain(domain: &str) -> Result<String, InvalidEmail> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_unfit| InvalidEmail::Domain)?;
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    // A top-level domain is never all digits (RFC 3696, 2): an address on a bare IP is no mailbox of a person.
    let top_level = ascii.rsplit_once('.').map(|(_, top)| top);
    let named = top_level.is_some_and(|top| top.len() >= 2 && !top.bytes().all(|b| b.is_ascii_digit()));
    if named && ascii != ERASED && ascii.split('.').all(label) {
        Ok(ascii)
    } else {
        Err(InvalidEmail::Domain)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0.into()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_come_out_in_one_form() {
        for (given, stored) in [
            ("A@x.io", "a@x.io"),
            ("O'Brien@Example.COM", "o'brien@example.com"),
            ("first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"),
            ("i@xn--80ak6aa92e.xn--p1ai", "i@xn--80ak6aa92e.xn--p1ai"),
            ("i@BÜCHER.example", "i@xn--bcher-kva.example"),
            ("x_y~z{}@a-b.example", "x_y~z{}@a-b.example"),
        ] {
            assert_eq!(EmailAddress::parse(given).unwrap().as_str(), stored);
        }
    }

    #[test]
    fn who_came_with_an_odd_address_can_still_sign_in() {
        assert_eq!(EmailAddress::parse_known("A..b@X.io").unwrap().as_str(), "a..b@x.io");
        assert_eq!(EmailAddress::parse_known("A@X.io").unwrap().as_str(), "a@x.io");
        for given in ["a b@x.io", "a@", "a\0@x.io", "a", "ä..b@x.io", "deleted+ada@erased.invalid"] {
            assert!(EmailAddress::parse_known(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn what_no_mail_server_takes_is_refused() {
        use InvalidEmail::{Domain, Form, LocalPart, TooLong};
        for (given, why) in [
            ("", Form),
            ("a", Form),
            ("@x.io", Form),
            ("a@", Form),
            ("a@b@x.io", LocalPart),
            ("a b@x.io", LocalPart),
            (".a@x.io", LocalPart),
            ("a..b@x.io", LocalPart),
            ("ä@x.io", LocalPart),
            ("a\0@x.io", LocalPart),
            ("a\r\nBcc: b@x.io", LocalPart),
            ("a@x", Domain),
            ("a@-x.io", Domain),
            ("a@x..io", Domain),
            ("a@x.io.", Domain),
            ("a@127.0.0.1", Domain),
            ("a@[127.0.0.1]", Domain),
            ("a@x_y.io", Domain),
            ("deleted+ada@erased.invalid", Domain),
            ("a@ERASED.Invalid", Domain),
        ] {
            assert_eq!(EmailAddress::parse(given), Err(why), "{given:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@x.io", "a".repeat(65))), Err(LocalPart));
        assert_eq!(EmailAddress::parse(&format!("a@{}.io", "x.".repeat(150))), Err(TooLong));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in "\\PC{0,40}@?\\PC{0,40}") {
            if let Ok(once) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(once.as_str()).unwrap(), once);
            }
        }
    }
}
