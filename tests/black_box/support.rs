//! Servers to test, and people to use them.

mod app;
mod cluster;
mod document;
mod http;
mod load;
mod person;
mod process;

pub(crate) use app::TestApp;
pub(crate) use cluster::OwnCluster;
pub(crate) use document::{Document, Operation};
pub(crate) use http::{Answer, Raw, eventually};
pub(crate) use load::Load;
pub(crate) use person::{Person, fresh_email};
