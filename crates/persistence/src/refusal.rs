//! Why callers get no results whose questions were put together.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use subtle_domain::ports::StoreError;

use crate::error::corrupt;

/// What lies behind a failure that several callers have in common.
#[derive(Debug)]
pub(crate) struct Shared(Arc<StoreError>);

impl Shared {
    /// The failure for one of its callers: of the same kind, with the same sources.
    pub(crate) fn tell(error: Arc<StoreError>) -> StoreError {
        match &*error {
            StoreError::Corrupt { table, column } => corrupt(table, column),
            StoreError::Conflict(_) => StoreError::Conflict(Box::new(Self(error))),
            StoreError::Again(_) => StoreError::Again(Box::new(Self(error))),
            StoreError::Unavailable(_) => StoreError::Unavailable(Box::new(Self(error))),
            StoreError::Defect(_) => StoreError::Defect(Box::new(Self(error))),
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()?.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_told_the_same() {
        let inner = std::io::Error::other("the disk is full");
        let error = Arc::new(StoreError::Unavailable(Box::new(inner)));
        for told in [Shared::tell(Arc::clone(&error)), Shared::tell(error)] {
            assert!(matches!(told, StoreError::Unavailable(_)));
            assert_eq!(told.source().map(ToString::to_string), Some("the disk is full".to_owned()));
        }
    }
}
