//! What Diesel calls the types of columns.

/// PostgreSQL's name of a type, and Diesel's. Those that Diesel knows; which features they need is the compiler's concern.
const TYPES: [(&str, &str); 26] = [
    ("bool", "Bool"),
    ("bpchar", "Bpchar"),
    ("bytea", "Bytea"),
    ("cidr", "Cidr"),
    ("citext", "Citext"),
    ("date", "Date"),
    ("float4", "Float4"),
    ("float8", "Float8"),
    ("inet", "Inet"),
    ("int2", "Int2"),
    ("int4", "Int4"),
    ("int8", "Int8"),
    ("interval", "Interval"),
    ("json", "Json"),
    ("jsonb", "Jsonb"),
    ("macaddr", "Macaddr"),
    ("money", "Money"),
    ("numeric", "Numeric"),
    ("oid", "Oid"),
    ("text", "Text"),
    ("time", "Time"),
    ("timestamp", "Timestamp"),
    ("timestamptz", "Timestamptz"),
    ("timetz", "Timetz"),
    ("uuid", "Uuid"),
    ("varchar", "Varchar"),
];

/// Diesel's name; `None` when it has none.
pub(super) fn diesel_type(kind: &str, nullable: bool) -> Option<String> {
    let named = |kind: &str| TYPES.iter().find(|(name, _)| *name == kind).map(|(_, named)| *named);
    let plain = match kind.strip_prefix('_') {
        // PostgreSQL cannot forbid NULL inside an array.
        Some(element) => format!("Array<Nullable<{}>>", named(element)?),
        None => named(kind)?.to_owned(),
    };
    Some(if nullable { format!("Nullable<{plain}>") } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_diesel_gives_them() {
        for (kind, nullable, name) in [
            ("text", false, Some("Text")),
            ("text", true, Some("Nullable<Text>")),
            ("varchar", false, Some("Varchar")),
            ("timestamptz", true, Some("Nullable<Timestamptz>")),
            ("jsonb", true, Some("Nullable<Jsonb>")),
            ("numeric", false, Some("Numeric")),
            ("int4", false, Some("Int4")),
            ("int8", false, Some("Int8")),
            ("bool", false, Some("Bool")),
            ("bytea", false, Some("Bytea")),
            ("_text", true, Some("Nullable<Array<Nullable<Text>>>")),
            ("tsvector", false, None),
            ("_tsvector", false, None),
        ] {
            assert_eq!(diesel_type(kind, nullable).as_deref(), name, "{kind}");
        }
    }
}
