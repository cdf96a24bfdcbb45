//! Letters as files: what a server does that was told of no mail server.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use subtle_domain::letter::Letter;
use subtle_domain::ports::{Mailer, NotSent};
use subtle_domain::token::OneTimeToken;
use tokio::task::spawn_blocking;

use crate::compose::Composer;

/// Puts each letter into a folder as an `.eml` file (RFC 5322), for its owner alone.
#[derive(Debug, Clone)]
pub struct FileMailer {
    composer: Composer,
    folder: PathBuf,
}

impl FileMailer {
    /// Into this folder, which is made when there is something to put into it.
    #[must_use]
    pub fn new(composer: Composer, folder: PathBuf) -> Self {
        Self { composer, folder }
    }
}

#[async_trait]
impl Mailer for FileMailer {
    /// A letter that is sent again takes its own place.
    async fn send<'a>(&self, letter: &Letter, token: Option<&'a OneTimeToken>) -> Result<(), NotSent> {
        let message = self.composer.compose(letter, token)?.formatted();
        // By their names they are in the order of time. No address: names are seen by whoever sees the folder.
        let time = letter.created_at.format("%Y%m%dT%H%M%S%3fZ");
        let name = format!("{time}-{}-{}.eml", letter.kind, letter.id);
        let folder = self.folder.clone();
        let written = spawn_blocking(move || write(&folder, &name, &message)).await;
        let failed = |kind: io::ErrorKind| NotSent::Yet(format!("its file could not be written: {kind}"));
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(error.kind())),
            Err(_panic) => Err(failed(io::ErrorKind::Other)),
        }
    }
}

/// Whoever looks finds a file whole or not at all.
fn write(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!(".{name}.{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(message)?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::tests::{composer, letter, token};
    use std::os::unix::fs::PermissionsExt as _;
    use subtle_domain::letter::LetterKind;

    #[tokio::test]
    async fn a_letter_is_one_file_for_its_owner_however_often_it_is_sent() {
        let top = std::env::temp_dir().join(format!("subtle-letters-{}", std::process::id()));
        let mailer = FileMailer::new(composer(), top.join("a/mail"));
        for _ in 0..2 {
            mailer.send(&letter(LetterKind::ResetPassword), Some(&token())).await.unwrap();
        }
        let files: Vec<_> = fs::read_dir(&mailer.folder).unwrap().map(|file| file.unwrap()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0].file_name(), "20231114T221320123Z-reset_password-m1.eml");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&mailer.folder).unwrap().permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(files[0].path()).unwrap();
        assert!(text.contains("/reset-password?token=abc_DEF-123"), "{text}");
        fs::remove_dir_all(top).unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_puts_the_letter_off() {
        let mailer = FileMailer::new(composer(), PathBuf::from("/dev/null/mail"));
        let refused = mailer.send(&letter(LetterKind::NewDevice), None).await.unwrap_err();
        assert!(matches!(&refused, NotSent::Yet(why) if why.contains("could not be written")), "{refused:?}");
    }
}
