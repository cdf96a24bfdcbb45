use serde_json::{Map, Value, json};
use subtle_domain::audit::{AuditEntry, FieldChange, Origin};

/// `{"changes":{"role":{"before":"user","after":"admin"}},"via":"http"}`; a change whose values aren't kept has `null` for both.
/// Facts stand under `about`, the service key under `serviceKey`, where there are any.
pub(super) fn of(entry: &AuditEntry) -> Value {
    let change = |change: &FieldChange| {
        (change.field.to_owned(), json!({ "before": change.before, "after": change.after }))
    };
    let via = match entry.origin {
        Origin::Http(_) => "http",
        Origin::CommandLine => "command_line",
        Origin::ServiceKey(..) => "service_key",
    };
    let mut details = Map::new();
    details.insert("changes".to_owned(), entry.changes.iter().map(change).collect());
    details.insert("via".to_owned(), via.into());
    if let Origin::ServiceKey(key, _) = &entry.origin {
        details.insert("serviceKey".to_owned(), key.as_str().into());
    }
    if !entry.facts.is_empty() {
        let fact = |(name, value): &(&str, String)| ((*name).to_owned(), Value::from(value.as_str()));
        details.insert("about".to_owned(), entry.facts.iter().map(fact).collect());
    }
    Value::Object(details)
}
