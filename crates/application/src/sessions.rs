//! Sessions: how they begin, go on and end.

mod authenticate;
mod begin;
mod complete;
mod end;
mod list;
mod refresh;
mod sign_in;
mod sign_out;
mod step_up;
mod take_over;

pub use authenticate::{Caller, authenticate};
pub use begin::{Renewed, SignedIn};
pub use complete::{CompleteSignIn, CompleteSignInError, complete_sign_in};
pub use end::{EndSession, end_others, end_session};
pub use list::{SessionCursor, SessionPage, list_sessions};
pub use refresh::{RefreshError, Refreshed, refresh};
pub use sign_in::{SignIn, SignInError, sign_in};
pub use sign_out::sign_out;
pub use step_up::{FreshCaller, NotProven, ReauthenticateError, SignInTooOld, reauthenticate, step_up};

#[cfg(test)]
pub(crate) use step_up::tests::fresh;

pub(crate) use begin::{new_session, renewed, signed_in};
pub(crate) use list::page;
