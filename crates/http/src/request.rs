//! Takes requests apart: bodies, queries, who asks and where from.

mod body;
mod caller;
mod client;
mod document;
mod limits;
mod path;
mod query;
mod repeat;
mod resume;
mod service;
mod text;
mod watcher;

pub(crate) use body::{Json, JsonOrLines, parse_item};
pub(crate) use caller::{Admin, Authenticated, FreshlySignedIn, Support};
pub(crate) use client::Client;
pub(crate) use document::document;
pub(crate) use limits::{LetterLimit, PasswordLimit, TokenLimit};
pub(crate) use path::{Id, Ids};
pub(crate) use query::Params;
pub(crate) use repeat::Repeat;
pub(crate) use resume::LastEventId;
pub(crate) use service::{ActivityWrite, Ledger, Program, QuotaWrite, UsageWrite};
pub(crate) use watcher::Watcher;
