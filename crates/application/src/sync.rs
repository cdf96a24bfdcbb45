//! The sync log: what a person's apps tell each other, as a list and as it happens.

mod follow;
mod list;
mod tell;

pub use follow::{FollowError, Follower, follow_events};
pub use list::{EventPage, list_events};
pub use tell::{NewEvent, TellEventError, tell_event};
