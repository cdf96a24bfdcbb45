use serde_json::{Value, json};

use crate::support::{Answer, Factor, Operation, Person, TestApp, fresh_email};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    Anonymous,
    /// Whose things they are.
    Owner,
    /// Somebody else, with the owner's identifiers.
    Stranger,
    /// A stranger who pays the most.
    Enterprise,
    Support,
    Admin,
    /// With a token from when they were one.
    FormerAdmin,
    /// With a token from before the account was closed.
    Disabled,
    /// With a service key of all scopes.
    Program,
}

impl Actor {
    pub(super) const ALL: [Self; 9] = [
        Self::Anonymous,
        Self::Owner,
        Self::Stranger,
        Self::Enterprise,
        Self::Support,
        Self::Admin,
        Self::FormerAdmin,
        Self::Disabled,
        Self::Program,
    ];
}

/// A server, somebody who runs it, and a look behind.
pub(super) struct Stage {
    pub(super) app: TestApp,
    admin: Person,
    program: Person,
    database: tokio_postgres::Client,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let app = TestApp::start().await;
        let admin = app.person_of_role("admin").await;
        let program = admin.program(&app).await;
        let database = app.connect().await;
        Self { app, admin, program, database }
    }

    pub(super) fn admin(&self) -> &Person {
        &self.admin
    }

    pub(super) async fn enter(&self, actor: Actor, owner: &Person) -> Option<Person> {
        let person = match actor {
            Actor::Anonymous => return None,
            Actor::Owner => owner.clone(),
            Actor::Program => self.program.clone(),
            Actor::Stranger => self.app.person().await,
            Actor::Enterprise => self.person_with("subscription_tier = 'enterprise'").await,
            Actor::Support => self.person_with("role = 'support'").await,
            Actor::Admin => self.person_with("role = 'admin'").await,
            Actor::FormerAdmin => {
                let person = self.person_with("role = 'admin'").await;
                self.change(&person, "role = 'user'").await;
                person
            }
            Actor::Disabled => {
                let person = self.person_with("role = 'admin'").await;
                let path = format!("/v1/admin/users/{}/disable", person.id);
                self.admin.send(&self.app, "POST", &path).await.expect(200);
                person
            }
        };
        Some(person)
    }

    /// Somebody with a change made behind the server, and a token from after it.
    pub(super) async fn person_with(&self, change: &str) -> Person {
        let person = self.app.person().await;
        self.change(&person, change).await;
        person.sign_in(&self.app).await
    }

    async fn change(&self, person: &Person, change: &str) {
        let sql = format!("UPDATE users SET {change} WHERE id = '{}'", person.id);
        self.database.batch_execute(&sql).await.unwrap();
    }

    /// All that the service knows of somebody, their timeline aside.
    pub(super) async fn traces(&self, person: &Person) -> String {
        let sql = "SELECT (SELECT to_jsonb(u) FROM users u WHERE id = $1)::text
                       || (SELECT jsonb_agg(to_jsonb(s) ORDER BY id) FROM sessions s WHERE user_id = $1)::text";
        self.database.query_one(sql, &[&person.id]).await.unwrap().get(0)
    }

    /// All that nobody must ever see.
    pub(super) async fn secrets(&self) -> Vec<String> {
        let sql = "SELECT password_hash FROM users UNION ALL SELECT refresh_token FROM sessions
                   UNION ALL SELECT encode(salt, 'hex') FROM sessions
                   UNION ALL SELECT encode(salt, 'base64') FROM sessions
                   UNION ALL SELECT encode(digest, 'hex') FROM service_keys
                   UNION ALL SELECT encode(digest, 'base64') FROM service_keys
                   UNION ALL SELECT encode(sealed, 'hex') FROM second_factors
                   UNION ALL SELECT digest FROM recovery_codes
                   UNION ALL SELECT token FROM bridge_tokens
                   UNION ALL SELECT digest FROM one_time_tokens
                   UNION ALL SELECT encode(salt, 'hex') FROM one_time_tokens";
        self.database.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// What of the owner's an operation's path names.
    pub(super) async fn id_in(&self, operation: &Operation, owner: &Person) -> String {
        let (app, program) = (&self.app, &self.program);
        let made = match operation.path.as_str() {
            "/v1/me/sessions/{id}" => return owner.session.clone(),
            path if path.starts_with("/v1/usage/reservations/{id}") => {
                let hold = json!({"userId": owner.id, "totalTokens": 1});
                program.send_json(app, "POST", "/v1/usage/reservations", &hold).await
            }
            path if path.starts_with("/v1/billing/{id}") => {
                let request = app.request("POST", "/v1/billing").bearer_auth(&program.access);
                let request = request.header("idempotency-key", fresh_email());
                let bill = Answer::of(request.json(&json!({"userId": owner.id, "amount": "1"}))).await;
                if path.ends_with("/refund") {
                    let complete = format!("/v1/billing/{}/complete", bill.str("/id"));
                    program.send(app, "POST", &complete).await.expect(200);
                }
                bill
            }
            "/v1/admin/notes/{id}" => {
                let path = format!("/v1/admin/users/{}/notes", owner.id);
                self.admin.send_json(app, "POST", &path, &json!({"note": "called twice"})).await
            }
            "/v1/admin/service-keys/{id}" => {
                let key = json!({"name": "a key", "scopes": ["usage:write"]});
                self.admin.send_json(app, "POST", "/v1/admin/service-keys", &key).await
            }
            _ => return owner.id.clone(),
        };
        made.expect(201).str("/id").to_owned()
    }

    /// A token of the owner's, from a letter.
    async fn token(&self, kind: &str, owner: &Person) -> String {
        if kind == "reset_password" {
            let wish = json!({"email": owner.email});
            self.app.post("/v1/auth/password-reset", &wish).await.expect(202);
        }
        self.app.letter(kind, &owner.email).await.token()
    }

    /// The second factor that an operation is about, of whoever has one for it.
    pub(super) async fn factor_for(
        &self,
        operation: &Operation,
        caller: Option<&Person>,
        owner: &Person,
    ) -> Option<Factor> {
        match operation.path.as_str() {
            "/v1/auth/second-factor" | "/v1/admin/users/{id}/second-factor" => {
                Some(owner.add_factor(&self.app).await)
            }
            "/v1/me/second-factor" if operation.method == "DELETE" => {
                Factor::try_of(&self.app, caller?).await
            }
            "/v1/me/second-factor/recovery-codes" => Factor::try_of(&self.app, caller?).await,
            "/v1/me/second-factor/confirm" => Factor::try_enrol(&self.app, caller?).await,
            _ => None,
        }
    }

    pub(super) async fn call(
        &self,
        operation: &Operation,
        caller: Option<&Person>,
        owner: &Person,
        id: &str,
        factor: Option<&Factor>,
    ) -> Answer {
        let mut request = self.app.request(
            &operation.method,
            &operation.path.replace("{id}", id).replace("{sessionId}", &owner.session),
        );
        if let Some(caller) = caller {
            request = request.bearer_auth(&caller.access);
        }
        if operation.is("POST", "/v1/billing") {
            request = request.header("idempotency-key", fresh_email());
        }
        if operation.is("POST", "/v1/bridge-tokens/redeem") {
            let issued =
                owner.send_json(&self.app, "POST", "/v1/bridge-tokens", &json!({})).await.expect(201);
            request = request.json(&json!({"token": issued.str("/token")}));
        } else if operation.takes_body() {
            let mut body = body(operation, caller.unwrap_or(owner), owner);
            if let Some(factor) = factor {
                body["code"] = factor.code().into();
            }
            if operation.is("POST", "/v1/auth/second-factor") {
                let login = self.app.login(&owner.email, &owner.password).await;
                body["challenge"] = login.expect(403).str("/secondFactor/challenge").into();
                body["code"] = factor.unwrap().recovery[0].as_str().into();
            }
            if let Some(kind) = link_for(operation) {
                body["token"] = self.token(kind, owner).await.into();
            }
            request = request.json(&body);
        }
        Answer::of(request).await
    }
}

/// Which letter has the token that an operation takes.
fn link_for(operation: &Operation) -> Option<&'static str> {
    match operation.path.as_str() {
        "/v1/auth/verify-email" => Some("verify_email"),
        "/v1/auth/password-reset/confirm" => Some("reset_password"),
        _ => None,
    }
}

/// A body that succeeds for who may send it.
fn body(operation: &Operation, caller: &Person, owner: &Person) -> Value {
    match (operation.method.as_str(), operation.path.as_str()) {
        ("POST", "/v1/auth/register") => json!({"email": fresh_email(), "password": Person::PASSWORD}),
        ("POST", "/v1/auth/login") => json!({"email": owner.email, "password": owner.password}),
        ("POST", "/v1/auth/refresh" | "/v1/auth/logout") => json!({"refreshToken": owner.refresh}),
        ("POST", "/v1/auth/reauthenticate") => json!({"password": caller.password}),
        ("POST", "/v1/me/second-factor/confirm") => json!({"code": "123456"}),
        ("POST", "/v1/bridge-tokens") => json!({"sessionData": {"document": "d-17"}}),
        ("POST", "/v1/sync/events") => json!({"eventType": "settings.changed", "eventSource": "web"}),
        ("POST", "/v1/auth/verify-email" | "/v1/auth/second-factor") => json!({}),
        ("POST", "/v1/auth/verify-email/resend" | "/v1/auth/password-reset") => json!({"email": owner.email}),
        ("POST", "/v1/auth/password-reset/confirm") => json!({"newPassword": "another secret 9"}),
        ("POST", "/v1/me/email") => {
            json!({"newEmail": fresh_email(), "currentPassword": caller.password})
        }
        ("PATCH", "/v1/me") => json!({"fullName": "Augusta"}),
        ("POST", "/v1/me/password") => {
            json!({"currentPassword": caller.password, "newPassword": "another secret 9"})
        }
        ("PATCH", "/v1/admin/users/{id}") => json!({"subscriptionTier": "pro", "fullName": "Augusta"}),
        ("POST", "/v1/activity") => json!({"events": [{"userId": owner.id, "action": "export"}]}),
        ("POST", "/v1/admin/users/{id}/notes") => json!({"note": "called twice"}),
        ("PATCH", "/v1/admin/notes/{id}") => json!({"isFlagged": true}),
        ("POST", "/v1/usage/events") => {
            json!({"events": [{"userId": owner.id, "totalTokens": 1, "totalCost": "0.1"}]})
        }
        ("POST", "/v1/usage/reservations") => json!({"userId": owner.id, "totalTokens": 1}),
        ("POST", "/v1/usage/reservations/{id}/settle") => json!({"totalTokens": 1, "totalCost": "0.1"}),
        ("POST", "/v1/billing") => json!({"userId": owner.id, "amount": "12.50"}),
        ("PATCH", "/v1/admin/users/{id}/quota") => json!({"tokens": {"limit": 7}, "cost": null}),
        ("POST", "/v1/admin/billing/close") => json!({"month": "2020-01"}),
        ("POST", "/v1/admin/service-keys") => json!({"name": "a key", "scopes": ["usage:write"]}),
        (method, path) => panic!("{method} {path} needs a body here"),
    }
}
