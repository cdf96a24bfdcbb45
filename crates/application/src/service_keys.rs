//! Service keys: with which an AI backend comes, instead of a person's session.

mod authenticate;
mod cache;
mod create;
mod list;
mod revoke;

pub use authenticate::{Service, ServiceKeyRefused, authenticate_service};
pub use cache::KeyCache;
pub use create::{NewServiceKey, create_service_key};
pub use list::list_service_keys;
pub use revoke::{RevokeKeyError, revoke_service_key};

#[cfg(test)]
pub(crate) use authenticate::tests;
