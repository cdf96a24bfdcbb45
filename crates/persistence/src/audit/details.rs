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

/// A document always written the same way: without white space, the members of objects sorted by name. The order is not the
/// database's to decide.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            };
            format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_and_everything_else_does() {
        let text = canonical(&json!({ "b": [1, null, { "y": true, "x": "\"" }], "a": "ü" }));
        assert_eq!(text, r#"{"a":"ü","b":[1,null,{"x":"\"","y":true}]}"#);
        assert_ne!(canonical(&json!({ "a": "1" })), canonical(&json!({ "a": 1 })));
    }
}
