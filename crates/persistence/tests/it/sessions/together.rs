//! Sessions that are read and rotated by one statement.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::{join, join_all};

use super::*;

#[tokio::test]
async fn many_sessions_step_forward_together_and_who_asks_twice_steps_once() {
    let (home, sessions) = home().await;
    for number in 0..40 {
        home.add_session(&session(&format!("s{number}"), "ada")).await;
    }
    let step = async |number: i32, from: i32| {
        let session = Session { generation: Generation::new(from), ..session(&format!("s{number}"), "ada") };
        let digest = TokenDigest::new(format!("{number}-{}", from + 1));
        sessions.rotate(&session, Generation::new(from + 1), &digest, later(5)).await.unwrap()
    };
    // Each twice, and once more for a generation that is past or to come.
    let asked =
        join_all((0..40).flat_map(|number| [step(number, 0), step(number, 0), step(number, 7)])).await;
    assert!(asked.chunks(3).all(|three| matches!(three, [true, false, false] | [false, true, false])));
    let stepped =
        "SELECT count(*) FROM sessions WHERE generation = 1 AND refresh_token = substr(id, 2) || '-1'";
    assert_eq!(home.value(stepped).await, "40");
    let found = join_all((0..40).map(|number| {
        let (ada, id) = (user_id("ada"), session_id(&format!("s{number}")));
        let sessions = &sessions;
        async move { sessions.find(&ada, &id).await.unwrap().map(|(session, _)| session.digest) }
    }));
    for (number, digest) in (0..).zip(found.await) {
        assert_eq!(digest, Some(TokenDigest::new(format!("{number}-1"))));
    }
}

#[tokio::test]
async fn a_session_that_somebody_holds_makes_nobody_wait_who_steps_with_it() {
    let (home, sessions) = home().await;
    for id in ["s1", "s2", "s3"] {
        home.add_session(&session(id, "ada")).await;
    }
    let mut holder = home.connection().await;
    holder.batch_execute("BEGIN; SELECT FROM sessions WHERE id = 's2' FOR UPDATE").await.unwrap();
    let step = async |id: &str| {
        let (session, digest) = (session(id, "ada"), TokenDigest::new(format!("{id}-1")));
        sessions.rotate(&session, Generation::new(1), &digest, later(5)).await.unwrap()
    };
    let held = async {
        let others = join(step("s1"), step("s3")).await;
        assert_eq!(others, (true, true));
        home.await_waiting(1).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (stepped, ()) = join(step("s2"), held).await;
    assert!(stepped, "it waited, alone");
}
