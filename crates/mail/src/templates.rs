//! All letters: ours, compiled in, and those that a product puts in their place.
//!
//! Each has a text, `verify_email.txt`, which begins with its subject, and the same as HTML, `verify_email.html`; `layout.html` is around
//! all of the latter.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use subtle_domain::letter::LetterKind;

use crate::template::{Gap, Template, TemplateFault};

/// Why there are no templates to start with.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder or a file in it can't be read.
    #[error("cannot read {} (setting mail_templates)", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that takes no letter's place, most likely a slip of the fingers.
    #[error("{} is the template of no letter; there are {}, each as .txt and .html, and layout.html", .0.display(), names())]
    Stray(PathBuf),
    /// A file is no template.
    #[error("{} is no template: {fault}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: TemplateFault,
    },
}

fn names() -> String {
    LetterKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

const LAYOUT: &str = "layout.html";

macro_rules! ours {
    ($($file:literal),+ $(,)?) => {
        /// What is compiled in, by file name.
        const OURS: &[(&str, &str)] = &[$(($file, include_str!(concat!("../templates/", $file)))),+];
    };
}

ours!(
    "layout.html",
    "verify_email.txt",
    "verify_email.html",
    "reset_password.txt",
    "reset_password.html",
    "confirm_new_email.txt",
    "confirm_new_email.html",
    "email_change_asked.txt",
    "email_change_asked.html",
    "email_changed.txt",
    "email_changed.html",
    "password_changed.txt",
    "password_changed.html",
    "new_device.txt",
    "new_device.html",
    "second_factor_added.txt",
    "second_factor_added.html",
    "second_factor_removed.txt",
    "second_factor_removed.html",
    "recovery_codes_made.txt",
    "recovery_codes_made.html",
    "recovery_code_used.txt",
    "recovery_code_used.html",
);

/// One letter, ready to be filled.
#[derive(Debug, Clone)]
pub(crate) struct LetterTemplate {
    pub(crate) subject: Template,
    pub(crate) text: Template,
    pub(crate) html: Template,
}

/// All letters.
#[derive(Debug, Clone)]
pub struct Templates {
    letters: HashMap<LetterKind, LetterTemplate>,
    pub(crate) layout: Template,
}

impl Templates {
    /// Ours; those that are in `folder` take the place of ours. All of them are checked.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let theirs = folder.map(read).transpose()?.unwrap_or_default();
        let find = |file: &str| {
            let ours = OURS.iter().find(|(name, _)| *name == file).map_or("", |(_, text)| text);
            theirs.get(file).cloned().unwrap_or_else(|| (PathBuf::from(file), ours.to_owned()))
        };
        let mut letters = HashMap::new();
        for kind in LetterKind::ALL {
            let (path, text) = find(&format!("{kind}.txt"));
            let (subject, text) = with_subject(*kind, &text).map_err(unfit(path))?;
            let (path, html) = find(&format!("{kind}.html"));
            let html = parse(*kind, &html).map_err(unfit(path))?;
            letters.insert(*kind, LetterTemplate { subject, text, html });
        }
        let (path, layout) = find(LAYOUT);
        let layout = demanding(&layout, &[Gap::Content, Gap::Address, Gap::Base], Some(Gap::Content))
            .map_err(unfit(path))?;
        Ok(Self { letters, layout })
    }

    pub(crate) fn of(&self, kind: LetterKind) -> Option<&LetterTemplate> {
        self.letters.get(&kind)
    }
}

fn unfit(path: PathBuf) -> impl FnOnce(TemplateFault) -> TemplateError {
    move |fault| TemplateError::Unfit { path, fault }
}

/// What a letter can tell.
fn gaps(kind: LetterKind) -> &'static [Gap] {
    match kind {
        LetterKind::VerifyEmail | LetterKind::ResetPassword | LetterKind::ConfirmNewEmail => {
            &[Gap::Link, Gap::Hours, Gap::Address, Gap::Time, Gap::Base]
        }
        LetterKind::EmailChangeAsked | LetterKind::EmailChanged => {
            &[Gap::NewAddress, Gap::Address, Gap::Time, Gap::Ip, Gap::Device, Gap::Base]
        }
        LetterKind::PasswordChanged
        | LetterKind::NewDevice
        | LetterKind::SecondFactorAdded
        | LetterKind::SecondFactorRemoved
        | LetterKind::RecoveryCodesMade
        | LetterKind::RecoveryCodeUsed => &[Gap::Address, Gap::Time, Gap::Ip, Gap::Device, Gap::Base],
    }
}

fn demanding(text: &str, known: &[Gap], needed: Option<Gap>) -> Result<Template, TemplateFault> {
    let template = Template::parse(text, known)?;
    match needed {
        Some(gap) if !template.has(gap) => Err(TemplateFault::Missing(gap.name())),
        _ => Ok(template),
    }
}

fn parse(kind: LetterKind, text: &str) -> Result<Template, TemplateFault> {
    demanding(text, gaps(kind), kind.purpose().map(|_| Gap::Link))
}

fn with_subject(kind: LetterKind, text: &str) -> Result<(Template, Template), TemplateFault> {
    let text = text.replace("\r\n", "\n");
    let (subject, body) = text.split_once("\n\n").ok_or(TemplateFault::NoSubject)?;
    let subject = subject.strip_prefix("Subject:").map(str::trim).filter(|line| !line.is_empty());
    let subject = subject.filter(|line| !line.contains('\n')).ok_or(TemplateFault::NoSubject)?;
    // A subject is shown on locked screens and in lists: no link there.
    let known: Vec<_> = gaps(kind).iter().copied().filter(|gap| *gap != Gap::Link).collect();
    Ok((Template::parse(subject, &known)?, parse(kind, body)?))
}

/// The templates of a folder, by file name.
fn read(folder: &Path) -> Result<HashMap<String, (PathBuf, String)>, TemplateError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TemplateError::Unreadable { path, source }
    };
    let mut found = HashMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default();
        if extension != "txt" && extension != "html" {
            continue;
        }
        if !OURS.iter().any(|(file, _)| *file == name) {
            return Err(TemplateError::Stray(path));
        }
        let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
        found.insert(name, (path, text));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one file, gone when this is.
    struct Folder(PathBuf);

    impl Folder {
        fn with(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("subtle-templates-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(name), text).unwrap();
            Self(path)
        }

        fn refusal(name: &str, text: &str) -> String {
            Templates::load(Some(&Self::with(name, text).0)).unwrap_err().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_letter_has_its_templates() {
        let templates = Templates::load(None).unwrap();
        for kind in LetterKind::ALL {
            let letter = templates.of(*kind).unwrap();
            assert_eq!(letter.text.has(Gap::Link), kind.purpose().is_some(), "{kind}");
            assert_eq!(letter.html.has(Gap::Link), kind.purpose().is_some(), "{kind}");
        }
        assert_eq!(OURS.len(), 1 + 2 * LetterKind::ALL.len());
    }

    // Text that is not ASCII is encoded, and then a link in it can't be read as it stands.
    #[test]
    fn ours_are_ascii() {
        for (file, text) in OURS {
            assert!(text.is_ascii(), "{file}");
        }
    }

    #[test]
    fn a_products_template_takes_the_place_of_ours() {
        let folder = Folder::with("new_device.txt", "Subject: Grüße\r\n\r\nYou signed in on {{device}}.\r\n");
        fs::write(folder.0.join("notes.md"), "not a template").unwrap();
        let templates = Templates::load(Some(&folder.0)).unwrap();
        let letter = templates.of(LetterKind::NewDevice).unwrap();
        assert_eq!(letter.subject.fill(|_| String::new()), "Grüße");
        assert_eq!(letter.text.fill(|_| "x".to_owned()), "You signed in on x.\n");
    }

    #[test]
    fn an_unfit_template_is_told_with_its_file_and_reason() {
        for (file, text, reason) in [
            ("verify_email.txt", "Subject: Hi\n\nno way in", "must have {{link}}"),
            ("verify_email.html", "<p>{{lnk}}</p>", "line 1: there is no {{lnk}}"),
            ("reset_password.txt", "Hello {{link}}", "must begin with a line `Subject: …`"),
            ("reset_password.txt", "Subject: {{link}}\n\n{{link}}", "there is no {{link}}"),
            ("layout.html", "<html></html>", "must have {{content}}"),
            ("welcome.txt", "Subject: Hi\n\n", "is the template of no letter"),
        ] {
            let refusal = Folder::refusal(file, text);
            assert!(refusal.contains(reason) && refusal.contains(file), "{refusal}");
        }
        let nowhere = Templates::load(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(nowhere.to_string().contains("/nowhere/at/all"), "{nowhere}");
    }
}
