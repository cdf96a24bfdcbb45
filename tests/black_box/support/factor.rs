use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use totp_rs::{Builder, Secret, Totp};

use super::{Answer, Person, TestApp};

/// An app with somebody's second factor, and what they wrote down.
#[derive(Debug)]
pub(crate) struct Factor {
    totp: Totp,
    /// The recovery codes.
    pub(crate) recovery: Vec<String>,
}

impl Factor {
    /// What the app shows now.
    pub(crate) fn code(&self) -> String {
        self.code_in(0)
    }

    /// What it shows in the half minute after this one, which is taken already: one that was not used to confirm it.
    pub(crate) fn next_code(&self) -> String {
        self.code_in(30)
    }

    #[expect(clippy::disallowed_methods, reason = "somebody's phone has a clock of its own")]
    fn code_in(&self, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.totp.generate(now.checked_add_signed(seconds).unwrap()).to_string()
    }

    /// A code that is wrong now, and for a minute.
    pub(crate) fn wrong_code(&self) -> String {
        let near: Vec<_> = (-3..=3).map(|steps| self.code_in(steps * 30)).collect();
        let mut wrong = (0..).map(|number| format!("{number:06}"));
        wrong.find(|code| !near.contains(code)).unwrap()
    }

    /// An app that has a secret, for who may have one.
    pub(crate) async fn try_enrol(app: &TestApp, person: &Person) -> Option<Self> {
        let enrolled = person.send(app, "POST", "/v1/me/second-factor").await;
        if enrolled.status != 201 {
            return None;
        }
        let secret = Secret::try_from_base32(enrolled.str("/secret")).unwrap();
        let totp = Builder::new().with_secret(secret).build().unwrap();
        Some(Self { totp, recovery: Vec::new() })
    }

    /// The same, confirmed.
    pub(crate) async fn try_of(app: &TestApp, person: &Person) -> Option<Self> {
        let factor = Self::try_enrol(app, person).await?;
        let body = json!({"code": factor.code()});
        let confirmed =
            person.send_json(app, "POST", "/v1/me/second-factor/confirm", &body).await.expect(200);
        let recovery = texts(&confirmed);
        Some(Self { recovery, ..factor })
    }
}

/// The recovery codes of an answer.
pub(crate) fn texts(answer: &Answer) -> Vec<String> {
    let codes = answer.body["recoveryCodes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

impl Person {
    /// Adds a second factor to their account.
    pub(crate) async fn add_factor(&self, app: &TestApp) -> Factor {
        Factor::try_of(app, self).await.unwrap()
    }

    /// What a sign-in with their password gives, where a code is needed as well.
    pub(crate) async fn challenge(&self, app: &TestApp) -> String {
        let login = app.login(&self.email, &self.password).await;
        login.expect_problem(403, "second-factor-required").str("/secondFactor/challenge").to_owned()
    }
}

impl TestApp {
    /// The second step of a sign-in, at the server of that number.
    pub(crate) async fn complete(&self, server: usize, challenge: &str, code: &str) -> Answer {
        let body = json!({"challenge": challenge, "code": code});
        Answer::of(self.client.post(self.url_of(server, "/v1/auth/second-factor")).json(&body)).await
    }
}
