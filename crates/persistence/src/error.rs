//! What goes wrong between here and PostgreSQL, and what is to be done about it.
//!
//! diesel-async keeps few SQLSTATEs (it maps eight of them to [`DatabaseErrorKind`] and drops the others), so the rest is told by
//! how the message begins. Messages are English where the role may say so (see [`crate::pool`]); on a server that speaks another
//! language to a plain role what isn't recognised counts as [`Fault::Defect`], whose connection is closed like all that failed in
//! an unclear way: so at worst one request per connection fails where another try would have helped.

use diesel::result::{DatabaseErrorKind, Error};
use subtle_domain::ports::StoreError;

/// What an error means for the work and for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A constraint, or a value that no column takes. The connection is fine.
    Refused,
    /// A transaction that got in another's way. The connection is fine.
    Again,
    /// A prepared statement that the server no longer answers (0A000 after a migration, 26000). It was never run, and every
    /// connection from before may have it.
    StalePlan,
    /// The connection is gone; the statement may have been run.
    Broken,
    /// The server takes too long or has no room. The connection is fine.
    Overload,
    /// The server isn't one that takes our work now: starting, stopping, full, or a read-only standby.
    Unfit,
    /// Anything else: a wrong statement.
    Defect,
}

impl Fault {
    /// Judges an error.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::DatabaseError(kind, details) => Self::of_kind(*kind, details.message()),
            Error::BrokenTransactionManager | Error::RollbackErrorOnCommit { .. } => Self::Broken,
            // A NUL in a text: the domain's types keep it out.
            Error::InvalidCString(_) => Self::Refused,
            _ => Self::Defect,
        }
    }

    fn of_kind(kind: DatabaseErrorKind, message: &str) -> Self {
        match kind {
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::RestrictViolation
            | DatabaseErrorKind::ExclusionViolation => Self::Refused,
            DatabaseErrorKind::SerializationFailure => Self::Again,
            DatabaseErrorKind::ReadOnlyTransaction => Self::Unfit,
            DatabaseErrorKind::UnableToSendCommand if is_our_mistake(message) => Self::Defect,
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => Self::Broken,
            _ => Self::of_message(message),
        }
    }

    fn of_message(message: &str) -> Self {
        let told = |(beginning, _): &&(&str, Self)| message.starts_with(beginning);
        match BEGINNINGS.iter().find(told) {
            Some((_, fault)) => *fault,
            // The end of many messages, whatever was being written.
            None if message.contains("No space left on device") => Self::Unfit,
            None => Self::Defect,
        }
    }

    /// Whether the connection can be used again as if nothing had happened.
    pub(crate) fn spares_connection(self) -> bool {
        match self {
            Self::Refused | Self::Again | Self::Overload => true,
            Self::StalePlan | Self::Broken | Self::Unfit | Self::Defect => false,
        }
    }
}

/// How messages begin, by what they mean. A message is judged by the first beginning that fits.
const BEGINNINGS: &[(&str, Fault)] = &[
    // 40P01
    ("deadlock detected", Fault::Again),
    // 0A000
    ("cached plan must not change result type", Fault::StalePlan),
    // 26000, 42P05: behind a pooler that hands transactions to other connections, or after a DISCARD.
    ("prepared statement \"", Fault::StalePlan),
    // 57014
    ("canceling statement due to", Fault::Overload),
    // 55P03
    ("could not obtain lock", Fault::Overload),
    // 57P01, 57P05, 25P03, 25P04, 08P01
    ("terminating connection", Fault::Broken),
    // 57P02
    ("terminating background worker", Fault::Broken),
    // 08xxx
    ("connection to client lost", Fault::Broken),
    ("server closed the connection", Fault::Broken),
    ("protocol synchronization was lost", Fault::Broken),
    // 57P03: starting up, shutting down, in recovery, not accepting connections
    ("the database system is", Fault::Unfit),
    // 53300
    ("too many connections", Fault::Unfit),
    ("sorry, too many clients already", Fault::Unfit),
    ("remaining connection slots are reserved", Fault::Unfit),
    ("number of requested standby connections exceeds", Fault::Unfit),
    // 53100, 53200, 53400, and 58030 for what the disk answers
    ("could not extend file", Fault::Unfit),
    ("could not write", Fault::Unfit),
    ("could not open file", Fault::Unfit),
    ("could not read", Fault::Unfit),
    ("could not fsync file", Fault::Unfit),
    ("could not resize shared memory segment", Fault::Unfit),
    ("out of memory", Fault::Unfit),
    ("out of shared memory", Fault::Unfit),
    ("temporary file size exceeds", Fault::Unfit),
    // 22xxx: values that no column takes
    ("invalid byte sequence for encoding", Fault::Refused),
    ("unsupported Unicode escape sequence", Fault::Refused),
    ("invalid input syntax for", Fault::Refused),
    ("value too long for type", Fault::Refused),
    ("numeric field overflow", Fault::Refused),
    ("value overflows numeric format", Fault::Refused),
    ("value out of range", Fault::Refused),
    ("integer out of range", Fault::Refused),
    ("bigint out of range", Fault::Refused),
    ("smallint out of range", Fault::Refused),
    ("timestamp out of range", Fault::Refused),
    ("date out of range", Fault::Refused),
    ("interval out of range", Fault::Refused),
    ("date/time field value out of range", Fault::Refused),
    ("division by zero", Fault::Refused),
    ("invalid regular expression", Fault::Refused),
    ("invalid escape", Fault::Refused),
    // 54000: too long for an index or for JSON
    ("index row", Fault::Refused),
    ("string too long to represent as jsonb string", Fault::Refused),
    ("total size of jsonb", Fault::Refused),
];

/// The driver's errors that never left this process: they come under the same kind as a lost connection.
fn is_our_mistake(message: &str) -> bool {
    [
        "error serializing parameter",
        "error deserializing",
        "error encoding message",
        "expected ",
        "invalid column",
    ]
    .iter()
    .any(|beginning| message.starts_with(beginning))
}

/// Tells the domain of an error.
pub(crate) fn store_error(error: Error) -> StoreError {
    match Fault::of(&error) {
        Fault::Refused => StoreError::Conflict(Box::new(error)),
        Fault::Again | Fault::StalePlan => StoreError::Again(Box::new(error)),
        Fault::Broken | Fault::Overload | Fault::Unfit => StoreError::Unavailable(Box::new(error)),
        Fault::Defect => StoreError::Defect(Box::new(error)),
    }
}

/// A column's value that this program can't read.
pub(crate) fn corrupt(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { table, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    fn of(kind: DatabaseErrorKind, message: &str) -> Fault {
        Fault::of(&Error::DatabaseError(kind, Box::new(message.to_owned())))
    }

    #[test]
    fn what_the_server_says_is_judged_by_how_it_begins() {
        for (message, fault) in [
            ("deadlock detected", Fault::Again),
            ("cached plan must not change result type", Fault::StalePlan),
            ("prepared statement \"s3\" does not exist", Fault::StalePlan),
            ("canceling statement due to statement timeout", Fault::Overload),
            ("canceling statement due to lock timeout", Fault::Overload),
            ("canceling statement due to user request", Fault::Overload),
            ("could not obtain lock on row in relation \"users\"", Fault::Overload),
            ("terminating connection due to administrator command", Fault::Broken),
            ("terminating connection because of crash of another server process", Fault::Broken),
            ("terminating connection due to idle-in-transaction timeout", Fault::Broken),
            ("terminating connection because protocol synchronization was lost", Fault::Broken),
            ("the database system is shutting down", Fault::Unfit),
            ("the database system is starting up", Fault::Unfit),
            ("the database system is in recovery mode", Fault::Unfit),
            ("too many connections for role \"subtle\"", Fault::Unfit),
            ("sorry, too many clients already", Fault::Unfit),
            ("could not extend file \"base/5/1\": No space left on device", Fault::Unfit),
            ("could not do what nobody heard of: No space left on device", Fault::Unfit),
            ("out of memory", Fault::Unfit),
            ("invalid byte sequence for encoding \"UTF8\": 0x00", Fault::Refused),
            ("unsupported Unicode escape sequence", Fault::Refused),
            ("value too long for type character varying(3)", Fault::Refused),
            ("integer out of range", Fault::Refused),
            ("numeric field overflow", Fault::Refused),
            ("index row size 3000 exceeds btree version 4 maximum 2704", Fault::Refused),
            ("relation \"user\" does not exist", Fault::Defect),
            ("syntax error at or near \"SELEKT\"", Fault::Defect),
            ("could not determine data type of parameter $1", Fault::Defect),
        ] {
            assert_eq!(Fault::of(&unknown(message)), fault, "{message}");
        }
    }

    #[test]
    fn what_diesel_recognises_needs_no_words() {
        for (kind, fault) in [
            (DatabaseErrorKind::UniqueViolation, Fault::Refused),
            (DatabaseErrorKind::ForeignKeyViolation, Fault::Refused),
            (DatabaseErrorKind::NotNullViolation, Fault::Refused),
            (DatabaseErrorKind::CheckViolation, Fault::Refused),
            (DatabaseErrorKind::RestrictViolation, Fault::Refused),
            (DatabaseErrorKind::ExclusionViolation, Fault::Refused),
            (DatabaseErrorKind::SerializationFailure, Fault::Again),
            (DatabaseErrorKind::ReadOnlyTransaction, Fault::Unfit),
            (DatabaseErrorKind::ClosedConnection, Fault::Broken),
        ] {
            assert_eq!(of(kind, "unverständlich"), fault);
        }
    }

    #[test]
    fn a_lost_connection_is_told_from_a_statement_that_was_never_sent() {
        let sending = |message| of(DatabaseErrorKind::UnableToSendCommand, message);
        assert_eq!(sending("connection closed"), Fault::Broken);
        assert_eq!(sending("error communicating with the server"), Fault::Broken);
        assert_eq!(sending("channel closed"), Fault::Broken);
        assert_eq!(sending("error serializing parameter 0"), Fault::Defect);
        assert_eq!(sending("expected 2 parameters but got 1"), Fault::Defect);
    }

    #[test]
    fn each_fault_has_its_place_in_the_domain() {
        let told = |message| store_error(unknown(message));
        assert!(matches!(told("deadlock detected"), StoreError::Again(_)));
        assert!(matches!(told("cached plan must not change result type"), StoreError::Again(_)));
        assert!(matches!(
            told("terminating connection due to administrator command"),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(told("canceling statement due to statement timeout"), StoreError::Unavailable(_)));
        assert!(matches!(told("too many connections for role \"x\""), StoreError::Unavailable(_)));
        assert!(matches!(told("integer out of range"), StoreError::Conflict(_)));
        assert!(matches!(told("relation \"user\" does not exist"), StoreError::Defect(_)));
        assert!(matches!(store_error(Error::NotFound), StoreError::Defect(_)));
    }

    #[test]
    fn only_a_connection_in_a_known_state_is_kept() {
        let kept = [Fault::Refused, Fault::Again, Fault::Overload];
        let closed = [Fault::StalePlan, Fault::Broken, Fault::Unfit, Fault::Defect];
        assert!(kept.into_iter().all(Fault::spares_connection));
        assert!(!closed.into_iter().any(Fault::spares_connection));
    }
}
