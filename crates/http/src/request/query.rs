use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, FieldErrors};

/// The query of the form `T`, and nothing in it that `T` does not name.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let text = percent_decode_str(query).decode_utf8();
    let text = text.map_err(|_told_as_a_whole| ApiError::Malformed("the query is not UTF-8".to_owned()))?;
    let mut errors = FieldErrors::default();
    if text.contains('\0') {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let named = pairs.find(|(_, value)| value.contains('\0')).map(|(name, _)| name.replace('\0', ""));
        errors.note(&named.unwrap_or_default(), "must not contain NUL characters");
        return Err(errors.into());
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let message = error.inner().to_string();
        let path = error.path().to_string();
        let named = if path == "." { message.split('`').nth(1).unwrap_or_default() } else { &path };
        errors.note(named, tell(&message));
        errors.into()
    })
}

/// The parser's words, where it has good ones.
fn tell(message: &str) -> &str {
    if message.starts_with("unknown field") {
        "is not a parameter of this request"
    } else if message.starts_with("duplicate field") {
        "is there twice"
    } else if message.contains("`true` or `false`") {
        "must be true or false"
    } else {
        "is of the wrong type, expected a whole number"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Form {
        page: Option<u32>,
        search: Option<String>,
    }

    #[test]
    fn a_fitting_query_is_taken() {
        let form = Form { page: Some(2), search: Some("a b&ü".to_owned()) };
        assert_eq!(parse::<Form>("page=2&search=a+b%26%C3%BC").unwrap(), form);
        assert_eq!(parse::<Form>("").unwrap(), Form::default());
    }

    #[test]
    fn anything_else_is_refused() {
        for query in ["page=x", "page=-1", "page=99999999999", "nope=1", "page=1&page=2", "search=%00"] {
            assert!(matches!(parse::<Form>(query), Err(ApiError::Invalid(_))), "{query}");
        }
        assert!(matches!(parse::<Form>("search=%FF"), Err(ApiError::Malformed(_))));
    }

    #[test]
    fn a_refusal_names_its_parameter() {
        for (query, field, message) in [
            ("page=x", "page", "is of the wrong type, expected a whole number"),
            ("search=%00", "search", "must not contain NUL characters"),
            ("nope=1", "nope", "is not a parameter of this request"),
            ("page=1&page=2", "page", "is there twice"),
        ] {
            let Err(ApiError::Invalid(errors)) = parse::<Form>(query) else { panic!("{query}") };
            let told = serde_json::to_value(&errors).unwrap();
            assert_eq!(told, serde_json::json!([{"field": field, "message": message}]), "{query}");
        }
    }
}
