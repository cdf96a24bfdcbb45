use std::fmt;

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use subtle_domain::email::EmailAddress;
use subtle_domain::letter::{Letter, LetterKind};
use subtle_domain::ports::NotSent;
use subtle_domain::token::OneTimeToken;

use crate::template::Gap;
use crate::templates::Templates;

/// Why a text names no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address such as no-reply@example.com or Example <no-reply@example.com>")]
pub struct InvalidSender;

/// Who the letters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// Takes `no-reply@example.com` or `Example <no-reply@example.com>`.
    pub fn parse(text: &str) -> Result<Self, InvalidSender> {
        let fits = !text.chars().any(char::is_control);
        let mailbox: Mailbox = text.parse().map_err(|_told_as_a_whole| InvalidSender)?;
        if fits { Ok(Self(mailbox)) } else { Err(InvalidSender) }
    }

    /// `no-reply` at a host; at `localhost` where that has no name.
    pub fn at(host: &str) -> Result<Self, InvalidSender> {
        let is_number = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        Self::parse(&format!("no-reply@{}", if is_number { "localhost" } else { host }))
    }

    /// Behind the `@`.
    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes messages of letters.
#[derive(Debug, Clone)]
pub struct Composer {
    templates: Templates,
    sender: Sender,
    base: String,
}

impl Composer {
    /// Letters by `sender` whose links lead below `base`, a URL without a slash at its end.
    #[must_use]
    pub fn new(templates: Templates, sender: Sender, base: &str) -> Self {
        Self { templates, sender, base: base.trim_end_matches('/').to_owned() }
    }

    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// A message with text and HTML. Its `Message-ID` is the letter's own, so that one which was sent twice is known to be one.
    pub(crate) fn compose(&self, letter: &Letter, token: Option<&OneTimeToken>) -> Result<Message, NotSent> {
        let unfit = |what: &str| NotSent::Ever(what.to_owned());
        let template = self.templates.of(letter.kind).ok_or_else(|| unfit("there is no template of it"))?;
        let to = mailbox(&letter.recipient)
            .ok_or_else(|| unfit("the address is none that letters can be sent to"))?;
        let value = |gap| self.value(gap, letter, token);
        let html = template.html.fill_html(value);
        let mut message = Message::builder()
            .from(self.sender.0.clone())
            .to(to)
            .subject(template.subject.fill(value))
            .date(letter.created_at.into())
            .message_id(Some(format!("<{}@{}>", letter.id, self.sender.domain())))
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, template.text.fill(value)))
                    .singlepart(part(ContentType::TEXT_HTML, self.templates.layout.wrap_html(&html, value))),
            )
            .map_err(|_says_no_more| unfit("no message could be made of it"))?;
        // So that no machine answers (RFC 3834).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok(message)
    }

    fn value(&self, gap: Gap, letter: &Letter, token: Option<&OneTimeToken>) -> String {
        let unknown = || "unknown".to_owned();
        match gap {
            Gap::Link => self.link(letter.kind, token),
            Gap::Address => letter.recipient.to_string(),
            Gap::NewAddress => letter.new_email.as_ref().map_or_else(unknown, ToString::to_string),
            Gap::Ip => letter.client.ip_address.map_or_else(unknown, |address| address.to_string()),
            Gap::Device => letter.client.user_agent.clone().unwrap_or_else(unknown),
            Gap::Time => letter.created_at.format("%Y-%m-%d %H:%M UTC").to_string(),
            Gap::Hours => letter
                .kind
                .purpose()
                .map(|purpose| purpose.life().num_hours().to_string())
                .unwrap_or_default(),
            Gap::Base => self.base.clone(),
            Gap::Content => String::new(),
        }
    }

    fn link(&self, kind: LetterKind, token: Option<&OneTimeToken>) -> String {
        let page = match kind {
            LetterKind::ResetPassword => "reset-password",
            _ => "verify-email",
        };
        // A token is letters, digits, `_` and `-`.
        format!("{}/{page}?token={}", self.base, token.map_or("", OneTimeToken::expose))
    }
}

/// Longest line that may go as it is (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;

/// ASCII goes as it is, so that a link can be read in the message itself; all else is encoded.
fn part(kind: ContentType, text: String) -> SinglePart {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\n'))
        && text.lines().all(|line| line.len() <= LONGEST_LINE);
    let body = if plain {
        let lines = text.replace('\n', "\r\n").into_bytes();
        Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    };
    SinglePart::builder().header(kind).body(body)
}

fn mailbox(email: &EmailAddress) -> Option<Mailbox> {
    let (local, domain) = email.as_str().rsplit_once('@')?;
    Some(Mailbox::new(None, Address::new(local, domain).ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use subtle_domain::Timestamp;
    use subtle_domain::ids::{LetterId, OneTimeTokenId, UserId};
    use subtle_domain::session::ClientInfo;

    pub(crate) fn composer() -> Composer {
        let sender = Sender::parse("Bücher & Co <no-reply@example.com>").unwrap();
        Composer::new(Templates::load(None).unwrap(), sender, "https://accounts.example.com/")
    }

    pub(crate) fn letter(kind: LetterKind) -> Letter {
        Letter {
            id: LetterId::parse("m1").unwrap(),
            user_id: UserId::parse("ada").unwrap(),
            kind,
            recipient: EmailAddress::parse("o'brien+x@bücher.example").unwrap(),
            token: kind.purpose().map(|_| OneTimeTokenId::parse("o1").unwrap()),
            new_email: Some(EmailAddress::parse("new@example.com").unwrap()),
            client: ClientInfo {
                ip_address: Some("2001:db8::7".parse().unwrap()),
                user_agent: Some("Tests/1 <b>ü</b>\r\nBcc: eve@example.com".to_owned()),
            },
            created_at: Timestamp::from_timestamp_millis(1_700_000_000_123).unwrap(),
        }
    }

    pub(crate) fn token() -> OneTimeToken {
        OneTimeToken::new("abc_DEF-123")
    }

    fn written(kind: LetterKind) -> String {
        String::from_utf8(composer().compose(&letter(kind), Some(&token())).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_has_its_headers_and_both_parts() {
        let written = written(LetterKind::VerifyEmail);
        let (head, body) = written.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: =?utf-8?b?QsO8Y2hlciAmIENv?= <no-reply@example.com>",
            "To: o'brien+x@xn--bcher-kva.example",
            "Subject: Verify your address",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <m1@example.com>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        assert!(head.contains("multipart/alternative"), "{head}");
        assert!(body.find("text/plain").unwrap() < body.find("text/html").unwrap());
        let link = "https://accounts.example.com/verify-email?token=abc_DEF-123";
        assert!(body.contains(&format!("\r\n{link}\r\n")), "{body}");
        assert!(body.contains(&format!("href=\"{link}\"")), "{body}");
    }

    #[test]
    fn every_kind_of_letter_is_written_and_leaves_no_gap() {
        for kind in LetterKind::ALL {
            let written = written(*kind);
            assert!(!written.contains("{{") && !written.contains("unknown"), "{written}");
            assert_eq!(written.contains("token=abc_DEF-123"), kind.purpose().is_some(), "{kind}");
        }
        assert!(written(LetterKind::ResetPassword).contains("/reset-password?token="));
    }

    #[test]
    fn what_a_client_says_of_itself_makes_no_header_and_no_markup() {
        let written = written(LetterKind::NewDevice);
        let (_, html) = written.split_once("text/html").unwrap();
        assert!(!written.contains("\nBcc:") && !html.contains("<b>"), "{written}");
    }

    #[test]
    fn a_subject_of_the_products_is_safe_in_any_language() {
        let folder = std::env::temp_dir().join(format!("subtle-subjects-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("new_device.txt"), "Subject: Neues Gerät: {{device}}\n\nü {{ip}}\n")
            .unwrap();
        let templates = Templates::load(Some(&folder)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let composer = Composer { templates, ..composer() };
        let message = composer.compose(&letter(LetterKind::NewDevice), None).unwrap();
        let written = String::from_utf8(message.formatted()).unwrap();
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(head.is_ascii() && !head.contains("\nBcc:"), "{head}");
        assert!(head.contains("Subject: Neues =?utf-8?b?"), "{head}");
    }

    #[test]
    fn an_address_that_no_server_takes_is_refused_for_good_without_being_named() {
        let letter = Letter {
            recipient: EmailAddress::from_stored("ada@x\r\nBcc: eve@example.com".to_owned()),
            ..letter(LetterKind::NewDevice)
        };
        let refused = composer().compose(&letter, None).unwrap_err();
        assert_eq!(refused, NotSent::Ever("the address is none that letters can be sent to".to_owned()));
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for text in ["no-reply@example.com", "Subtle <no-reply@example.com>"] {
            assert_eq!(Sender::parse(text).unwrap().domain(), "example.com");
        }
        assert_eq!(Sender::at("example.com").unwrap().to_string(), "no-reply@example.com");
        for host in ["127.0.0.1", "::1", "[::1]", "localhost"] {
            assert_eq!(Sender::at(host).unwrap().to_string(), "no-reply@localhost");
        }
        for text in ["", "nobody", "a@b\r\nBcc: c@d.example", "<>"] {
            assert_eq!(Sender::parse(text), Err(InvalidSender), "{text:?}");
        }
    }
}
