//! Servers to test, and people to use them.

pub(crate) mod app;
mod cluster;
mod document;
mod factor;
mod http;
mod letters;
mod load;
mod person;
mod process;
mod random;
mod stream;
mod sums;

pub(crate) use app::TestApp;
pub(crate) use cluster::OwnCluster;
pub(crate) use document::{Document, Operation};
pub(crate) use factor::{Factor, texts};
pub(crate) use http::{Answer, Raw, eventually};
pub(crate) use letters::Letter;
pub(crate) use load::Load;
pub(crate) use person::{Person, fresh_email};
pub(crate) use random::{Random, number};
pub(crate) use stream::{Block, EventStream};
pub(crate) use sums::{DOLLAR, Facts, Sums, UNRECONCILED, dollars};
