//! Where things are in the checkout.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout. Cargo names our folder at run time; what it was at compile time is wrong in a checkout that has moved.
pub(crate) fn root() -> PathBuf {
    let ours = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&ours).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
