//! Sign-up, the profile, and the way out.

use serde_json::json;

use crate::support::{Person, TestApp, eventually, fresh_email};

#[tokio::test]
async fn who_signs_up_is_signed_in_and_sees_themselves() {
    let app = TestApp::start().await;
    let body = json!({"email": "Ada@Example.com", "password": Person::PASSWORD, "fullName": "Ada"});
    let answer = app.post("/v1/auth/register", &body).await.expect(201);
    assert_eq!(answer.str("/user/email"), "ada@example.com");
    assert_eq!((answer.str("/user/role"), answer.str("/user/subscriptionTier")), ("user", "free"));
    assert_eq!(answer.str("/tokenType"), "Bearer");
    assert_eq!(answer.body["expiresIn"], 900);
    assert_eq!(answer.header("cache-control"), "no-store");
    let ada = Person::of(&answer, Person::PASSWORD);
    let me = ada.send(&app, "GET", "/v1/me").await.expect(200);
    assert_eq!(me.body, answer.body["user"]);
}

#[tokio::test]
async fn of_fifty_sign_ups_for_one_address_in_any_case_one_succeeds() {
    let app = TestApp::start().await;
    let bodies: Vec<_> = (0..50)
        .map(|number| {
            let email = if number % 2 == 0 { "A@x.io" } else { "a@x.io" };
            json!({"email": email, "password": Person::PASSWORD})
        })
        .collect();
    let answers =
        futures_util::future::join_all(bodies.iter().map(|body| app.post("/v1/auth/register", body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let taken = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made, taken), (1, 49));
    assert_eq!(app.value("SELECT count(*) FROM users").await, "1");
}

#[tokio::test]
async fn unfit_values_are_named_all_at_once_and_nothing_is_made() {
    let app = TestApp::start().await;
    let body = json!({"email": "nobody", "password": "short", "fullName": " "});
    let refused = app.post("/v1/auth/register", &body).await.expect_problem(422, "invalid-request");
    let fields: Vec<_> =
        refused.body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["email", "password", "fullName"]);
    assert_eq!(app.value("SELECT count(*) FROM users").await, "0");
}

#[tokio::test]
async fn passwords_that_bcrypt_would_cut_and_common_ones_are_refused_with_the_reason() {
    let app = TestApp::start().await;
    for (password, reason) in [
        ("x".repeat(72), "71 bytes"),
        ("ä".repeat(36), "71 bytes"),
        ("short77".to_owned(), "at least 8"),
        ("password1".to_owned(), "common"),
        ("subtle2026".to_owned(), "common"),
    ] {
        let body = json!({"email": fresh_email(), "password": password});
        let refused = app.post("/v1/auth/register", &body).await.expect_problem(422, "invalid-request");
        assert!(refused.str("/errors/0/message").contains(reason), "{password}: {}", refused.text);
    }
    let longest = "ab".repeat(35) + "c";
    let email = fresh_email();
    app.post("/v1/auth/register", &json!({"email": email, "password": longest})).await.expect(201);
    app.login(&email, &longest).await.expect(200);
    app.login(&email, &format!("{longest}x")).await.expect(401);
    app.login(&email, &longest[..70]).await.expect(401);
}

#[tokio::test]
async fn stored_hashes_are_plain_bcrypt_of_the_configured_cost_and_cheaper_ones_are_upgraded() {
    let app = TestApp::builder().set("SUBTLE_BCRYPT_COST", "5").start().await;
    let ada = app.person().await;
    let hash = || app.value("SELECT password_hash FROM users LIMIT 1");
    assert!(hash().await.starts_with("$2b$05$"), "{}", hash().await);
    // The hash of "correct horse battery staple" at cost 4, with the prefix that PHP writes.
    let cheap = "$2y$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";
    app.sql(&format!("UPDATE users SET password_hash = '{cheap}'")).await;
    app.login(&ada.email, &ada.password).await.expect(200);
    assert!(hash().await.starts_with("$2b$05$"), "{}", hash().await);
    let costly = hash().await.replace("$05$", "$06$");
    app.sql(&format!("UPDATE users SET password_hash = '{costly}'")).await;
    app.login(&ada.email, &ada.password).await.expect(401);
    assert_eq!(hash().await, costly, "never downgraded");
}

#[tokio::test]
async fn people_change_their_name_and_picture_and_nothing_else() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let change = json!({"fullName": "Augusta", "avatarUrl": "https://example.com/a.png"});
    let changed = ada.send_json(&app, "PATCH", "/v1/me", &change).await.expect(200);
    assert_eq!(
        (changed.str("/fullName"), changed.str("/avatarUrl")),
        ("Augusta", "https://example.com/a.png")
    );
    let emptied = ada.send_json(&app, "PATCH", "/v1/me", &json!({"avatarUrl": null})).await.expect(200);
    assert_eq!((emptied.str("/fullName"), &emptied.body["avatarUrl"]), ("Augusta", &json!(null)));
    for own in [
        json!({"role": "admin"}),
        json!({"subscriptionTier": "enterprise"}),
        json!({"emailVerified": true}),
        json!({"userId": "x"}),
        json!({"id": "x", "fullName": "Eve"}),
    ] {
        ada.send_json(&app, "PATCH", "/v1/me", &own).await.expect_problem(422, "invalid-request");
    }
    let me = ada.send(&app, "GET", "/v1/me").await.expect(200);
    assert_eq!(me.body, emptied.body);
}

#[tokio::test]
async fn a_new_password_needs_the_current_one_and_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let phone = ada.sign_in(&app).await;
    let change = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    let wrong = change("something else", "another secret 9");
    ada.send_json(&app, "POST", "/v1/me/password", &wrong).await.expect_problem(403, "wrong-password");
    let common = change(Person::PASSWORD, "password1");
    ada.send_json(&app, "POST", "/v1/me/password", &common).await.expect_problem(422, "invalid-request");
    phone.send(&app, "GET", "/v1/me").await.expect(200);
    let right = change(Person::PASSWORD, "another secret 9");
    ada.send_json(&app, "POST", "/v1/me/password", &right).await.expect(204);
    phone.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    app.refresh(&phone.refresh).await.expect_problem(401, "invalid-refresh-token");
    ada.send(&app, "GET", "/v1/me").await.expect(200);
    app.refresh(&ada.refresh).await.expect(200);
    app.login(&ada.email, Person::PASSWORD).await.expect(401);
    app.login(&ada.email, "another secret 9").await.expect(200);
}

#[tokio::test]
async fn who_leaves_is_erased_and_the_books_stay() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let other = app.person().await;
    app.sql(&format!(
        "INSERT INTO user_usage_metrics (user_id, total_cost) VALUES ('{id}', 0.5);
         INSERT INTO billing_history (user_id, amount, status) VALUES ('{id}', 12.50, 'completed');
         INSERT INTO admin_notes (user_id, admin_id, note) VALUES ('{id}', '{other}', 'a secret of Ada');
         INSERT INTO admin_notes (user_id, admin_id, note) VALUES ('{other}', '{id}', 'by Ada');
         INSERT INTO bridge_tokens (token, user_id, expires_at) VALUES ('t', '{id}', now() + interval '1 day');
         INSERT INTO sync_logs (user_id, event_type, event_source) VALUES ('{id}', 'a', 'b');",
        id = ada.id,
        other = other.id
    ))
    .await;
    ada.send(&app, "DELETE", "/v1/me").await.expect(204);
    ada.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    app.refresh(&ada.refresh).await.expect(401);
    app.login(&ada.email, &ada.password).await.expect_problem(401, "wrong-credentials");
    let left = format!(
        "SELECT string_agg(what || n, ' ' ORDER BY what) FROM (
             SELECT 'activity' what, count(*) n FROM user_activity WHERE user_id = '{id}' UNION ALL
             SELECT 'billing', count(*) FROM billing_history WHERE user_id = '{id}' UNION ALL
             SELECT 'bridge', count(*) FROM bridge_tokens WHERE user_id = '{id}' UNION ALL
             SELECT 'notes_by', count(*) FROM admin_notes WHERE admin_id = '{id}' UNION ALL
             SELECT 'notes_on', count(*) FROM admin_notes WHERE user_id = '{id}' UNION ALL
             SELECT 'sessions', count(*) FROM sessions WHERE user_id = '{id}' UNION ALL
             SELECT 'sync', count(*) FROM sync_logs WHERE user_id = '{id}' UNION ALL
             SELECT 'usage', count(*) FROM user_usage_metrics WHERE user_id = '{id}') left_over",
        id = ada.id
    );
    assert_eq!(
        app.value(&left).await,
        "activity0 billing1 bridge0 notes_by1 notes_on0 sessions0 sync0 usage1"
    );
    let row = app.value(&format!("SELECT to_jsonb(u) FROM users u WHERE id = '{}'", ada.id)).await;
    assert!(!row.contains(&ada.email) && !row.contains("Lovelace") && !row.contains("$2b$"), "{row}");
    let again = json!({"email": ada.email, "password": Person::PASSWORD});
    app.post("/v1/auth/register", &again).await.expect(201);
}

#[tokio::test]
async fn what_is_sensitive_asks_for_a_sign_in_that_is_not_old() {
    let app = TestApp::builder().set("SUBTLE_FRESH_SIGN_IN", "2s").start().await;
    let ada = app.person().await;
    let change = json!({"currentPassword": ada.password, "newPassword": "another secret 9"});
    eventually("the sign-in is too old", async || {
        ada.send_json(
            &app,
            "POST",
            "/v1/me/password",
            &json!({"currentPassword": "x", "newPassword": "another secret 9"}),
        )
        .await
        .str("/type")
        .ends_with("reauthentication-required")
    })
    .await;
    let refused = ada.send_json(&app, "POST", "/v1/me/password", &change).await;
    refused.expect_problem(403, "reauthentication-required");
    ada.send(&app, "DELETE", "/v1/me").await.expect_problem(403, "reauthentication-required");
    // A refresh shows nothing.
    let refreshed = Person::of(&app.refresh(&ada.refresh).await.expect(200), &ada.password);
    refreshed.send(&app, "DELETE", "/v1/me").await.expect_problem(403, "reauthentication-required");
    let wrong = json!({"password": "something else"});
    refreshed
        .send_json(&app, "POST", "/v1/auth/reauthenticate", &wrong)
        .await
        .expect_problem(403, "wrong-password");
    let right = json!({"password": ada.password});
    let renewed = refreshed.send_json(&app, "POST", "/v1/auth/reauthenticate", &right).await.expect(200);
    let fresh = Person { access: renewed.str("/accessToken").to_owned(), ..refreshed.clone() };
    fresh.send_json(&app, "POST", "/v1/me/password", &change).await.expect(204);
    // The session remembers it.
    let refreshed = Person::of(&app.refresh(&refreshed.refresh).await.expect(200), "another secret 9");
    refreshed.send(&app, "GET", "/v1/me").await.expect(200);
    let again = json!({"password": "another secret 9"});
    let renewed = refreshed.send_json(&app, "POST", "/v1/auth/reauthenticate", &again).await.expect(200);
    let fresh = Person { access: renewed.str("/accessToken").to_owned(), ..refreshed };
    fresh.send(&app, "DELETE", "/v1/me").await.expect(204);
}

#[tokio::test]
async fn an_export_holds_everything_about_the_person_in_pages_and_of_nobody_else() {
    let app = TestApp::start().await;
    let admin = app.person_of_role("admin").await;
    let program = admin.program(&app).await;
    let (ada, bob) = (app.person().await, app.person().await);
    for person in [&ada, &bob] {
        let told = json!({"events": [{"userId": person.id, "action": "export", "data": {"n": 1.50}}]});
        program.send_json(&app, "POST", "/v1/activity", &told).await.expect(200);
        let used = json!({"userId": person.id, "totalTokens": 1, "totalCost": "0.1"});
        let events = json!({"events": vec![used; 600]});
        program.send_json(&app, "POST", "/v1/usage/events", &events).await.expect(200);
        let path = format!("/v1/admin/users/{}", person.id);
        admin.send_json(&app, "PATCH", &path, &json!({"subscriptionTier": "pro"})).await.expect(200);
        admin
            .send_json(&app, "POST", &format!("{path}/notes"), &json!({"note": "a secret"}))
            .await
            .expect(201);
    }
    let told = json!({"eventType": "note.saved", "eventSource": "web"});
    ada.send_json(&app, "POST", "/v1/sync/events", &told).await.expect(201);
    app.sql(&format!(
        "INSERT INTO sync_logs (user_id, event_type, event_source) VALUES ('{}', 'x', 'prisma'), ('{}', 'x', 'of bob')",
        ada.id, bob.id
    ))
    .await;
    app.sql(&format!(
        "INSERT INTO imported_identities (user_id, provider, provider_id) VALUES ('{}', 'google', '17'), ('{}', 'google', '18')",
        ada.id, bob.id
    ))
    .await;
    let export = ada.send(&app, "GET", "/v1/me/export").await.expect(200);
    let google = json!({"provider": "google", "providerId": "17", "createdAt": null, "lastSignInAt": null});
    assert_eq!(export.body["identities"], json!([google]));
    let others = export.body["syncOfOthers"].as_array().unwrap();
    assert_eq!((others.len(), others[0]["eventSource"].as_str()), (1, Some("prisma")));
    assert_eq!(export.str("/user/email"), ada.email);
    assert_eq!(export.body["sessions"].as_array().unwrap().len(), 1);
    let usage = export.body["usage"].as_array().unwrap();
    let ids: std::collections::BTreeSet<_> = usage.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!((usage.len(), ids.len()), (600, 600));
    let audit: Vec<_> = export.body["audit"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(audit, ["user.update"]);
    assert_eq!(export.body["sync"][0]["eventType"], "note.saved");
    assert!(export.text.contains(r#"{"n": 1.5}"#) && !export.text.contains("a secret"));
    assert!(!export.text.contains(&bob.id) && !export.text.contains(&bob.email));
    let empty = admin.send(&app, "GET", "/v1/me/export").await.expect(200);
    assert_eq!(empty.body["billing"], json!([]));
}
