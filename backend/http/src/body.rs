//! Reading bodies: envelopes and synonyms first, then field by field, so that each mistake is
//! named by its path.

use crate::error::Refusal;
use crate::state::State;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use berth_domain::nearest;
use berth_services::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

pub(crate) type Fields = Map<String, Value>;

/// Bodies up to this size are read without waiting for a turn.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Other words that are taken for a field.
const SYNONYMS: [(&str, &str); 4] = [
    ("db_type", "engine"),
    ("technology", "engine"),
    ("plan_id", "plan"),
    ("projectId", "project_id"),
];

/// A body that is a JSON object; an empty body is an empty object.
pub(crate) struct JsonObject {
    pub(crate) fields: Fields,
    /// The bytes as they came.
    pub(crate) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(|value| {
                let text = value.to_str().unwrap_or_default();
                let essence = text.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
            });
        if !is_json {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Bodies are JSON: send Content-Type: application/json",
            ));
        }
        let bytes = read(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self {
                fields: Fields::new(),
                bytes,
            });
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, bytes }),
            Ok(_) => Err(Refusal::unreadable("The body is not a JSON object")),
            Err(error) => Err(Refusal::unreadable(format!(
                "The body is not JSON: {error}"
            ))),
        }
    }
}

/// The bounds of reading a body; the layers leave them with each request.
#[derive(Clone)]
pub(crate) struct Reading {
    bytes_max: usize,
    time_max: Duration,
    large_ones: Arc<Semaphore>,
}

impl Reading {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            bytes_max: state.config.body_bytes_max,
            time_max: Duration::from_secs(state.config.body_seconds_max),
            large_ones: Arc::clone(&state.large_bodies),
        }
    }
}

/// Reads a body within its bounds of size and time. Large ones, and those that do not say how
/// large they are, take turns, so that many at once need no more memory than a few.
async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Refusal> {
    let Some(reading) = request.extensions().get::<Reading>().cloned() else {
        return Bytes::from_request(request, state).await.map_err(unread);
    };
    let told = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|bytes| bytes > reading.bytes_max) {
        return Err(too_large());
    }
    let small = told.map_or_else(
        || axum::body::HttpBody::is_end_stream(request.body()),
        |bytes| bytes <= SMALL_BYTES_MAX,
    );
    let arriving = async {
        let _turn = match small {
            true => None,
            // Closed by nobody.
            false => reading.large_ones.acquire().await.ok(),
        };
        Bytes::from_request(request, state).await
    };
    match tokio::time::timeout(reading.time_max, arriving).await {
        Ok(read) => read.map_err(unread),
        Err(_) => {
            let seconds = reading.time_max.as_secs();
            let mut refusal = Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                format!("The body did not arrive within {seconds} seconds"),
            );
            // What is still to come of it cannot be told from a next request.
            let close = HeaderValue::from_static("close");
            refusal.headers.push((header::CONNECTION, close));
            Err(refusal)
        }
    }
}

fn unread(rejection: BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        too_large()
    } else {
        Refusal::unreadable("The body could not be read to its end")
    }
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "The body is too large",
    )
}

impl JsonObject {
    /// For routes whose path says everything: an empty body or `{}` and nothing else.
    pub(crate) fn expect_nothing(&self) -> Result<(), Refusal> {
        if self.fields.is_empty() {
            return Ok(());
        }
        let errors = self
            .fields
            .keys()
            .map(|key| FieldError::invalid(key.clone(), "is not a field here: send no body or {}"))
            .collect();
        Err(Refusal::fields(errors))
    }
}

/// Query parameters; an unknown one is named.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text
                    .split_once(": ")
                    .map_or(text.as_str(), |(_, reason)| reason);
                Err(Refusal::unreadable(format!(
                    "The query cannot be read: {reason}"
                )))
            }
        }
    }
}

/// The one variable part of a path: an id or a name.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(_) => Err(Refusal::unreadable("The path is not text")),
        }
    }
}

/// Takes the object out of its named envelope, when it is in one.
pub(crate) fn opened(mut fields: Fields, name: &str) -> Result<Fields, Refusal> {
    match fields.remove(name) {
        Some(Value::Object(inner)) if fields.is_empty() => Ok(inner),
        Some(Value::Object(_)) => {
            let beside: Vec<_> = fields.keys().cloned().collect();
            Err(Refusal::fields(
                beside
                    .into_iter()
                    .map(|key| {
                        FieldError::invalid(key, format!("stands beside \"{name}\": put it inside"))
                    })
                    .collect(),
            ))
        }
        Some(other) => {
            fields.insert(name.to_owned(), other);
            Ok(fields)
        }
        None => Ok(fields),
    }
}

/// Writes synonyms as the words they stand for; two that disagree are refused.
pub(crate) fn canonical(mut fields: Fields) -> Result<Fields, Vec<FieldError>> {
    let mut errors = Vec::new();
    for (synonym, word) in SYNONYMS {
        let Some(value) = fields.remove(synonym) else {
            continue;
        };
        match fields.get(word) {
            Some(other) if *other != value => errors.push(FieldError::invalid(
                synonym,
                format!("disagrees with {word}: say it once"),
            )),
            Some(_) => {}
            None => {
                fields.insert(word.to_owned(), value);
            }
        }
    }
    if errors.is_empty() {
        Ok(fields)
    } else {
        Err(errors)
    }
}

/// Reads an object of optional fields, naming every field that is wrong.
///
/// Each field is read alone first: the reader's own message does not say which one it was.
pub(crate) fn typed<T: DeserializeOwned>(
    fields: Fields,
    within: &str,
) -> Result<T, Vec<FieldError>> {
    let mut errors = Vec::new();
    for (key, value) in &fields {
        let alone = Fields::from_iter([(key.clone(), value.clone())]);
        if let Err(error) = serde_json::from_value::<T>(Value::Object(alone)) {
            let message =
                misfit::<T>(key, value).unwrap_or_else(|| sentence(&error.to_string(), key));
            errors.push(FieldError::invalid(format!("{within}{key}"), message));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        let path = within.trim_end_matches('.');
        vec![FieldError::invalid(
            path,
            sentence(&error.to_string(), path),
        )]
    })
}

/// What is wrong with a number that the field's type cannot hold; none when the field takes no
/// whole numbers. The reader does not say what would fit, so the bounds of the types in use are
/// tried.
fn misfit<T: DeserializeOwned>(key: &str, value: &Value) -> Option<String> {
    const NUMBER_CHARACTERS_MAX: usize = 32;
    const BOUNDS: [i64; 3] = [i64::MAX, u32::MAX as i64, u16::MAX as i64];
    let Value::Number(given) = value else {
        return None;
    };
    let reads = |number: i64| {
        let alone = Fields::from_iter([(key.to_owned(), Value::from(number))]);
        serde_json::from_value::<T>(Value::Object(alone)).is_ok()
    };
    let most = BOUNDS.into_iter().find(|bound| reads(*bound))?;
    let given: String = given
        .to_string()
        .chars()
        .take(NUMBER_CHARACTERS_MAX)
        .collect();
    Some(if most == i64::MAX {
        format!("is {given}: use a whole number")
    } else {
        format!("is {given}: use a whole number from 0 to {most}")
    })
}

/// What the reader says, in words for people.
fn sentence(message: &str, key: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if message.starts_with("unknown field") {
        // The reader lists the known ones between backticks, after the unknown one.
        let known: Vec<&str> = message.split('`').skip(1).step_by(2).skip(1).collect();
        let hint = nearest(key, known.iter().copied())
            .map(|near| format!(" (did you mean \"{near}\"?)"))
            .unwrap_or_default();
        return format!(
            "is not a field of this object{hint}: use {}",
            known.join(", ")
        );
    }
    message.replace("invalid type: ", "has the wrong type: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_api::DatabaseBody;
    use serde_json::json;

    fn object(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let fields = object(json!({"nam": "x", "storage_gb": "ten", "expose": true}));
        let errors = typed::<DatabaseBody>(fields, "").unwrap_err();
        let named: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, ["nam", "storage_gb"]);
        assert!(
            errors[0].message.contains("did you mean \"name\"?"),
            "{}",
            errors[0].message
        );
        assert!(
            errors[1].message.contains("wrong type"),
            "{}",
            errors[1].message
        );
    }

    #[test]
    fn numbers_that_do_not_fit_hear_what_would() {
        let wrong = r#"{"storage_gb": -1, "recovery_window_days": 1e300, "replicas": 1.5,
            "public_port": 70000, "credential_version": 99999999999999999999, "name": 5}"#;
        let fields = object(serde_json::from_str(wrong).unwrap());
        let errors = typed::<DatabaseBody>(fields, "").unwrap_err();
        let message = |field: &str| {
            let error = errors.iter().find(|e| e.field == field).unwrap();
            error.message.clone()
        };
        assert_eq!(
            message("storage_gb"),
            "is -1: use a whole number from 0 to 4294967295"
        );
        for field in ["recovery_window_days", "replicas"] {
            assert!(
                message(field).ends_with("use a whole number from 0 to 4294967295"),
                "{}",
                message(field)
            );
        }
        assert_eq!(
            message("public_port"),
            "is 70000: use a whole number from 0 to 65535"
        );
        assert_eq!(
            message("credential_version"),
            "is 99999999999999999999: use a whole number"
        );
        assert!(!message("name").contains("whole number"));
    }

    #[test]
    fn synonyms_agree_or_are_refused() {
        let fields = canonical(object(json!({"db_type": "pg", "projectId": "p"}))).unwrap();
        assert_eq!(fields, object(json!({"engine": "pg", "project_id": "p"})));
        assert!(canonical(object(json!({"db_type": "pg", "engine": "pg"}))).is_ok());
        let errors = canonical(object(json!({"db_type": "pg", "engine": "mysql"}))).unwrap_err();
        assert_eq!(errors[0].field, "db_type");
    }
}
