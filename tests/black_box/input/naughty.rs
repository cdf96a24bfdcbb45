//! Every text field of every body × every sample.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::samples::{never_texts, texts};
use super::success_or_problem;
use crate::support::{Answer, Document, Operation, Person, TestApp, fresh_email};

const PLACE: &str = "the sample goes here";

/// A field, and a body in which everything else is fit.
struct Field {
    operation: Operation,
    name: String,
}

fn fields() -> Vec<Field> {
    let document = Document::committed();
    let operations = document.operations().into_iter().filter(Operation::takes_body);
    let fields = operations.flat_map(|operation| {
        let names = document.text_fields(&operation).into_iter();
        names.map(|name| Field { operation: operation.clone(), name }).collect::<Vec<_>>()
    });
    fields.collect()
}

impl Field {
    fn what(&self, sample: &str) -> String {
        let sample: String = sample.chars().take(80).collect();
        format!("{} {} {} = {sample}", self.operation.method, self.operation.path, self.name)
    }

    /// Sends the sample in this field, for a person of role admin who changes themselves.
    async fn send(&self, app: &TestApp, person: &Person, program: &Person, sample: &str) -> Answer {
        let mut body = match (self.operation.method.as_str(), self.operation.path.as_str()) {
            ("POST", "/v1/auth/register") => json!({"email": fresh_email(), "password": Person::PASSWORD}),
            ("POST", "/v1/auth/reauthenticate") => json!({"password": person.password}),
            ("POST", "/v1/auth/second-factor") => json!({"challenge": "nonsense", "code": "123456"}),
            ("POST", "/v1/auth/login") => json!({"email": person.email, "password": person.password}),
            ("POST", "/v1/me/password") => {
                json!({"currentPassword": person.password, "newPassword": Person::PASSWORD})
            }
            ("POST", "/v1/auth/password-reset/confirm") => {
                json!({"token": "x", "newPassword": Person::PASSWORD})
            }
            ("POST", "/v1/me/email") => {
                json!({"newEmail": fresh_email(), "currentPassword": person.password})
            }
            (
                "POST",
                "/v1/auth/refresh"
                | "/v1/auth/logout"
                | "/v1/bridge-tokens"
                | "/v1/me/second-factor/confirm"
                | "/v1/auth/verify-email"
                | "/v1/auth/verify-email/resend"
                | "/v1/auth/password-reset",
            )
            | ("PATCH", "/v1/me" | "/v1/admin/users/{id}") => json!({}),
            ("POST", "/v1/bridge-tokens/redeem") => json!({"token": "nonsense"}),
            ("POST", "/v1/sync/events") => json!({"eventType": "settings.changed", "eventSource": "web"}),
            ("POST", "/v1/admin/users/{id}/notes") => json!({"note": "called twice"}),
            ("POST", "/v1/usage/reservations") => json!({"userId": person.id, "totalTokens": 1}),
            ("POST", "/v1/usage/reservations/{id}/settle") => json!({"totalTokens": 1, "totalCost": "0.1"}),
            ("POST", "/v1/billing") => json!({"userId": person.id, "amount": "12.50"}),
            ("POST", "/v1/admin/billing/close") => json!({"month": "2020-01"}),
            ("POST", "/v1/admin/service-keys") => json!({"name": "a key", "scopes": ["usage:write"]}),
            (method, path) => panic!("{method} {path} needs a body here"),
        };
        body[&self.name] = PLACE.into();
        let body = body.to_string().replace(&format!("\"{PLACE}\""), sample);
        let (caller, path) = self.operation.asked_by(person, program);
        let request = app.request(&self.operation.method, &path).bearer_auth(&caller.access);
        let request = request.header("idempotency-key", fresh_email());
        Answer::of(request.header("content-type", "application/json").body(body)).await
    }

    /// Checks that what was taken is there, and does what it should.
    async fn kept(&self, app: &TestApp, person: &Person, answer: &Answer, sample: &str) {
        let text: Value = serde_json::from_str(sample).unwrap();
        let what = self.what(sample);
        match self.name.as_str() {
            "fullName" | "avatarUrl" => {
                let user = answer.body.get("user").unwrap_or(&answer.body);
                assert_eq!(user[&self.name], text, "{what}");
                let row = format!("/v1/admin/users/{}", user["id"].as_str().unwrap());
                let row = person.send(app, "GET", &row).await.expect(200);
                assert_eq!(row.body[&self.name], text, "{what}");
            }
            "email" if self.operation.path == "/v1/auth/register" => {
                app.login(text.as_str().unwrap(), Person::PASSWORD).await.expect(200);
            }
            "password" if self.operation.path == "/v1/auth/register" => {
                app.login(answer.str("/user/email"), text.as_str().unwrap()).await.expect(200);
            }
            "newPassword" => {
                app.login(&person.email, text.as_str().unwrap()).await.expect(200);
                app.login(&person.email, &person.password).await.expect(401);
            }
            "role" | "subscriptionTier" | "featureType" | "description" | "name" | "note" | "eventType"
            | "eventSource" | "errorMessage" => {
                assert_eq!(answer.body[&self.name], text, "{what}");
            }
            _ => panic!("{what} was taken"),
        }
    }
}

/// Somebody of role admin, apart from the password that only their own field changes.
async fn fresh_admin(app: &TestApp, database: &tokio_postgres::Client) -> Person {
    let person = app.person().await;
    let sql = format!("UPDATE users SET role = 'admin' WHERE id = '{}'", person.id);
    database.batch_execute(&sql).await.unwrap();
    person
}

/// Sends every sample in one field; how many were taken.
async fn try_all(app: &TestApp, database: &tokio_postgres::Client, field: &Field, texts: &[String]) -> u32 {
    let mut person = fresh_admin(app, database).await;
    let program = person.program(app).await;
    let mut taken = 0;
    for text in texts {
        let answer = success_or_problem(field.send(app, &person, &program, text).await, &field.what(text));
        taken += u32::from(answer.status < 300);
        match answer.status {
            200 | 201 => field.kept(app, &person, &answer, text).await,
            204 if field.name == "newPassword" => {
                field.kept(app, &person, &answer, text).await;
                person = fresh_admin(app, database).await;
            }
            // Signing out of what is no session is signing out; wrong credentials are no unfit values.
            204 => assert_eq!(field.operation.path, "/v1/auth/logout", "{}", field.what(text)),
            401 => {
                let credentials = ["email", "password", "refreshToken", "token", "codeVerifier", "challenge"];
                assert!(credentials.contains(&field.name.as_str()));
            }
            403 => assert!(
                ["currentPassword", "password"].contains(&field.name.as_str()),
                "{}",
                field.what(text)
            ),
            // Whoever it is, a letter is on its way; or one was a moment ago, or another field has made an account of it.
            202 => assert!(["email", "newEmail"].contains(&field.name.as_str()), "{}", field.what(text)),
            409 | 429 => assert_eq!(field.name, "newEmail", "{}", field.what(text)),
            // The password was taken; there is no such token.
            422 if field.name == "newPassword" && answer.str("/errors/0/field") == "token" => {}
            422 => assert_eq!(answer.str("/errors/0/field"), field.name, "{}", field.what(text)),
            status => panic!("{}: {status}", field.what(text)),
        }
    }
    taken
}

#[tokio::test]
async fn every_text_is_kept_exactly_or_refused_with_the_name_of_its_field() {
    let app = TestApp::start().await;
    let database = app.connect().await;
    let (fields, texts) = (fields(), texts());
    assert!(fields.len() >= 13 && texts.len() >= 40, "{} × {}", fields.len(), texts.len());
    let tries = fields.iter().map(|field| try_all(&app, &database, field, &texts));
    let taken: u32 = stream::iter(tries).buffer_unordered(4).fold(0, async |sum, taken| sum + taken).await;
    assert!(taken > 100, "{taken}");
}

#[tokio::test]
async fn what_is_no_storable_text_is_refused_in_every_field() {
    let app = TestApp::start().await;
    let ada = fresh_admin(&app, &app.connect().await).await;
    let program = ada.program(&app).await;
    for field in &fields() {
        for (sample, status) in never_texts() {
            let answer =
                success_or_problem(field.send(&app, &ada, &program, &sample).await, &field.what(&sample));

            assert_eq!(answer.status, status, "{}: {}", field.what(&sample), answer.text);
        }
    }
    ada.send(&app, "GET", "/v1/me").await.expect(200);
}
