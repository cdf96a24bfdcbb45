//! The fields of events and spans, gathered as JSON.

use std::error::Error;
use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::fmt::{FormattedFields, format};

use crate::failure::with_sources;

/// Gathers fields by name; a later one of the same name wins.
pub(super) struct Gather<'a>(pub(super) &'a mut Map<String, Value>);

impl Gather<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // A macro's argument that was written as a raw identifier.
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Gather<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    /// With all that caused it: the reason is mostly at the end.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, with_sources(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// Keeps a span's fields as the text of a JSON object.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: format::Writer<'w>, fields: R) -> fmt::Result {
        let mut gathered = Map::new();
        fields.record(&mut Gather(&mut gathered));
        write!(writer, "{}", Value::Object(gathered))
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut gathered = object(&current.fields);
        fields.record(&mut Gather(&mut gathered));
        current.fields.clear();
        fmt::Write::write_fmt(
            &mut Writer::new(&mut current.fields),
            format_args!("{}", Value::Object(gathered)),
        )
    }
}

/// Fields as [`SpanFields`] kept them.
pub(super) fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}
