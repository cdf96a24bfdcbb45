//! Rows of `auth`, and the accounts that they are put together to.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use subtle_domain::Timestamp;
use subtle_domain::import::{
    ForeignAccount, ForeignFactor, ForeignIdentity, ForeignSession, Mark, TokenSigner,
};
use subtle_domain::second_factor::Assurance;
use subtle_domain::token::{ForeignSecret, RefreshToken};

/// What counts as never: the last moment that is written with four digits of a year.
const NEVER: Timestamp = DateTime::from_timestamp(253_402_300_799, 0).unwrap();

#[derive(QueryableByName)]
pub(super) struct AccountRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    hash: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    marks: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    names: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    pictures: Vec<String>,
    #[diesel(sql_type = Nullable<Text>)]
    created_at: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    banned_until: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct IdentityRow {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    provider_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    created_at: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    last_sign_in_at: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct FactorRow {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    secret: Option<String>,
}

#[derive(QueryableByName)]
pub(super) struct SessionRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    created_at: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    refreshed_at: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    not_after: Option<String>,
    #[diesel(sql_type = Bool)]
    second_factor: bool,
    #[diesel(sql_type = Bool)]
    programs: bool,
    #[diesel(sql_type = Nullable<Text>)]
    key: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    counter: Option<i64>,
    #[diesel(sql_type = Array<Text>)]
    tokens: Vec<String>,
    #[diesel(sql_type = Nullable<Text>)]
    parent: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    token_made_at: Option<String>,
}

impl AccountRow {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl From<IdentityRow> for ForeignIdentity {
    fn from(row: IdentityRow) -> Self {
        Self {
            provider: row.provider,
            provider_id: row.provider_id,
            created_at: row.created_at.and_then(time),
            last_sign_in_at: row.last_sign_in_at.and_then(time),
        }
    }
}

impl From<FactorRow> for ForeignFactor {
    fn from(row: FactorRow) -> Self {
        match row.secret {
            Some(secret) if row.kind == "totp" => Self::App(ForeignSecret::new(secret)),
            _ => Self::Other,
        }
    }
}

impl From<SessionRow> for ForeignSession {
    fn from(row: SessionRow) -> Self {
        let refreshed = row.refreshed_at.and_then(time);
        let parent = row.parent.filter(|parent| !parent.is_empty());
        Self {
            id: row.id,
            created_at: row.created_at.and_then(time),
            last_used_at: refreshed.max(row.token_made_at.and_then(time)),
            not_after: row.not_after.map(end),
            assurance: if row.second_factor { Assurance::SecondFactor } else { Assurance::Password },
            is_programs: row.programs,
            tokens: row.tokens.into_iter().chain(parent).map(RefreshToken::new).collect(),
            signer: row
                .key
                .zip(row.counter)
                .map(|(key, counter)| TokenSigner { key: ForeignSecret::new(key), counter }),
        }
    }
}

/// Puts accounts together, in the order in which they come, with what belongs to each.
pub(super) fn assemble(
    accounts: Vec<AccountRow>,
    identities: Vec<IdentityRow>,
    factors: Vec<FactorRow>,
    sessions: Vec<SessionRow>,
) -> Vec<ForeignAccount> {
    let mut identities = by_owner(identities, |row| row.user_id.clone());
    let mut factors = by_owner(factors, |row| row.user_id.clone());
    let mut sessions = by_owner(sessions, |row| row.user_id.clone());
    let account = |row: AccountRow| ForeignAccount {
        marks: row.marks.iter().filter_map(|mark| Mark::parse(mark)).collect(),
        identities: identities.remove(&row.id).unwrap_or_default(),
        factors: factors.remove(&row.id).unwrap_or_default(),
        sessions: sessions.remove(&row.id).unwrap_or_default(),
        id: row.id,
        email: row.email,
        hash: row.hash.map(ForeignSecret::new),
        names: row.names,
        pictures: row.pictures,
        created_at: row.created_at.and_then(time),
        banned_until: row.banned_until.map(end),
    };
    accounts.into_iter().map(account).collect()
}

fn by_owner<R, T: From<R>>(rows: Vec<R>, owner: impl Fn(&R) -> String) -> HashMap<String, Vec<T>> {
    let mut owners: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        owners.entry(owner(&row)).or_default().push(row.into());
    }
    owners
}

/// A time as JSON has it, in the zone of the connection, which is UTC; `None` for one that has no place here, such as infinity.
/// `refreshed_at` tells no zone: it is in UTC too.
fn time(text: String) -> Option<Timestamp> {
    let zoned =
        DateTime::parse_from_rfc3339(&text).or_else(|_untold| DateTime::parse_from_rfc3339(&(text + "Z")));
    Some(zoned.ok()?.with_timezone(&Utc).trunc_subsecs(3))
}

/// The same for an end: what has no place here is farther away than all that has, in one direction or the other.
fn end(text: String) -> Timestamp {
    let is_past = text.starts_with('-') || text.ends_with("BC");
    let otherwise = if is_past { Timestamp::UNIX_EPOCH } else { NEVER };
    time(text).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        time(text.to_owned())
    }

    #[test]
    fn times_are_read_with_and_without_a_zone_and_cut_to_milliseconds() {
        let known = DateTime::from_timestamp_millis(1_700_000_000_123);
        for text in [
            "2023-11-14T22:13:20.123456+00:00",
            "2023-11-14T22:13:20.123999",
            "2023-11-15T07:13:20.123+09:00",
        ] {
            assert_eq!(at(text), known, "{text}");
        }
        for text in
            ["infinity", "-infinity", "10000-01-01T00:00:00+00:00", "0044-03-15T00:00:00+00:00 BC", ""]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn an_end_that_no_time_can_say_is_never_or_was_long_ago() {
        let end = |text: &str| end(text.to_owned());
        assert_eq!([end("infinity"), end("10000-01-01T00:00:00+00:00")], [NEVER; 2]);
        let past = Timestamp::UNIX_EPOCH;
        assert_eq!([end("-infinity"), end("0044-03-15T00:00:00+00:00 BC")], [past; 2]);
        assert_eq!(NEVER.to_rfc3339(), "9999-12-31T23:59:59+00:00");
    }
}
