//! Tells where the statements of a script end.
//!
//! A semicolon ends a statement unless it stands in quotes, dollar quotes, a comment or parentheses (PostgreSQL's lexical
//! structure, chapter 4.1). Bodies in the style of `BEGIN ATOMIC … END` are not understood: a migration writes `$$`.

/// The statements of a script, each without its semicolon. What holds nothing but comments and white space is none.
pub(super) fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut rest, mut position, mut depth) = (script, 0, 0_u32);
    while let Some(tail) = rest.get(position..).filter(|tail| !tail.is_empty()) {
        match tail.as_bytes().first() {
            Some(b';') if depth == 0 => {
                found.push(rest.get(..position).unwrap_or_default());
                rest = tail.get(1..).unwrap_or_default();
                position = 0;
                continue;
            }
            Some(b'(') => depth += 1,
            Some(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let before = rest.get(..position).and_then(|before| before.chars().next_back());
        position += token(tail, before);
    }
    found.push(rest);
    found.retain(|statement| !bare(statement).is_empty());
    found
}

/// A statement in one short line, without the comments in front: for a message.
pub(super) fn headline(statement: &str) -> String {
    const MOST: usize = 120;
    let line = bare(statement).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// A statement without the comments and white space in front.
pub(super) fn bare(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    while rest.starts_with("--") || rest.starts_with("/*") {
        rest = rest.get(token(rest, None)..).unwrap_or_default().trim_start();
    }
    rest
}

/// The length of what stands at the beginning: something quoted, a comment, or one character.
fn token(text: &str, before: Option<char>) -> usize {
    let mut characters = text.chars();
    let first = characters.next();
    match (first, characters.next()) {
        (Some('\''), _) => quoted(text, '\'', escapes(before)),
        (Some('"'), _) => quoted(text, '"', false),
        (Some('-'), Some('-')) => text.find('\n').map_or(text.len(), |end| end + 1),
        (Some('/'), Some('*')) => comment(text),
        (Some('$'), _) if !before.is_some_and(in_word) => dollar_quoted(text),
        (Some(other), _) => other.len_utf8(),
        (None, _) => 0,
    }
}

/// Whether a backslash escapes in a string that follows on `before`: as in `E'…'`.
fn escapes(before: Option<char>) -> bool {
    before.is_some_and(|before| before.eq_ignore_ascii_case(&'e'))
}

fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// A doubled quote reads as two strings side by side, which comes to the same end.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' && escapes {
            let _escaped = characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

/// They nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut position) = (0_u32, 0);
    while let Some(tail) = text.get(position..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            (depth, position) = (depth + 1, position + 2);
        } else if tail.starts_with("*/") {
            (depth, position) = (depth - 1, position + 2);
            if depth == 0 {
                return position;
            }
        } else {
            position += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn dollar_quoted(text: &str) -> usize {
    let tag = text.get(1..).and_then(|rest| rest.find('$')).and_then(|end| text.get(..end + 2));
    let inner = |tag: &str| tag.trim_matches('$').to_owned();
    let named = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let Some(tag) = tag.filter(|tag| named(&inner(tag))) else { return 1 };
    let body = text.get(tag.len()..).unwrap_or_default();
    body.find(tag).map_or(text.len(), |end| tag.len() + end + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(script: &str) -> Vec<String> {
        statements(script).into_iter().map(headline).collect()
    }

    #[test]
    fn semicolons_end_statements() {
        assert_eq!(split("SELECT 1; SELECT 2;\n SELECT 3"), ["SELECT 1", "SELECT 2", "SELECT 3"]);
    }

    #[test]
    fn nothing_but_comments_and_blanks_is_no_statement() {
        assert!(split("").is_empty());
        assert!(split(" ;; -- nothing; at all\n/* no; thing */ ;").is_empty());
    }

    #[test]
    fn semicolons_in_quotes_end_nothing() {
        for statement in [
            "SELECT 'a;b'",
            "SELECT 'it''s;'",
            r"SELECT E'\';'",
            r"SELECT e'\\;'",
            r"SELECT '\'",
            "SELECT \"a;\"\"b\"",
            "SELECT $$a;b$$",
            "SELECT $tag$ a; $$ ; $other$ ; $tag$",
            "DO $$ BEGIN PERFORM 1; END $$",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
        ] {
            assert_eq!(split(&format!("{statement}; SELECT 2")), [statement, "SELECT 2"], "{statement}");
        }
    }

    #[test]
    fn semicolons_and_quotes_in_comments_mean_nothing() {
        assert_eq!(split("SELECT 1 -- it's; on\n; SELECT 2").len(), 2);
        assert_eq!(split("SELECT 1 /* a; /* nested; ' */ $$ ; */; SELECT 2").len(), 2);
    }

    #[test]
    fn a_dollar_is_not_always_a_quote() {
        assert_eq!(split("SELECT $1; SELECT a$b$c; SELECT 1$").len(), 3);
    }

    #[test]
    fn what_is_never_closed_is_one_statement() {
        for script in ["SELECT 'a; b", "SELECT $$a; b", "SELECT 1 /* a; b", "SELECT \"a; b", "SELECT (1; 2"] {
            assert_eq!(split(script).len(), 1, "{script}");
        }
    }

    #[test]
    fn a_headline_is_one_short_line_without_the_comments_in_front() {
        assert_eq!(
            headline("-- why\n/* and */ ALTER  TABLE users\n    ADD x INT"),
            "ALTER TABLE users ADD x INT"
        );
        assert_eq!(headline(&"ä".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn our_own_scripts_come_apart_and_lose_nothing() {
        for script in super::super::script::SCRIPTS.iter().flat_map(|script| [script.up, script.down]) {
            let parts = statements(script);
            assert!(!parts.is_empty());
            for part in parts {
                assert!(script.contains(part));
                let word = bare(part).split_whitespace().next().unwrap();
                let known =
                    ["ALTER", "CREATE", "DELETE", "DO", "DROP", "GRANT", "INSERT", "LOCK", "SET", "UPDATE"];
                assert!(known.contains(&word), "{word}");
            }
        }
    }
}
