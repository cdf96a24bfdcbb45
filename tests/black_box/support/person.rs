use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Answer, TestApp};

/// An address that nobody has yet.
pub(crate) fn fresh_email() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("person{}@example.com", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) session: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Person {
    pub(crate) const PASSWORD: &str = "correct horse battery staple";

    pub(crate) async fn sign_up(app: &TestApp) -> Self {
        let email = fresh_email();
        let body = json!({"email": email, "password": Self::PASSWORD, "fullName": "Ada Lovelace"});
        let answer = app.post("/v1/auth/register", &body).await.expect(201);
        Self::of(&answer, Self::PASSWORD)
    }

    /// The one whom an answer of register, login or refresh is about.
    pub(crate) fn of(answer: &Answer, password: &str) -> Self {
        let text = |pointer: &str| answer.str(pointer).to_owned();
        Self {
            id: text("/user/id"),
            email: text("/user/email"),
            password: password.to_owned(),
            session: text("/session/id"),
            access: text("/accessToken"),
            refresh: text("/refreshToken"),
        }
    }

    /// The same person in another session.
    pub(crate) async fn sign_in(&self, app: &TestApp) -> Self {
        Self::of(&app.login(&self.email, &self.password).await.expect(200), &self.password)
    }

    /// Sends a request to the first server with their access token.
    pub(crate) async fn send(&self, app: &TestApp, method: &str, path: &str) -> Answer {
        self.send_to(app, 0, method, path).await
    }

    /// Sends a request to the server of that number with their access token.
    pub(crate) async fn send_to(&self, app: &TestApp, server: usize, method: &str, path: &str) -> Answer {
        let request = app.client.request(method.parse().unwrap(), app.url_of(server, path));
        Answer::of(request.bearer_auth(&self.access)).await
    }

    /// A service key of these scopes, made by them: an administrator.
    pub(crate) async fn service_key(&self, app: &TestApp, scopes: &[&str]) -> String {
        let body = json!({"name": "gateway", "scopes": scopes});
        let made = self.send_json(app, "POST", "/v1/admin/service-keys", &body).await.expect(201);
        made.str("/key").to_owned()
    }

    /// A program with a key of all scopes, made by them.
    pub(crate) async fn program(&self, app: &TestApp) -> Self {
        let scopes = ["usage:write", "billing:write", "activity:write", "quota:write"];
        Self { access: self.service_key(app, &scopes).await, ..self.clone() }
    }

    /// Sends a request with a body and their access token.
    pub(crate) async fn send_json(&self, app: &TestApp, method: &str, path: &str, body: &Value) -> Answer {
        Answer::of(app.request(method, path).bearer_auth(&self.access).json(body)).await
    }
}
