//! A text with gaps: `{{link}}` and its like.

use std::fmt::Write as _;

/// What a gap is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Where the letter leads: a URL that carries its token.
    Link,
    /// Where the letter goes.
    Address,
    /// The address that an account has now, or shall have.
    NewAddress,
    /// The address of the client that did what the letter tells of.
    Ip,
    /// Its `User-Agent`.
    Device,
    /// When that was: `2026-11-25 10:30 UTC`.
    Time,
    /// For how many hours the link is good.
    Hours,
    /// Where people reach the service.
    Base,
    /// Of the layout: the letter itself.
    Content,
}

impl Gap {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Link,
        Self::Address,
        Self::NewAddress,
        Self::Ip,
        Self::Device,
        Self::Time,
        Self::Hours,
        Self::Base,
        Self::Content,
    ];

    /// As it is written between the braces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Address => "address",
            Self::NewAddress => "newAddress",
            Self::Ip => "ip",
            Self::Device => "device",
            Self::Time => "time",
            Self::Hours => "hours",
            Self::Base => "base",
            Self::Content => "content",
        }
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// There is no such gap in this letter.
    #[error("line {line}: there is no {{{{{name}}}}} in this letter")]
    Unknown {
        /// Where.
        line: usize,
        /// What stands between the braces.
        name: String,
    },
    /// Two braces open and none close in that line.
    #[error("line {0}: `{{{{` without `}}}}`")]
    Open(usize),
    /// The letter is worth nothing without it.
    #[error("it must have {{{{{0}}}}}")]
    Missing(&'static str),
    /// A text must begin with its subject.
    #[error("it must begin with a line `Subject: …` and an empty line")]
    NoSubject,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Gap(Gap),
}

/// A text with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a text whose gaps are all of `known`.
    pub fn parse(text: &str, known: &[Gap]) -> Result<Self, TemplateFault> {
        let mut parts = Vec::new();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let mut rest = line;
            while let Some((before, opened)) = rest.split_once("{{") {
                let (name, after) = opened.split_once("}}").ok_or(TemplateFault::Open(number))?;
                let gap = known.iter().find(|gap| gap.name() == name.trim());
                let unknown = || TemplateFault::Unknown { line: number, name: name.trim().to_owned() };
                parts.push(Part::Text(before.to_owned()));
                parts.push(Part::Gap(*gap.ok_or_else(unknown)?));
                rest = after;
            }
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether it has that gap.
    #[must_use]
    pub fn has(&self, gap: Gap) -> bool {
        self.0.contains(&Part::Gap(gap))
    }

    /// The text with its gaps filled. What fills them gets no control characters in: no line of its own in a text, no header of its own
    /// in a subject.
    #[must_use]
    pub fn fill(&self, value: impl Fn(Gap) -> String) -> String {
        self.filled(|gap| plain(&value(gap)))
    }

    /// The same for HTML: what fills the gaps shows as it is written.
    #[must_use]
    pub fn fill_html(&self, value: impl Fn(Gap) -> String) -> String {
        self.filled(|gap| escaped(&plain(&value(gap))))
    }

    /// Puts HTML that is finished into its one gap for that, and fills the others as [`Template::fill_html`] does.
    #[must_use]
    pub fn wrap_html(&self, content: &str, value: impl Fn(Gap) -> String) -> String {
        self.filled(|gap| match gap {
            Gap::Content => content.to_owned(),
            gap => escaped(&plain(&value(gap))),
        })
    }

    fn filled(&self, value: impl Fn(Gap) -> String) -> String {
        let filled = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Gap(gap) => value(*gap),
        });
        filled.collect()
    }
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                let _never_fails = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Gap] = &[Gap::Link, Gap::Device];

    fn evil(gap: Gap) -> String {
        match gap {
            Gap::Device => "<b>\"x\"</b>\r\nBcc: eve@example.com".to_owned(),
            _ => "https://a.example/?b&c".to_owned(),
        }
    }

    #[test]
    fn gaps_are_filled_and_the_rest_stays() {
        let template = Template::parse("a {{link}} b\n{{ device }}{{link}}", KNOWN).unwrap();
        let filled = template.fill(|gap| format!("<{}>", gap.name()));
        assert_eq!(filled, "a <link> b\n<device><link>");
        assert!(template.has(Gap::Device) && !template.has(Gap::Ip));
    }

    #[test]
    fn what_fills_a_gap_is_neither_markup_nor_a_line_of_its_own() {
        let template = Template::parse("{{device}} {{link}}", KNOWN).unwrap();
        assert_eq!(template.fill(evil), "<b>\"x\"</b>  Bcc: eve@example.com https://a.example/?b&c");
        let html = template.fill_html(evil);
        assert_eq!(
            html,
            "&#60;b&#62;&#34;x&#34;&#60;/b&#62;  Bcc: eve@example.com https://a.example/?b&#38;c"
        );
    }

    #[test]
    fn a_slip_is_told_with_its_line() {
        let unknown = TemplateFault::Unknown { line: 2, name: "lnk".to_owned() };
        assert_eq!(Template::parse("a\n{{lnk}}", KNOWN), Err(unknown.clone()));
        assert_eq!(unknown.to_string(), "line 2: there is no {{lnk}} in this letter");
        assert_eq!(Template::parse("a\nb\n{{link}\n}}", KNOWN), Err(TemplateFault::Open(3)));
        let of_another_letter = Template::parse("{{newAddress}}", KNOWN);
        assert!(matches!(of_another_letter, Err(TemplateFault::Unknown { line: 1, .. })));
    }
}
