//! What several resources show.

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize};
use subtle_application::Page;
use subtle_domain::Timestamp;
use subtle_domain::device;
use subtle_domain::ids::SessionId;
use subtle_domain::session::SessionSummary;
use subtle_domain::user::User;
use utoipa::{IntoParams, ToSchema};

use crate::cursor::InvalidCursor;
use crate::problem::{ApiError, FieldErrors};

/// A time as RFC 3339, UTC, with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time of the years that are kept, to the millisecond.
pub(super) fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let wrong = "must be a time such as \"2026-11-25T08:00:00Z\", from 1970 to 9999";
    let at = DateTime::parse_from_rfc3339(text).map_err(|_told_as_a_whole| wrong)?;
    // A leap second is the first of the next minute here, as it is in the database.
    let at = DateTime::from_timestamp_millis(at.timestamp_millis()).ok_or(wrong)?;
    if (1970..=9999).contains(&at.year()) { Ok(at) } else { Err(wrong) }
}

/// A day of the years that are kept.
pub(super) fn day(text: &str) -> Result<NaiveDate, &'static str> {
    let wrong = "must be a day from 1970-01-01 to 9999-12-31";
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_told_as_a_whole| wrong)?;
    let within = text.len() == 10 && text >= "1970-01-01";
    if within { Ok(day) } else { Err(wrong) }
}

/// Tells a field that is `null` from one that is not there.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserDto {
    /// Never changes.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    id: String,
    /// In lower case.
    #[schema(example = "ada@example.com")]
    email: String,
    /// As they write it.
    #[schema(example = "Ada Lovelace")]
    full_name: Option<String>,
    /// Where their picture is.
    #[schema(example = "https://example.com/ada.png")]
    avatar_url: Option<String>,
    /// What they pay for: `free`, `pro` or `enterprise`. Never a right.
    #[schema(example = "free")]
    subscription_tier: &'static str,
    /// What they may do: `user`, `support` or `admin`.
    #[schema(example = "user")]
    role: &'static str,
    /// Whether the address was shown to be theirs.
    email_verified: bool,
    /// Whether a code is asked for at sign-in.
    second_factor: bool,
    /// When the account was made.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    updated_at: String,
}

impl From<&User> for UserDto {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.to_string(),
            full_name: user.full_name.as_ref().map(|name| name.as_str().to_owned()),
            avatar_url: user.avatar_url.as_ref().map(|url| url.as_str().to_owned()),
            subscription_tier: user.subscription_tier.as_str(),
            role: user.role.as_str(),
            email_verified: user.email_verified,
            second_factor: user.second_factor_at.is_some(),
            created_at: time(user.created_at),
            updated_at: time(user.updated_at),
        }
    }
}

/// A signed-in device.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(super) struct SessionDto {
    /// Under which it can be ended.
    #[schema(example = "cmb3x0f5e0001abcd1234efgh")]
    id: String,
    /// When it began.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    created_at: String,
    /// When its refresh token was last exchanged.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.000Z")]
    last_used_at: String,
    /// When it ends at the latest.
    #[schema(format = DateTime, example = "2027-02-21T08:00:00.000Z")]
    expires_at: String,
    /// From where it began.
    #[schema(example = "203.0.113.9")]
    ip_address: Option<String>,
    /// With what it began.
    #[schema(example = "Subtle/1.0 (Macintosh)")]
    user_agent: Option<String>,
    /// What people call a device that says that of itself; null where nothing can be told.
    #[schema(example = "Subtle on Mac")]
    device: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionDto {
    pub(super) fn new(session: &SessionSummary, asking: Option<&SessionId>) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: time(session.created_at),
            last_used_at: time(session.last_used_at),
            expires_at: time(session.expires_at),
            ip_address: session.client.ip_address.map(|address| address.to_string()),
            user_agent: session.client.user_agent.clone(),
            device: session.client.user_agent.as_deref().and_then(device::describe),
            current: asking == Some(&session.id),
        }
    }
}

/// What became of one of many events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventResult {
    /// Its place in the request, from 0.
    #[schema(example = 0)]
    index: usize,
    /// `accepted`, `duplicate`, `conflict` or `rejected`.
    #[schema(example = "accepted")]
    status: &'static str,
    /// The row that it is; of a duplicate or a conflict, the one that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cmb3x0f5e0003abcd1234efgh")]
    id: Option<String>,
    /// Why it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "totalCost: must be a plain decimal such as \"12.34\"")]
    error: Option<String>,
}

impl EventResult {
    pub(super) fn new(index: usize, status: &'static str, id: Option<String>, error: Option<String>) -> Self {
        Self { index, status, id, error }
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T: ToSchema> {
    items: Vec<T>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

impl<T: ToSchema> List<T> {
    /// A page, its rows as `item` shows them, and its cursor as `cursor` writes it.
    pub(super) fn of<R, C>(page: Page<R, C>, item: impl Fn(R) -> T, cursor: impl Fn(&C) -> String) -> Self {
        Self {
            items: page.items.into_iter().map(item).collect(),
            next_cursor: page.next.as_ref().map(cursor),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Most entries of the page: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

impl ListQuery {
    /// Of a list that has other parameters too.
    pub(super) fn new(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The place and the length that are asked for; `cursor` reads cursors of the list.
    pub(super) fn part<T>(
        &self,
        cursor: impl FnOnce(&str) -> Result<T, InvalidCursor>,
    ) -> Result<(Option<T>, u32), ApiError> {
        let mut errors = FieldErrors::default();
        let limit = self.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            errors.note("limit", "must be from 1 to 200");
        }
        let after = errors.take("cursor", self.cursor.as_deref().map(cursor).transpose());
        match after {
            Some(after) if errors.is_empty() => Ok((after, limit)),
            _ => Err(errors.into()),
        }
    }
}
