//! Subtle from outside: real servers, a real PostgreSQL, HTTP.

mod support;

mod accounts;
mod sessions;
mod workspace;
