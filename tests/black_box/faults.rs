//! Clients that go away, and a PostgreSQL that breaks, hangs and comes back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use subtle_local_postgres::Durability;

use crate::support::{Load, OwnCluster, Person, Raw, TestApp, eventually, fresh_email};

/// Transactions that nobody goes on with, and statements that wait for them.
const STRAYS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '1 second'
         OR wait_event_type = 'Lock')";

fn raw_request(method: &str, path: &str, token: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What changes something, each by somebody of its own.
async fn changes(app: &TestApp) -> Vec<String> {
    let (ada, leaver) = (app.person().await, app.person().await);
    let login = json!({"email": ada.email, "password": ada.password}).to_string();
    let register = json!({"email": fresh_email(), "password": Person::PASSWORD}).to_string();
    vec![
        raw_request("POST", "/v1/auth/register", "", &register),
        raw_request("POST", "/v1/auth/login", "", &login),
        raw_request("PATCH", "/v1/me", &ada.access, "{\"fullName\":\"Augusta\"}"),
        raw_request("DELETE", "/v1/me", &leaver.access, ""),
    ]
}

#[tokio::test]
async fn clients_that_go_away_leave_no_transaction_open() {
    let app = TestApp::start().await;
    let client = app.connect().await;
    let strays = async || client.query_one(STRAYS, &[]).await.unwrap().get::<_, i64>(0);
    let requests = async || {
        let mut requests = Vec::new();
        for _ in 0..8 {
            requests.extend(changes(&app).await);
        }
        requests
    };
    for request in requests().await {
        Raw::open(&app).await.send(request).await;
    }
    eventually("nobody waits for a lock", async || strays().await == 0).await;
    let requests = requests().await;
    // All that there are connections for are in the middle of their transaction, behind this lock, when their clients go.
    let holder = app.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE sessions IN SHARE MODE").await.unwrap();
    let sockets = join_all(requests.iter().map(async |request| {
        let mut raw = Raw::open(&app).await;
        raw.send(request).await;
        raw
    }));
    let sockets = sockets.await;
    eventually("the connections wait for the lock", async || strays().await >= 8).await;
    sockets.into_iter().for_each(Raw::hang_up);
    eventually("nobody waits for the lock any more", async || strays().await == 0).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < deadline {
        assert_eq!(strays().await, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.person().await.sign_in(&app).await.send(&app, "DELETE", "/v1/me").await.expect(204);
}

#[tokio::test]
async fn killed_backends_cost_nobody_more_than_another_try() {
    let app = TestApp::start().await;
    let ada = app.person().await;
    let client = app.connect().await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let load = Load::start(&app, 4).await;
    let mut killed = 0;
    for _ in 0..20 {
        load.more(5).await;
        killed += client.query_one(kill, &[]).await.unwrap().get::<_, i64>(0);
        ada.send(&app, "GET", "/v1/me").await.expect(200);
        app.login(&ada.email, &ada.password).await.expect(200);
    }
    let done = load.stop().await;
    println!("{killed} backends killed: {done}");
    assert!(killed >= 40, "{killed}");
    done.only_unavailable();
    done.mostly_served();
    done.all_kept(&app).await;
}

#[tokio::test]
async fn a_postgresql_that_hangs_is_told_in_time_and_served_from_again_when_it_goes_on() {
    let mut cluster = OwnCluster::start(Durability::Throwaway).await;
    let app = TestApp::builder().on(cluster.url()).start().await;
    let ada = app.person().await;
    cluster.freeze().await;
    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let (me, login, ready) = tokio::join!(
            ada.send(&app, "GET", "/v1/me"),
            app.login(&ada.email, &ada.password),
            app.get("/health/ready")
        );
        let time = asked.elapsed();
        for answer in [me, login, ready] {
            let answer = answer.expect_problem(503, "unavailable");
            assert_eq!(answer.header("retry-after"), "1");
        }
        assert!(time < Duration::from_secs(3), "{time:?}");
        app.get("/health/live").await.expect(200);
        calls += 1;
    }
    cluster.thaw();
    let begun = Instant::now();
    eventually("ready again", async || app.get("/health/ready").await.status == 200).await;
    eventually("served again", async || ada.send(&app, "GET", "/v1/me").await.status == 200).await;
    app.login(&ada.email, &ada.password).await.expect(200);
    println!("{calls} rounds refused in time; served again after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_crash_of_postgresql_loses_nothing_that_was_acknowledged() {
    let mut cluster = OwnCluster::start(Durability::Durable).await;
    let app = TestApp::builder().on(cluster.url()).start().await;
    let ada = app.person().await;
    let load = Load::start(&app, 4).await;
    for _ in 0..2 {
        load.more(20).await;
        cluster.crash_and_restart().await;
        let begun = Instant::now();
        eventually("served again", async || ada.send(&app, "GET", "/v1/me").await.status == 200).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        println!("served again {:?} after the restart", begun.elapsed());
    }
    load.more(20).await;
    let done = load.stop().await;
    println!("{done}");
    done.only_unavailable();
    done.all_kept(&app).await;
    app.get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn a_revocation_that_was_not_heard_is_caught_up_with() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let client = app.connect().await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'subtle revocations'";
    let listeners = async || client.query_one(listening, &[]).await.unwrap().get::<_, i64>(0);
    ada.send_to(&app, 1, "GET", "/v1/me").await.expect(200);
    eventually("both servers listen", async || listeners().await == 2).await;
    // From another database, for nobody may close the one they are connected to.
    let mut config: tokio_postgres::Config = app.database_url().parse().unwrap();
    let name = config.get_dbname().unwrap().to_owned();
    let (outside, connection) = config.dbname("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let open = async |open: bool| {
        outside.batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {open}")).await.unwrap();
    };
    open(false).await;
    let kill = listening.replace("count(*)", "count(pg_terminate_backend(pid))");
    client.query_one(&kill, &[]).await.unwrap();
    eventually("nobody listens", async || listeners().await == 0).await;
    app.post("/v1/auth/logout", &json!({"refreshToken": ada.refresh})).await.expect(204);
    ada.send(&app, "GET", "/v1/me").await.expect_problem(401, "invalid-token");
    ada.send_to(&app, 1, "GET", "/v1/me").await.expect(200);
    open(true).await;
    eventually("both servers listen again", async || listeners().await == 2).await;
    let begun = Instant::now();
    eventually("refused", async || ada.send_to(&app, 1, "GET", "/v1/me").await.status == 401).await;
    println!("refused {:?} after the server listened again", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
