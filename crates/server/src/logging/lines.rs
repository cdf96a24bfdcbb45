//! One event, one line, whatever is in it: a value that came from outside can neither begin a line nor speak to the terminal
//! (ASVS 16.4.1).

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::fields::{Gather, object};
use crate::traces::{self, trace_id};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// For people.
    Text,
    /// For what collects logs.
    Json,
}

/// Writes events: time, level, message, then the fields of the spans around it and its own.
pub(super) struct Lines {
    style: Style,
}

impl Lines {
    pub(super) fn new(style: Style) -> Self {
        Self { style }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
    target: &'a str,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if span.metadata().target() == traces::TARGET {
                fields.extend(trace_id(&span).map(|id| ("trace_id".to_owned(), id.into())));
            } else if let Some(kept) = span.extensions().get::<FormattedFields<N>>() {
                fields.extend(object(&kept.fields));
            }
        }
        event.record(&mut Gather(&mut fields));
        let message = fields.remove("message");
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let line = Line {
            timestamp: &timestamp,
            level: event.metadata().level().as_str(),
            message: message.as_ref().and_then(Value::as_str).unwrap_or_default(),
            fields: &fields,
            target: event.metadata().target(),
        };
        line.write(self.style, writer)
    }
}

impl Line<'_> {
    fn write(&self, style: Style, mut writer: Writer<'_>) -> fmt::Result {
        let mut safe = Safe { style, writer: &mut writer };
        match style {
            Style::Json => {
                safe.write_str(&serde_json::to_string(self).map_err(|_of_plain_strings| fmt::Error)?)?;
            }
            Style::Text => {
                write!(safe, "{} {:>5} {}: {}", self.timestamp, self.level, self.target, self.message)?;
                for (name, value) in self.fields {
                    write!(safe, " {name}={value}")?;
                }
            }
        }
        writeln!(writer)
    }
}

/// Escapes control characters, of which JSON leaves those from U+007F to U+009F alone. Where they are escaped already, nothing
/// changes.
struct Safe<'a, 'w> {
    style: Style,
    writer: &'a mut Writer<'w>,
}

impl Write for Safe<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(breaks_out) {
            let plain = piece.trim_end_matches(breaks_out);
            self.writer.write_str(plain)?;
            for control in piece.chars().filter(|c| breaks_out(*c)) {
                match self.style {
                    Style::Json => write!(self.writer, "\\u{:04x}", u32::from(control))?,
                    Style::Text => write!(self.writer, "{}", control.escape_default())?,
                }
            }
        }
        Ok(())
    }
}

/// Control characters, and Unicode's own line and paragraph separators and changes of direction.
fn breaks_out(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
