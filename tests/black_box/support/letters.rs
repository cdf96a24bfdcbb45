use std::fs;

use super::{TestApp, eventually};

/// A letter that a server has put into its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) text: String,
    kind: String,
}

impl Letter {
    /// To which address it goes.
    pub(crate) fn recipient(&self) -> &str {
        let line = self.text.lines().find(|line| line.starts_with("To: "));
        line.unwrap().trim_start_matches("To: ").trim()
    }

    /// The link in it.
    pub(crate) fn link(&self) -> &str {
        self.text.lines().map(str::trim).find(|line| line.contains("?token=")).unwrap()
    }

    /// The token in its link.
    pub(crate) fn token(&self) -> String {
        self.link().split_once("token=").unwrap().1.to_owned()
    }
}

impl TestApp {
    /// All letters, in the order of their time.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let Ok(folder) = fs::read_dir(self.mail_dir()) else { return Vec::new() };
        let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
        // One that is being written still has another name.
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        let read = |name: String| Letter {
            text: fs::read_to_string(self.mail_dir().join(&name)).unwrap(),
            kind: name.split('-').nth(1).unwrap().to_owned(),
        };
        names.into_iter().map(read).collect()
    }

    /// All letters of that kind to an address.
    pub(crate) fn letters_to(&self, kind: &str, address: &str) -> Vec<Letter> {
        let mut letters = self.letters();
        letters.retain(|letter| letter.kind == kind && letter.recipient() == address);
        letters
    }

    /// The newest letter of that kind to an address, once there is one.
    pub(crate) async fn letter(&self, kind: &str, address: &str) -> Letter {
        eventually("a letter", async || !self.letters_to(kind, address).is_empty()).await;
        self.letters_to(kind, address).pop().unwrap()
    }

    /// Waits until the servers have nothing to send and nothing to answer.
    pub(crate) async fn await_post(&self) {
        let waiting = "SELECT (SELECT count(*) FROM mail_outbox WHERE state = 'waiting') + (SELECT count(*) FROM mail_requests)";
        eventually("an empty outbox", async || self.value(waiting).await == "0").await;
    }
}
