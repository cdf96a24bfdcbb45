//! Servers to test, and people to use them.

mod app;
mod http;
mod person;
mod process;

pub(crate) use app::{Builder, TestApp};
pub(crate) use http::{Answer, Raw, eventually};
pub(crate) use person::{Person, fresh_email};
