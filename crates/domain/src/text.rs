//! What people and programs write: bounded, without control characters, kept exactly as given.

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but white space.
    #[error("must not be blank")]
    Blank,
    /// Over the limit, which is named in characters.
    #[error("must be at most {0} characters")]
    TooLong(usize),
    /// Holds a control character: NUL, line breaks, escape sequences (ASVS 16.4.1).
    #[error("must not contain control characters")]
    Control,
    /// No web address.
    #[error("must be an http:// or https:// address")]
    NoUrl,
}

fn bounded(text: &str, most: usize) -> Result<Box<str>, InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Blank);
    }
    if text.chars().nth(most).is_some() {
        return Err(InvalidText::TooLong(most));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(text.into())
}

/// Line breaks and tabs are what it may have beyond a line of text.
fn lines(text: &str, most: usize) -> Result<Box<str>, InvalidText> {
    bounded(&text.replace(['\n', '\r', '\t'], " "), most)?;
    Ok(text.into())
}

/// One that a browser can ask for.
fn web_address(text: &str, most: usize) -> Result<Box<str>, InvalidText> {
    let text = bounded(text, most)?;
    let rest =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(InvalidText::NoUrl)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || text.chars().any(|c| c.is_whitespace() || "<>\"`\\".contains(c)) {
        return Err(InvalidText::NoUrl);
    }
    Ok(text)
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident by $fits:ident of $most:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes it as it is written.
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                $fits(text, $most).map(Self)
            }

            /// A text as the database holds it: another program may have written it, so it is taken as it is.
            #[must_use]
            pub fn from_stored(text: String) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text! {
    /// A person's name: 1 to 200 characters.
    FullName by bounded of 200
}

text! {
    /// What a program or an administrator calls something: 1 to 100 characters.
    Label by bounded of 100
}

text! {
    /// A sentence that explains a record: 1 to 500 characters.
    Description by bounded of 500
}

text! {
    /// What support writes on a user: 1 to 10,000 characters, line breaks and tabs among them.
    NoteText by lines of 10_000
}

text! {
    /// What a program says went wrong: 1 to 2,000 characters, line breaks and tabs among them.
    ErrorMessage by lines of 2_000
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 printable ASCII characters")]
pub struct InvalidIdempotencyKey;

/// Under which a request or an event is known, so that it counts once however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// Takes 1 to 255 printable ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(InvalidIdempotencyKey) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text! {
    /// Where a person's picture is: an `http` or `https` address of at most 2,048 characters. We never fetch it.
    AvatarUrl by web_address of 2_048
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are_written() {
        for text in [
            "Ada",
            " Ada Lovelace ",
            "李小龍",
            "O'Brien; DROP TABLE users",
            "\u{202e}evil",
            "🦀",
            &"x".repeat(200),
        ] {
            assert_eq!(FullName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn blank_long_and_controlling_names_are_refused() {
        assert_eq!(FullName::parse(""), Err(InvalidText::Blank));
        assert_eq!(FullName::parse(" \u{a0}"), Err(InvalidText::Blank));
        assert_eq!(FullName::parse(&"x".repeat(201)), Err(InvalidText::TooLong(200)));
        for text in ["a\0b", "a\r\nb", "a\u{1b}[31mb", "a\u{85}b"] {
            assert_eq!(FullName::parse(text), Err(InvalidText::Control), "{text:?}");
        }
    }

    #[test]
    fn notes_have_lines_and_no_other_control_characters() {
        for text in ["a", "first\r\n\tsecond\n", &"x".repeat(10_000)] {
            assert_eq!(NoteText::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(NoteText::parse("\n\t "), Err(InvalidText::Blank));
        assert_eq!(NoteText::parse(&"x".repeat(10_001)), Err(InvalidText::TooLong(10_000)));
        for text in ["a\0", "a\u{1b}[31m"] {
            assert_eq!(NoteText::parse(text), Err(InvalidText::Control), "{text:?}");
        }
    }

    #[test]
    fn messages_of_errors_have_lines_too() {
        assert_eq!(
            ErrorMessage::parse("timeout\n\tat sync.swift:7").unwrap().as_str(),
            "timeout\n\tat sync.swift:7"
        );
        assert_eq!(ErrorMessage::parse(&"x".repeat(2_001)), Err(InvalidText::TooLong(2_000)));
    }

    #[test]
    fn idempotency_keys_are_printable_ascii() {
        for text in ["a", "2f1c0c7e-9a5b-4f0e", "with space", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "ä", "a\n", "a\0", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(text), Err(InvalidIdempotencyKey), "{text:?}");
        }
    }

    #[test]
    fn avatars_are_web_addresses_and_nothing_that_runs() {
        assert!(AvatarUrl::parse("https://example.com/a.png?x=1#y").is_ok());
        for text in [
            "javascript:alert(1)",
            "data:image/png;base64,xx",
            "https://",
            "https:///x",
            "http://a b",
            "ftp://x.io",
        ] {
            assert_eq!(AvatarUrl::parse(text), Err(InvalidText::NoUrl), "{text}");
        }
    }
}
