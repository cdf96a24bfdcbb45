//! Why a chore ended early: a line for the person at the terminal.

use std::fmt;

/// What a function of a chore gives back.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A line, or a few where another program had more to say.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Tells what was tried when the system said no.
    pub(crate) fn when<E: fmt::Display>(tried: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("cannot {tried}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<subtle_local_postgres::Error> for Failure {
    fn from(error: subtle_local_postgres::Error) -> Self {
        Self(error.to_string())
    }
}
