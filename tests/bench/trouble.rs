//! Why the run ended early: a line for the person at the terminal.

use std::fmt;

/// What a function that may fail gives back.
pub(crate) type Outcome<T = ()> = Result<T, Trouble>;

/// One clear line.
#[derive(Debug)]
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Tells what was tried when somebody said no.
    pub(crate) fn when<E: fmt::Display>(tried: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("cannot {tried}: {error}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<subtle_local_postgres::Error> for Trouble {
    fn from(error: subtle_local_postgres::Error) -> Self {
        Self(error.to_string())
    }
}
