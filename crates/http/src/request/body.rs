use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt};
use serde::de::DeserializeOwned;

use super::text::{nul_field, only, only_events_say_nul, says_nul};
use crate::connection::Progress;
use crate::problem::{ApiError, FieldErrors};
use crate::settings::Settings;

/// A JSON body of the form `T`: bounded in size and time, and nothing in it that `T` does not name.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = json_bytes(request, payload);
        async move { parse(&body.await?).map(Self) }.boxed_local()
    }
}

/// A body of one JSON document, or of one in each line (`application/x-ndjson`).
pub(crate) enum JsonOrLines<T> {
    /// One document.
    Whole(T),
    /// Lines.
    Lines(Bytes),
}

impl<T: DeserializeOwned + 'static> FromRequest for JsonOrLines<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if essence(request) == NDJSON {
            let body = bytes(request, payload, NDJSON);
            return async move { Ok(Self::Lines(body.await?)) }.boxed_local();
        }
        let body = json_bytes(request, payload);
        async move { parse(&body.await?).map(Self::Whole) }.boxed_local()
    }
}

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// The bytes of a JSON body.
pub(super) fn json_bytes(
    request: &HttpRequest,
    payload: &mut Payload,
) -> LocalBoxFuture<'static, Result<Bytes, ApiError>> {
    bytes(request, payload, JSON)
}

fn bytes(
    request: &HttpRequest,
    payload: &mut Payload,
    wanted: &str,
) -> LocalBoxFuture<'static, Result<Bytes, ApiError>> {
    let head = check_head(request, wanted);
    let payload = payload.take();
    let progress = request.conn_data::<Progress>().cloned();
    async move {
        let (settings, announced) = head?;
        if let Some(progress) = &progress {
            progress.begin_body();
        }
        let body = tokio::time::timeout(settings.body_deadline, read(payload, settings.max_body, announced));
        let body = body.await;
        if let Some(progress) = &progress {
            progress.end_body();
        }
        body.map_err(|_elapsed| ApiError::RequestTimeout)?
    }
    .boxed_local()
}

/// The type of the body, without its parameters.
fn essence(request: &HttpRequest) -> String {
    let content_type = only(request.headers(), &header::CONTENT_TYPE).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn check_head(request: &HttpRequest, wanted: &str) -> Result<(Data<Settings>, usize), ApiError> {
    let settings = request.app_data::<Data<Settings>>().ok_or(ApiError::Internal)?;
    let headers = request.headers();
    let length = only(headers, &header::CONTENT_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0);
    if length > settings.max_body {
        return Err(ApiError::TooLarge(settings.max_body));
    }
    let content_type = only(headers, &header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let parameters = content_type.split_once(';').map_or("", |(_, parameters)| parameters);
    let utf8 =
        parameters.trim().is_empty() || matches!(parameters.trim(), "charset=utf-8" | "charset=\"utf-8\"");
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    if essence(request) == wanted && utf8 && plain {
        Ok((settings.clone(), length))
    } else {
        Err(ApiError::UnsupportedMediaType(format!(
            "the body must be {wanted} in UTF-8, without a Content-Encoding"
        )))
    }
}

async fn read(mut payload: Payload, most: usize, announced: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::with_capacity(announced.min(most));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => ApiError::TooLarge(most),
            _ => ApiError::Malformed("the body ended before it was complete".to_owned()),
        })?;
        if body.len() + chunk.len() > most {
            return Err(ApiError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut errors = FieldErrors::default();
    // What is judged one by one is read one by one, and each comes by here again.
    if says_nul(body) && !only_events_say_nul(body) {
        errors.note(&nul_field(body), "must not contain NUL characters");
        return Err(errors.into());
    }
    // serde reads an array into a struct as gladly as an object.
    if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        errors.note("", "the body must be a JSON object");
        return Err(errors.into());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| explain(&error))?;
    json.end().map_err(|error| ApiError::Malformed(format!("the body is not one JSON document: {error}")))?;
    Ok(value)
}

/// One of many documents, which is judged on its own.
pub(crate) fn parse_item<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    parse(json).map_err(|error| error.detail())
}

/// What can't be read at all is malformed; what can be read and does not fit names its field.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if !inner.is_data() {
        return ApiError::Malformed(format!("the body is not valid JSON: {inner}"));
    }
    let message = inner.to_string();
    // " at line 1 column 9" helps with syntax, not with a field that is named.
    let message = message.split(" at line ").next().unwrap_or_default();
    let path = error.path().to_string();
    let named = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("missing field `"))
        .or_else(|| message.strip_prefix("duplicate field `"))
        .and_then(|rest| rest.split('`').next());
    let field = match (path.as_str(), named) {
        ("." | "?", Some(named)) => named.to_owned(),
        ("." | "?", None) => String::new(),
        (path, Some(named)) if !path.ends_with(named) => format!("{path}.{named}"),
        (path, _) => path.to_owned(),
    };
    let mut errors = FieldErrors::default();
    errors.note(&field, tell(message));
    errors.into()
}

/// The parser's words, without what the client sent: it may be a secret.
fn tell(message: &str) -> String {
    match message.split_once(", expected ") {
        Some((head, expected)) if head.starts_with("invalid ") && expected.starts_with("struct ") => {
            "is of the wrong type, expected an object".to_owned()
        }
        Some((head, expected)) if head.starts_with("invalid ") => {
            format!("is of the wrong type, expected {expected}")
        }
        Some((head, _)) if head.starts_with("unknown field") => "is not a field of this request".to_owned(),
        _ if message.starts_with("unknown field") => "is not a field of this request".to_owned(),
        _ if message.starts_with("missing field") => "is required".to_owned(),
        _ if message.starts_with("duplicate field") => "is there twice".to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Form {
        name: String,
        #[expect(dead_code, reason = "only its parsing matters")]
        count: Option<u8>,
    }

    fn refused(body: &str) -> ApiError {
        parse::<Form>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_fitting_body_is_taken() {
        assert_eq!(parse::<Form>(br#" {"name":"a\\u0000"} "#).unwrap().name, "a\\u0000");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "nonsense", r#"{"name":"a"} x"#, r#"{"name":"\ud800"}"#, "{\"name\":\"\u{1}\"}"]
        {
            assert!(matches!(refused(body), ApiError::Malformed(_)), "{body}: {:?}", refused(body));
        }
        assert!(matches!(parse::<Form>(b"{\"name\":\"\xff\"}"), Err(ApiError::Malformed(_))));
    }

    #[test]
    fn nesting_ends_at_128_levels() {
        let nested = |depth: usize| format!("{{\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(
            parse::<std::collections::HashMap<String, serde_json::Value>>(nested(126).as_bytes()).is_ok()
        );
        let deep = parse::<std::collections::HashMap<String, serde_json::Value>>(nested(200_000).as_bytes());
        assert!(matches!(deep, Err(ApiError::Malformed(_))));
    }

    #[test]
    fn what_does_not_fit_names_its_field_and_repeats_no_secret() {
        for (body, detail) in [
            (r#"{"name":"a","role":"admin"}"#, "role: is not a field of this request"),
            (r"{}", "name: is required"),
            (r#"{"name":"a","name":"b"}"#, "name: is there twice"),
            (r#"{"name":424242}"#, "name: is of the wrong type, expected a string"),
            (r#"{"name":"a","count":-1}"#, "count: is of the wrong type, expected u8"),
            (r#"{"name":null}"#, "name: is of the wrong type, expected a string"),
            (r#"["a"]"#, "the body must be a JSON object"),
            ("null", "is of the wrong type, expected an object"),
            (r#"{"name":"\u0000"}"#, "name: must not contain NUL characters"),
        ] {
            let told = refused(body).respond("");
            assert_eq!(told.status(), 422, "{body}");
            let ApiError::Invalid(errors) = refused(body) else { panic!("{body}") };
            let told = serde_json::to_value(&errors).unwrap();
            let told = (told[0]["field"].as_str().unwrap(), told[0]["message"].as_str().unwrap());
            let expected = detail.split_once(": ").unwrap_or(("", detail));
            assert_eq!(told, expected, "{body}");
        }
    }
}
