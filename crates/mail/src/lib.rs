//! Letters: from what the domain knows of one to what a mail server takes, and the two ways there.
//!
//! It decides nothing: what is sent to whom, how often it is tried and when it is given up is settled before. Nothing here knows a
//! database or HTTP, and no token and no address is logged or named in an error.
//!
//! In reading order: [`template`] is a text with gaps, [`templates`] are all of ours and those that a product puts in their place,
//! `compose` makes a message of a letter; [`files`] and [`smtp`] are the mailers.

#![warn(missing_docs)]

mod compose;
pub mod files;
pub mod smtp;
pub mod template;
pub mod templates;

pub use compose::{Composer, InvalidSender, Sender};
pub use files::FileMailer;
pub use smtp::{InvalidSmtpUrl, SmtpMailer, SmtpServer};
pub use template::TemplateFault;
pub use templates::{TemplateError, Templates};
