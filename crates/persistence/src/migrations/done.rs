//! What is told on the way.

/// A step towards a database that is up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// This migration was applied.
    Applied(String),
    /// This role, which could run the service, was given what it lacked for that.
    Granted(String),
    /// It could not be.
    NotGranted {
        /// The role.
        role: String,
        /// What the server said.
        why: String,
    },
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Applied(name) => write!(f, "applied {name}"),
            Self::Granted(role) => write!(f, "granted to {role} again what a server needs"),
            Self::NotGranted { role, why } => {
                write!(
                    f,
                    "{role} was not granted what a server needs ({why}): run `subtle migrate --grant-to {role}`"
                )
            }
        }
    }
}
