//! How the server tells what it does: events as single lines on stderr.

mod fields;
mod lines;

use std::io::{IsTerminal as _, stderr};
use std::panic;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::settings::{LogFormat, Settings};
use crate::traces::{Collector, TARGET};
use fields::SpanFields;
use lines::{Lines, Style};

/// What libraries say that is no event of ours: actix tells of its start, and calls every request that is broken off or no HTTP
/// an error. The setting may say otherwise.
const LIBRARIES: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

/// Starts to log, as the settings say, and to trace if there is a collector. A second start in a process changes nothing.
pub(crate) fn start(settings: &Settings, collector: Option<Collector>) {
    // The traces' spans of requests lend lines an identifier; what they tell beside it is not for the log. What nobody collects is
    // not even made.
    let traces = if collector.is_some() { "info" } else { "off" };
    let filter = EnvFilter::new(format!("{LIBRARIES},{},{TARGET}={traces}", settings.log));
    let _already_started = match collector {
        Some(collector) => {
            registry().with(collector.layer()).with(lines(settings).with_filter(filter)).try_init()
        }
        None => registry().with(filter).with(lines(settings)).try_init(),
    };
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(settings: &Settings) -> impl Layer<S> {
    let format = Lines::new(style(settings.log_format));
    fmt::layer().with_writer(stderr).event_format(format).fmt_fields(SpanFields)
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
