//! Streams that are cut: where they go on.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{EventStream, TestApp, eventually};

#[tokio::test]
async fn a_stream_whose_server_is_killed_goes_on_at_another_without_gap_double_or_disorder() {
    let app = TestApp::builder().servers(4).start().await;
    let ada = app.person().await;
    let mut stream = EventStream::open(&app, 2, &ada, None).await;
    // Twelve at a time, at two servers: their transactions overlap.
    let tell = join_all((0..12_usize).map(async |writer| {
        let mut places = Vec::new();
        for number in 0..20 {
            let told = ada.tell(&app, writer % 2, &json!([writer, number])).await.expect(201);
            places.push(told.str("/place").parse::<u64>().unwrap());
        }
        assert!(places.is_sorted(), "who tells one after the other is told after the other");
        places
    }));
    let follow = async {
        let mut seen = Vec::new();
        for (server, next) in [(2, 3), (3, 0)] {
            seen.extend(stream.places(60).await);
            app.server(server).signal("KILL");
            let read = seen.len();
            // What was on its way may still arrive.
            while let Some(event) = stream.event().await {
                seen.push(event["place"].as_str().unwrap().parse().unwrap());
            }
            println!("killed after {read} events, {} of 240 arrived", seen.len());
            stream = EventStream::open(&app, next, &ada, Some(&stream.last)).await;
        }
        seen.extend(stream.places(240 - seen.len()).await);
        seen
    };
    let (told, seen) = tokio::join!(tell, follow);
    let mut told = told.concat();
    told.sort_unstable();
    let all: Vec<u64> = (1..=240).collect();
    assert_eq!((told, seen), (all.clone(), all));
}

#[tokio::test]
async fn who_is_cut_before_the_first_event_comes_back_to_where_the_stream_began() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    ada.tell(&app, 0, &json!("before")).await.expect(201);
    let stream = EventStream::open(&app, 0, &ada, None).await;
    let place = stream.last.clone();
    drop(stream);
    assert_eq!(place, "1");
    ada.tell(&app, 0, &json!("meanwhile")).await.expect(201);
    assert_eq!(
        EventStream::open(&app, 1, &ada, Some(&place)).await.event().await.unwrap()["data"],
        "meanwhile"
    );
    let mut whole = EventStream::open(&app, 1, &ada, Some("0")).await;
    assert_eq!(whole.places(2).await, [1, 2]);
    // A place that the log has not reached: it was restored from before.
    let mut ahead = EventStream::open(&app, 1, &ada, Some("99")).await;
    assert_eq!(ahead.last, "2");
    ada.tell(&app, 0, &json!("after")).await.expect(201);
    assert_eq!(ahead.places(1).await, [3]);
    assert_eq!(whole.places(1).await, [3]);
}

#[tokio::test]
async fn who_commits_late_is_not_passed_over() {
    let app = TestApp::builder().servers(2).start().await;
    let ada = app.person().await;
    let mut stream = EventStream::open(&app, 1, &ada, None).await;
    // Another server in the middle of its transaction.
    let late = app.connect().await;
    let sql = format!(
        "BEGIN; INSERT INTO sync_places (user_id, last) VALUES ('{id}', 1);
         INSERT INTO sync_logs (user_id, place, event_type, event_source) VALUES ('{id}', 1, 'late', 'x');
         SELECT pg_notify('subtle_sync', '{id}')",
        id = ada.id
    );
    late.batch_execute(&sql).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let commit = async {
        eventually("the other waits for its place", async || app.value(waiting).await == "1").await;
        late.batch_execute("COMMIT").await.unwrap();
    };
    let early = json!("early");
    let (told, ()) = tokio::join!(ada.tell(&app, 0, &early), commit);
    assert_eq!(told.expect(201).str("/place"), "2");
    let events = [stream.event().await.unwrap(), stream.event().await.unwrap()];
    assert_eq!((&events[0]["eventType"], &events[1]["data"]), (&json!("late"), &early));
}

#[tokio::test]
async fn what_was_told_while_no_server_could_listen_is_caught_up_with() {
    let app = TestApp::builder().servers(2).set("SUBTLE_STREAM_HEARTBEAT", "5m").start().await;
    let ada = app.person().await;
    let client = app.connect().await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'subtle revocations'";
    let listeners = async || client.query_one(listening, &[]).await.unwrap().get::<_, i64>(0);
    eventually("both servers listen", async || listeners().await == 2).await;
    let mut stream = EventStream::open(&app, 1, &ada, None).await;
    let phone = ada.sign_in(&app).await;
    let ending = EventStream::open(&app, 1, &phone, None).await;
    // From another database, for nobody may close the one they are connected to.
    let mut config: tokio_postgres::Config = app.database_url().parse().unwrap();
    let name = config.get_dbname().unwrap().to_owned();
    let (outside, connection) = config.dbname("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let open = async |open: bool| {
        outside.batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {open}")).await.unwrap();
    };
    open(false).await;
    client.query_one(&listening.replace("count(*)", "count(pg_terminate_backend(pid))"), &[]).await.unwrap();
    eventually("nobody listens", async || listeners().await == 0).await;
    ada.tell(&app, 0, &json!("unheard")).await.expect(201);
    ada.send(&app, "DELETE", "/v1/me/sessions").await.expect(204);
    open(true).await;
    assert_eq!(stream.event().await.unwrap()["data"], "unheard");
    ending.end().await;
    ada.tell(&app, 0, &json!("heard")).await.expect(201);
    assert_eq!(stream.event().await.unwrap()["data"], "heard");
}

#[tokio::test]
async fn what_nobody_announced_is_found_with_the_next_heartbeat() {
    let app = TestApp::builder().set("SUBTLE_STREAM_HEARTBEAT", "100ms").start().await;
    let ada = app.person().await;
    let mut stream = EventStream::open(&app, 0, &ada, None).await;
    for _ in 0..3 {
        assert_eq!(stream.block().await.unwrap(), crate::support::Block::default(), "a comment");
    }
    app.sql(&format!(
        "INSERT INTO sync_places (user_id, last) VALUES ('{id}', 1);
         INSERT INTO sync_logs (user_id, place, event_type, event_source) VALUES ('{id}', 1, 'quiet', 'x')",
        id = ada.id
    ))
    .await;
    assert_eq!(stream.event().await.unwrap()["eventType"], "quiet");
}
