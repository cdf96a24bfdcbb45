//! What is searched for, and the part of it that is looked up in an index.
//!
//! The indexes hold trigrams. Of those that are asked for, each account of the rarest is looked up in the lists of all others, and the list of
//! one that most have, as in the domain of their addresses, is as long as that of the accounts. So a part without such trigrams is asked
//! for, if there is one, and only in what it finds is the whole looked for. What is frequent is seen in a sample; whatever that is, the
//! same accounts are found.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sql_query;
use diesel::sql_types::{Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::prepared::Prepare;

/// Some accounts from several places of the list.
const SAMPLE: &str = "
    SELECT lower(email) AS address, lower(full_name) AS name
    FROM (SELECT low_time, low_id FROM user_ranges WHERE sort = 'createdAt/wide' ORDER BY random() LIMIT 12) AS ranges,
        LATERAL (
            SELECT email, full_name FROM users WHERE deleted_at IS NULL AND (created_at, id) >= (low_time, low_id)
            ORDER BY created_at, id LIMIT 24
        ) AS near";
/// Of less than this the sample would cost more than it spares.
const SHORT: usize = 8;
/// Fewer accounts in the sample tell nothing: there are few, or their list was not cut yet.
const FEW: usize = 64;
/// What more than one of so many have is frequent.
const RARE: usize = 50;
/// More trigrams than are in this cost more than they leave out.
const LONG: usize = 12;

/// What is searched for in addresses and names.
pub(super) struct Search {
    text: String,
    /// What addresses and names are like, at least: the pattern of a part, or of the whole.
    address: Pattern,
    name: Pattern,
}

enum Pattern {
    Part(String),
    Whole(String),
}

#[derive(QueryableByName)]
struct Sampled {
    #[diesel(sql_type = Text)]
    address: String,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

impl Search {
    pub(super) async fn of(text: &str, connection: &mut AsyncPgConnection) -> QueryResult<Self> {
        let sample: Vec<Sampled> = if text.is_ascii() && text.len() >= SHORT {
            sql_query(SAMPLE).prepared().load(connection).await?
        } else {
            Vec::new()
        };
        let addresses: Vec<_> = sample.iter().map(|one| one.address.as_str()).collect();
        let names: Vec<_> = sample.iter().filter_map(|one| one.name.as_deref()).collect();
        Ok(Self {
            text: text.to_owned(),
            address: Pattern::of(text, &addresses),
            name: Pattern::of(text, &names),
        })
    }
}

impl Pattern {
    fn of(text: &str, sample: &[&str]) -> Self {
        rare_part(text, sample)
            .map_or_else(|| Self::Whole(containing(text)), |part| Self::Part(containing(part)))
    }

    /// Whether `column` contains `text`, in small letters both.
    fn push<'b>(&'b self, column: &str, text: &'b String, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&format!("(lower({column}) LIKE lower("));
        match self {
            Self::Whole(pattern) => {
                out.push_bind_param::<Text, _>(pattern)?;
                out.push_sql("))");
            }
            Self::Part(pattern) => {
                out.push_bind_param::<Text, _>(pattern)?;
                out.push_sql(&format!(") AND strpos(lower({column}), lower("));
                out.push_bind_param::<Text, _>(text)?;
                out.push_sql(")) > 0)");
            }
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for Search {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        self.address.push("email", &self.text, &mut out)?;
        out.push_sql(" OR ");
        self.name.push("full_name", &self.text, &mut out)?;
        out.push_sql(")");
        Ok(())
    }
}

/// The longest part of a word of `text` of which few of a sample, in small letters, have a trigram; none if the sample says nothing, or the
/// whole will do. Only of ASCII, whose small letters are the same whatever stands beside them.
fn rare_part<'a>(text: &'a str, sample: &[&str]) -> Option<&'a str> {
    if sample.len() < FEW || !text.is_ascii() {
        return None;
    }
    let small = text.to_ascii_lowercase();
    let (mut longest, mut rare, mut any_is_frequent) = (0..0, 0..0, false);
    for at in 0..small.len() {
        let trigram =
            small.get(at..at + 3).filter(|trigram| trigram.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let Some(trigram) = trigram else { continue };
        if sample.iter().filter(|one| one.contains(trigram)).count() * RARE > sample.len() {
            any_is_frequent = true;
            continue;
        }
        // It goes on where the one before it is rare too, and of the same word.
        let begin = if rare.end == at + 2 { rare.start } else { at };
        rare = begin..at + 3;
        if rare.len() > longest.len() {
            longest = rare.clone();
        }
    }
    if !any_is_frequent && text.len() <= LONG {
        return None;
    }
    longest.end = longest.end.min(longest.start + LONG);
    text.get(longest).filter(|part| !part.is_empty())
}

/// The `LIKE` pattern of what contains `part`, each character of which stands for itself.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_of_a_search_stands_for_itself() {
        assert_eq!(containing("ada"), "%ada%");
        assert_eq!(containing(""), "%%");
        assert_eq!(containing(r"50%_\o/"), r"%50\%\_\\o/%");
    }

    #[test]
    fn what_most_have_is_not_looked_up() {
        let sample: Vec<_> = (0..200).map(|n| format!("person{}@bench.example.com", n * 7919)).collect();
        let sample: Vec<_> = sample.iter().map(String::as_str).collect();
        for (text, part) in [
            ("person500000@bench.example.com", Some("n500000")),
            ("Ada.Lovelace@BENCH.example.com", Some("Lovelace")),
            ("ada.lovelace@gmail.org", Some("lovelace")),
            ("bench.example.com", None),
            ("person", None),
            ("lovelace.ada", None),
            ("0123456789abcdef@gmail.org", Some("0123456789ab")),
            ("pérson500000@bench.example.com", None),
            ("ab@bench.example.com", None),
            ("", None),
        ] {
            assert_eq!(rare_part(text, &sample), part, "{text}");
        }
        assert_eq!(rare_part("person500000@bench.example.com", &sample[..20]), None);
    }
}
