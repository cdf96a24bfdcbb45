//! People who sign in.

use crate::answers::text;
use crate::fill::PASSWORD;
use crate::load::{Caller, Phase, drive};
use crate::requests::write_post;
use crate::trouble::{Outcome, Trouble};

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// How many sign in at a time, before anything is measured.
const TOGETHER: usize = 8;

/// Signs everybody in.
pub(crate) fn sign_in(address: &str, emails: &[String]) -> Outcome<Vec<Person>> {
    let phase = Phase::default();
    phase.count();
    let callers: Vec<_> = emails.chunks(emails.len().div_ceil(TOGETHER).max(1)).map(SignsIn::each).collect();
    let (driven, callers) = drive(address, callers, None, &phase)?;
    if let Some(failure) = driven.failure {
        return Err(Trouble::new(format!("a sign-in is answered {failure}")));
    }
    Ok(callers.into_iter().flat_map(|caller| caller.people).collect())
}

/// Signs in one after the other.
pub(crate) struct SignsIn {
    emails: Box<dyn Iterator<Item = String> + Send>,
    /// Who is signed in now, if that is to be known.
    people: Vec<Person>,
    keeps: bool,
}

impl SignsIn {
    /// Those once each.
    fn each(emails: &[String]) -> Self {
        let emails = Box::new(Vec::from(emails).into_iter());
        Self { emails, people: Vec::new(), keeps: true }
    }

    /// Those that come, and forgets them.
    pub(crate) fn all(emails: impl Iterator<Item = String> + Send + 'static) -> Self {
        Self { emails: Box::new(emails), people: Vec::new(), keeps: false }
    }
}

impl Caller for SignsIn {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        let Some(email) = self.emails.next() else { return false };
        let body = format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#);
        write_post(request, "/v1/auth/login", "", body.as_bytes());
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        let told = |field| text(body, field).map(|text| String::from_utf8_lossy(text).into_owned());
        let (Some(access), Some(refresh)) = (told("accessToken"), told("refreshToken")) else { return false };
        if self.keeps {
            self.people.push(Person { access, refresh });
        }
        status == 200
    }
}
