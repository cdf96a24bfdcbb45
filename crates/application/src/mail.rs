//! Letters: who gets one, and how they are sent behind the requests' backs.

mod answer;
mod deliver;
mod request;
mod write;

pub use answer::answer_request;
pub use deliver::{Delivery, deliver, is_waiting};
pub use request::{RequestLetter, request_letter};
