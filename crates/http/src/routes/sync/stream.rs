//! The sync log as it happens: server-sent events (WHATWG HTML, 9.2).
//!
//! Little is buffered for a client that is slow: the next events are read from the log once the connection has taken the ones before,
//! and who takes nothing for too long loses the connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream::unfold;
use subtle_application::sync::{self, FollowError, Follower};
use subtle_application::{Ports, TooManyStreams};
use subtle_domain::sync::{Place, PlacedEvent};
use subtle_domain::throttle::RetryAfter;
use tokio::time::{sleep, timeout};

use super::SyncEventDto;
use crate::connection::Progress;
use crate::metrics::Metrics;
use crate::problem::ApiError;
use crate::request::{Authenticated, LastEventId};
use crate::server::Readiness;
use crate::settings::Settings;
use crate::turns::StreamTurns;

/// When a client that lost its connection should come back, in milliseconds.
const RETRY: u32 = 1_000;
/// How long to wait before a log that could not be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// When there may be room for one more stream of an account.
const ROOM: Duration = Duration::from_secs(10);
/// A comment: it keeps proxies from closing a connection on which nothing happens, and finds out whether there still is one.
const HEARTBEAT: &str = ":\n\n";
/// Tells nginx not to hold back what is sent.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow what your apps tell each other.
///
/// Server-sent events: of each message, `data` is an event as JSON and `id` its place. With `Last-Event-ID` all that came after it
/// follows, on whichever server; without it, or with a place that the log has not reached, what is told from now on. The first message
/// has only an `id`: where the stream begins. It ends when the access token expires or the session is over; then come back with a new
/// token and the last `id`.
#[utoipa::path(
    operation_id = "followSyncEvents",
    tag = "sync",
    params(("Last-Event-ID" = Option<String>, Header, description = "The place of the last event that is known")),
    responses(
        (status = 200, description = "The events, without an end", body = String, content_type = "text/event-stream"),
        (status = 422, description = "The Last-Event-ID is none"),
        (status = 429, description = "Too many streams of this account are open at this server"),
    ),
    security(("accessToken" = []))
)]
#[get("/v1/sync/stream")]
pub(in crate::routes) async fn follow(
    request: HttpRequest,
    ports: Data<Ports>,
    settings: Data<Settings>,
    turns: Data<StreamTurns>,
    readiness: Data<Readiness>,
    caller: Authenticated,
    after: LastEventId,
) -> Result<HttpResponse, ApiError> {
    if readiness.is_stopping() {
        return Err(ApiError::NotReady);
    }
    let metrics = request.app_data::<Data<Metrics>>().ok_or(ApiError::Internal)?.clone();
    let follower = sync::follow_events(ports.into_inner(), caller.0, after.0).await?;
    let messages = Messages {
        follower,
        readiness,
        metrics,
        turns,
        connection: request.conn_data().cloned(),
        heartbeat: settings.stream_heartbeat,
        waiting: VecDeque::new(),
        greeted: false,
        failing: false,
    };
    let messages = unfold(messages, |mut messages| async move {
        let message = messages.next().await?;
        Some((Ok::<_, Infallible>(message), messages))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((NO_BUFFERING, "no"))
        .streaming(messages))
}

struct Messages {
    follower: Follower,
    readiness: Data<Readiness>,
    metrics: Data<Metrics>,
    turns: Data<StreamTurns>,
    connection: Option<Progress>,
    heartbeat: Duration,
    /// Read, and not yet sent.
    waiting: VecDeque<PlacedEvent>,
    greeted: bool,
    /// Whether the log could not be read the last time.
    failing: bool,
}

impl Messages {
    /// What is to be sent next; `None` is the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let left = self.follower.time_left().to_std().unwrap_or_default();
            if left.is_zero() || is_gone(self.connection.as_ref()) || self.readiness.is_stopping() {
                return None;
            }
            if !std::mem::replace(&mut self.greeted, true) {
                return Some(greeting(self.follower.place()));
            }
            if let Some(event) = self.waiting.pop_front() {
                self.metrics.streamed.count();
                return Some(message(event));
            }
            if !self.read().await {
                let _stopping = timeout(PAUSE, self.readiness.stopped()).await;
                return Some(Bytes::from_static(HEARTBEAT.as_bytes()));
            }
            if !self.waiting.is_empty() {
                continue;
            }
            // The connection is looked at by this task: what it learns is seen here at once.
            let connection = self.connection.as_ref();
            let gone = poll_fn(move |_| if is_gone(connection) { Poll::Ready(()) } else { Poll::Pending });
            tokio::select! {
                () = gone => {}
                () = self.readiness.stopped() => {}
                () = self.follower.heard() => {}
                // The log is read again then, even if nobody said that there is something in it.
                () = sleep(self.heartbeat.min(left)) => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
            }
        }
    }

    /// Reads on; whether that was possible.
    async fn read(&mut self) -> bool {
        let (turns, user) = (self.turns.clone(), self.follower.user().clone());
        let read = self.follower.read();
        let in_turn = async move {
            let _turn = turns.take(user.as_str()).await;
            read.await
        };
        let Ok(read) = tokio::spawn(in_turn).await else { return false };
        match read {
            Ok(events) => {
                self.waiting = self.follower.pass(events).into();
                self.failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a sync log can't be read; trying again"
                    );
                }
            }
        }
        !self.failing
    }
}

fn is_gone(connection: Option<&Progress>) -> bool {
    connection.is_some_and(Progress::is_gone)
}

/// The beginning. An `id` without data is kept by clients and shown to nobody (WHATWG HTML, 9.2.6): who loses the connection before the
/// first event comes back to this place.
fn greeting(place: Place) -> Bytes {
    format!("retry: {RETRY}\nid: {place}\n\n").into()
}

/// An event. JSON has no line breaks of its own.
fn message(event: PlacedEvent) -> Bytes {
    let place = event.place;
    let json = serde_json::to_string(&SyncEventDto::from(event)).unwrap_or_default();
    format!("id: {place}\ndata: {json}\n\n").into()
}

impl From<FollowError> for ApiError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::TooMany(TooManyStreams) => Self::TooManyRequests(RetryAfter(ROOM)),
            FollowError::Store(store) => Self::Store(store),
        }
    }
}

#[cfg(test)]
mod tests {
    use subtle_domain::Timestamp;
    use subtle_domain::ids::{SyncEventId, UserId};
    use subtle_domain::session::ClientInfo;
    use subtle_domain::sync::{EventName, SyncEvent};

    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_whatever_it_says() {
        let event = SyncEvent {
            id: SyncEventId::parse("e1").unwrap(),
            user_id: UserId::parse("ada").unwrap(),
            event_type: EventName::from_stored("two\nlines".to_owned()),
            source: EventName::service(),
            data: Some("{\"a\": \"x\\ny\\r\"}".to_owned()),
            success: true,
            error: None,
            client: ClientInfo::default(),
            at: Timestamp::from_timestamp_millis(0).unwrap(),
        };
        let text = message(PlacedEvent { place: Place::new(7), event });
        let lines: Vec<_> = str::from_utf8(&text).unwrap().split('\n').collect();
        let [id, data, "", ""] = lines[..] else { panic!("{lines:?}") };
        assert_eq!(id, "id: 7");
        let json: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&json["eventType"], &json["data"]["a"]), (&"two\nlines".into(), &"x\ny\r".into()));
    }
}
