//! Database URLs that libpq (`psql`, `pg_dump`) and tokio-postgres read alike.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The port is only a part of the socket's name here. It is spelt out in the URL, for libpq would take it from `$PGPORT`.
pub(crate) const PORT: &str = "5432";
/// The superuser of each cluster.
pub(crate) const USER: &str = "postgres";

/// The URL of a database behind the unix socket in `folder`.
pub(crate) fn over_socket(folder: &Path, database: &str) -> String {
    let (database, folder) = (encoded(database.as_bytes()), encoded(folder.as_os_str().as_bytes()));
    format!("postgres://{USER}@/{database}?host={folder}&port={PORT}")
}

/// The same server, another database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(a, p)| (a, Some(p)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end =
        address.get(authority..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| authority + at);
    let mut other = format!("{}/{}", address.get(..end).unwrap_or(address), encoded(database.as_bytes()));
    if let Some(parameters) = parameters {
        let _ = write!(other, "?{parameters}");
    }
    other
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_folder_is_a_percent_encoded_parameter() {
        let url = over_socket(Path::new("/tmp/a b/ü"), "odd/name?");
        assert_eq!(url, "postgres://postgres@/odd%2Fname%3F?host=%2Ftmp%2Fa%20b%2F%C3%BC&port=5432");
    }

    #[test]
    fn the_database_of_a_url_is_replaced_and_the_rest_is_kept() {
        for (url, other) in [
            ("postgres://u:p@h:1/old?sslmode=disable", "postgres://u:p@h:1/new?sslmode=disable"),
            ("postgres://u@h/old", "postgres://u@h/new"),
            ("postgres://h", "postgres://h/new"),
            ("postgres://?host=/tmp", "postgres:///new?host=/tmp"),
            ("postgresql://u@/old?host=%2Ftmp", "postgresql://u@/new?host=%2Ftmp"),
        ] {
            assert_eq!(with_database(url, "new"), other);
        }
    }
}
