//! Subtle from outside: real servers, a real PostgreSQL, HTTP.

mod support;

mod access_tokens;
mod accounts;
mod admin;
mod authorization;
mod deadlines;
mod delivery;
mod deploy;
mod faults;
mod input;
mod limits;
mod overload;
mod readme;
mod sessions;
mod workspace;
