use serde_json::Value;

use super::{Answer, Person};

/// The committed OpenAPI document. That it is the one that is served is tested on its own.
pub(crate) struct Document(Value);

/// A method on a path.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// In capitals.
    pub(crate) method: String,
    /// As the document has it: `/v1/admin/users/{id}`.
    pub(crate) path: String,
    description: Value,
}

impl Operation {
    pub(crate) fn invented(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), description: Value::Null }
    }

    /// Whether the document asks for an access token.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.description["security"].is_null()
    }

    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    pub(crate) fn takes_body(&self) -> bool {
        !self.description["requestBody"].is_null()
    }

    /// Who may ask for it, and the path with an identifier that fits: an administrator of their own account, or a program where only
    /// programs may.
    pub(crate) fn asked_by<'a>(&self, admin: &'a Person, program: &'a Person) -> (&'a Person, String) {
        if self.path == "/v1/activity" || self.path.starts_with("/v1/usage/") {
            (program, self.path.replace("{id}", &format!("{}.x", admin.id)))
        } else {
            (admin, self.path.replace("{id}", &admin.id))
        }
    }

    /// The names of the query's parameters.
    pub(crate) fn query(&self) -> Vec<&str> {
        let parameters = self.description["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        query.map(|parameter| parameter["name"].as_str().unwrap()).collect()
    }
}

impl Document {
    pub(crate) const TEXT: &str = include_str!("../../../crates/http/openapi.json");

    pub(crate) fn committed() -> Self {
        Self(serde_json::from_str(Self::TEXT).unwrap())
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0["paths"].as_object().unwrap().keys().map(String::as_str)
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, description)| Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                description: description.clone(),
            })
        });
        operations.collect()
    }

    /// The names of the fields of an operation's body that may be text.
    pub(crate) fn text_fields(&self, operation: &Operation) -> Vec<String> {
        let schema = &operation.description["requestBody"]["content"]["application/json"]["schema"];
        let is_text = |kind: &Value| {
            *kind == "string" || kind.as_array().is_some_and(|kinds| kinds.contains(&"string".into()))
        };
        let properties = self.properties(schema).into_iter();
        properties.filter(|(_, schema)| is_text(&schema["type"])).map(|(name, _)| name).collect()
    }

    /// Checks that the document tells of this answer, and names and requires each of its fields.
    #[track_caller]
    pub(crate) fn check(&self, operation: &Operation, answer: &Answer) {
        let told = &operation.description["responses"][answer.status.to_string()];
        let what = format!("{} {} {}", operation.method, operation.path, answer.status);
        assert!(!told.is_null(), "{what} is not in the document");
        if answer.text.is_empty() {
            assert!(told["content"].is_null(), "{what} has no body");
            return;
        }
        let media_type = answer.header("content-type");
        let schema = &told["content"][media_type]["schema"];
        assert!(!schema.is_null(), "{what}: {media_type} is not in the document");
        self.check_value(schema, &answer.body, &what);
    }

    /// Of several forms, the one for values of this type.
    fn of_type<'a>(&'a self, schema: &'a Value, kind: &Value) -> &'a Value {
        let forms = self.resolve(schema)["oneOf"].as_array();
        let fits = |form: &&Value| form["properties"]["type"]["enum"][0] == *kind;
        forms.and_then(|forms| forms.iter().find(fits)).unwrap_or(schema)
    }

    #[track_caller]
    fn check_value(&self, schema: &Value, value: &Value, place: &str) {
        match value {
            // Any JSON there is, as its description says.
            Value::Object(_)
                if ["/data", "/details", "/sessionData"].iter().any(|any| place.ends_with(any)) =>
            {
                assert!(self.resolve(schema)["type"].is_null(), "{place} is any JSON");
            }
            Value::Object(fields) => {
                let schema = self.of_type(schema, &value["type"]);
                let named = self.properties(schema);
                for (name, value) in fields {
                    let schema = named.iter().find(|(named, _)| named == name);
                    let (_, schema) =
                        schema.unwrap_or_else(|| panic!("{place}/{name} is not in the document"));
                    self.check_value(schema, value, &format!("{place}/{name}"));
                }
                for name in self.required(schema) {
                    assert!(fields.contains_key(&name), "{place}/{name} is missing");
                }
            }
            Value::Array(items) => {
                let schema = &self.resolve(schema)["items"];
                assert!(!schema.is_null(), "{place} is no list in the document");
                for item in items {
                    self.check_value(schema, item, place);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// The schema and all that it is made of.
    fn parts<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        let parts = ["allOf", "oneOf", "anyOf"].map(|of| schema[of].as_array());
        let parts = parts.into_iter().flatten().flatten().flat_map(|part| self.parts(part));
        std::iter::once(schema).chain(parts).collect()
    }

    fn properties<'a>(&'a self, schema: &'a Value) -> Vec<(String, &'a Value)> {
        let properties = self.parts(schema).into_iter().filter_map(|part| part["properties"].as_object());
        properties.flatten().map(|(name, schema)| (name.clone(), schema)).collect()
    }

    fn required(&self, schema: &Value) -> Vec<String> {
        let required = self.parts(schema).into_iter().filter_map(|part| part["required"].as_array());
        required.flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}
