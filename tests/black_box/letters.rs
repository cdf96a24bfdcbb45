//! Letters, read from the folder that the servers put them into.

mod addresses;
mod devices;
mod outbox;
mod reset;
mod smtp;
mod verification;

use crate::support::{Answer, TestApp};

/// Lets a minute pass for whoever asks for another letter.
async fn a_minute_later(app: &TestApp) {
    app.sql("UPDATE one_time_tokens SET created_at = created_at - interval '1 minute'").await;
}

/// Lets all tokens in letters come to their end.
async fn at_the_end_of_all_tokens(app: &TestApp) {
    app.sql(
        "UPDATE one_time_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 second'",
    )
    .await;
}

/// All of an answer that a client can see, but what differs from one request to the next.
fn seen(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let id = answer.header("x-request-id").to_owned();
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status, answer.text.replace(&id, "…"), headers)
}
