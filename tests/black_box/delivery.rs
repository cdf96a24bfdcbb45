//! What every answer carries, what the log tells, and what is served beside the API.

mod cors;
mod documents;
mod headers;
mod logs;
mod proxies;
