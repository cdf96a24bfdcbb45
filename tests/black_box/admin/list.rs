use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, Person, TestApp};

/// Twelve accounts besides the administrator's; some alike in name or time, so that only the identifier tells them apart.
const ACCOUNTS: &str = "
    INSERT INTO users (id, email, password_hash, full_name, subscription_tier, role, created_at, updated_at)
    SELECT 'u' || lpad(n::text, 2, '0'), chr(109 - n) || n || '@' || CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END || '.example',
           repeat('*', 60), CASE WHEN n % 4 = 0 THEN NULL ELSE (ARRAY['Bea', 'carl', 'Ärne'])[n % 4] END,
           (ARRAY['free', 'pro', 'enterprise'])[n % 3 + 1], CASE WHEN n = 5 THEN 'support' ELSE 'user' END,
           timestamptz '2026-01-01T00:00:00Z' + (n / 3) * interval '1 day', now()
    FROM generate_series(1, 12) n;
    INSERT INTO user_activity (user_id, action) SELECT 'u03', 'seen' FROM generate_series(1, 3);
    INSERT INTO user_usage_metrics (user_id) VALUES ('u03'), ('u03');";

struct Scene {
    app: TestApp,
    grace: Person,
}

impl Scene {
    async fn set() -> Self {
        let app = TestApp::start().await;
        let grace = app.person_of_role("admin").await;
        app.sql(ACCOUNTS).await;
        Self { app, grace }
    }

    async fn list(&self, query: &str) -> Answer {
        self.grace.send(&self.app, "GET", &format!("/v1/admin/users?{query}")).await.expect(200)
    }

    /// All pages' identifiers, from place to place.
    async fn walk(&self, query: &str) -> Vec<String> {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.list(&format!("pageSize=5&{query}{cursor}")).await;
            seen.extend(ids(&page));
            assert!(seen.len() <= 20, "the walk goes in circles: {seen:?}");
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    }
}

fn ids(page: &Answer) -> Vec<String> {
    let users = page.body["users"].as_array().unwrap().iter();
    users.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_page_by_number_answers_as_the_seed_has_it() {
    let scene = Scene::set().await;
    let first = scene.list("").await;
    let figures = |page: &Answer| ["total", "totalPages", "currentPage"].map(|name| page.body[name].clone());
    assert_eq!(figures(&first), [json!(13), json!(1), json!(1)]);
    assert_eq!((ids(&first).len(), &first.body["nextCursor"]), (13, &Value::Null));
    let mut seen = Vec::new();
    for number in 1..=3 {
        let page = scene.list(&format!("page={number}&pageSize=5")).await;
        assert_eq!(figures(&page), [json!(13), json!(3), json!(number)]);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, ids(&first), "pages neither repeat nor miss anybody");
    let beyond = scene.list("page=4&pageSize=5").await;
    assert_eq!((figures(&beyond), ids(&beyond).len()), ([json!(13), json!(3), json!(4)], 0));
    let user = first.body["users"].as_array().unwrap().iter().find(|user| user["id"] == "u03").unwrap();
    assert_eq!(user["counts"], json!({"activity": 3, "usage": 2}));
    assert_eq!((&user["fullName"], &user["subscriptionTier"]), (&json!("Ärne"), &json!("free")));
    let shown = scene.grace.send(&scene.app, "GET", "/v1/admin/users/u03").await.expect(200);
    assert_eq!(&shown.body, user);
}

#[tokio::test]
async fn a_walk_by_cursor_gives_each_account_once_in_every_order() {
    let scene = Scene::set().await;
    for key in ["createdAt", "email", "fullName"] {
        let (up, down) =
            (scene.walk(&format!("sort={key}")).await, scene.walk(&format!("sort=-{key}")).await);
        assert_eq!(up.iter().collect::<BTreeSet<_>>().len(), 13, "{key}");
        assert_eq!(up, down.iter().rev().cloned().collect::<Vec<_>>(), "{key}");
        assert_eq!(up, ids(&scene.list(&format!("sort={key}")).await), "{key}");
    }
    assert_eq!(scene.walk("").await, scene.walk("sort=-createdAt").await, "the newest first by default");
    assert_eq!(scene.walk("sort=createdAt").await[..5], ["u01", "u02", "u03", "u04", "u05"]);
    assert_eq!(scene.walk("sort=email").await[..3], ["u12", "u11", "u10"]);
    assert_eq!(scene.walk("sort=fullName").await[..3], ["u04", "u08", "u12"], "the nameless first");
}

#[tokio::test]
async fn accounts_that_come_and_go_shift_no_page_behind_a_cursor() {
    let scene = Scene::set().await;
    let first = scene.list("pageSize=5&sort=createdAt").await;
    let cursor = first.str("/nextCursor");
    scene.app.sql("DELETE FROM users WHERE id IN ('u01', 'u02', 'u05')").await;
    scene
        .app
        .sql(
            "INSERT INTO users (id, email, password_hash, created_at, updated_at)
              VALUES ('u00', 'z@example.com', repeat('*', 60), '2020-01-01', now())",
        )
        .await;
    let second = scene.list(&format!("pageSize=5&sort=createdAt&cursor={cursor}")).await;
    assert_eq!(ids(&second), ["u06", "u07", "u08", "u09", "u10"]);
    assert_eq!((&second.body["currentPage"], &second.body["total"]), (&Value::Null, &json!(11)));
    for query in [
        format!("sort=email&cursor={cursor}"),
        format!("sort=-createdAt&cursor={cursor}"),
        format!("sort=createdAt&cursor={cursor}&page=2"),
        format!("sort=createdAt&cursor=x{cursor}"),
        "cursor=nonsense".to_owned(),
        "cursor=".to_owned(),
    ] {
        let path = format!("/v1/admin/users?{query}");
        scene.grace.send(&scene.app, "GET", &path).await.expect_problem(422, "invalid-request");
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_part_of_an_address_or_a_name_by_tier_and_by_role() {
    let scene = Scene::set().await;
    for (query, expected) in [
        ("search=ODD.EX", vec!["u01", "u03", "u05", "u07", "u09", "u11"]),
        ("search=CARL", vec!["u02", "u06", "u10"]),
        ("search=%C3%A4rn", vec!["u03", "u07", "u11"]),
        ("search=g6%40even", vec!["u06"]),
        ("search=nobody", vec![]),
        ("tier=enterprise", vec!["u02", "u05", "u08", "u11"]),
        ("role=support", vec!["u05"]),
        ("tier=enterprise&search=odd", vec!["u05", "u11"]),
        ("tier=enterprise&search=odd&role=user", vec!["u11"]),
        ("tier=pro&role=admin", vec![]),
    ] {
        let found = scene.list(&format!("sort=createdAt&{query}")).await;
        assert_eq!(ids(&found), expected, "{query}");
        assert_eq!(found.body["total"], expected.len(), "{query}");
        assert_eq!(scene.walk(&format!("sort=createdAt&{query}")).await, expected, "{query}");
    }
    assert_eq!(ids(&scene.list("role=admin").await), std::slice::from_ref(&scene.grace.id));
    assert_eq!(scene.list("search=").await.body["total"], 13);
}

#[tokio::test]
async fn erased_people_are_neither_listed_nor_shown() {
    let scene = Scene::set().await;
    scene.grace.send(&scene.app, "DELETE", "/v1/admin/users/u03").await.expect(204);
    assert_eq!(scene.list("").await.body["total"], 12);
    assert_eq!(scene.list("search=erased.invalid").await.body["total"], 0);
    for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/enable")] {
        let path = format!("/v1/admin/users/u03{path}");
        scene.grace.send(&scene.app, method, &path).await.expect_problem(404, "not-found");
    }
}
