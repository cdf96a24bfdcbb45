//! How the server tells what it does: events as single lines on stderr.

mod fields;
mod lines;

use std::io::{IsTerminal as _, stderr};
use std::panic;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::settings::{LogFormat, Settings};
use fields::SpanFields;
use lines::{Lines, Style};

/// What libraries say that is no event of ours: actix tells of its start, and calls every request that is broken off or no HTTP
/// an error. The setting may say otherwise.
const LIBRARIES: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

/// Starts to log, as the settings say. A second start in a process changes nothing.
pub(crate) fn start(settings: &Settings) {
    let lines = fmt::layer()
        .with_writer(stderr)
        .event_format(Lines::new(style(settings.log_format)))
        .fmt_fields(SpanFields);
    let filter = EnvFilter::new(format!("{LIBRARIES},{}", settings.log));
    let _already_started = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

fn style(format: LogFormat) -> Style {
    match format {
        LogFormat::Text => Style::Text,
        LogFormat::Auto if stderr().is_terminal() => Style::Text,
        LogFormat::Auto | LogFormat::Json => Style::Json,
    }
}

/// Makes panics events like others, instead of the paragraph that std prints.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or("without a reason");
        tracing::error!(location, reason, "a thread panicked");
    }));
}
