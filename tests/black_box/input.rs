//! What comes in, however odd: it is kept exactly, or refused with the reason, and never is it our fault.

use crate::support::Answer;

mod bodies;
mod naughty;
mod paths;
mod queries;
mod samples;
mod times;
mod unknown;

/// Checks that an answer is a success or a complete problem of the client's.
#[track_caller]
fn success_or_problem(answer: Answer, what: &str) -> Answer {
    let status = answer.status;
    assert!((200..300).contains(&status) || (400..500).contains(&status), "{what}: {status} {}", answer.text);
    answer.expect(status)
}
