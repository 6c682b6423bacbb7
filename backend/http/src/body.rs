//! What handlers take of a request: its body, its query, the variable part of its path.

use crate::error::Refusal;
use crate::fields::nothing;
pub(crate) use crate::fields::{opened, typed};
use crate::json;
use crate::reading::{Read, Turn, read};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(crate) type Fields = Map<String, Value>;

/// A body that is a JSON object; an empty body is an empty object.
pub(crate) struct JsonObject {
    pub(crate) fields: Fields,
    /// The bytes as they came; those of `{}` when none did, which says the same.
    pub(crate) bytes: Bytes,
    /// Kept until the answer is made, since as long the body takes up memory.
    _turn: Option<Turn>,
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
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
        let Read { bytes, turn } = read(request).await?;
        let fields = match bytes.iter().all(u8::is_ascii_whitespace) {
            true => Fields::new(),
            false => json::object(&bytes)?,
        };
        let bytes = match fields.is_empty() {
            true => Bytes::from_static(b"{}"),
            false => bytes,
        };
        Ok(Self {
            fields,
            bytes,
            _turn: turn,
        })
    }
}

impl JsonObject {
    /// For routes whose path says everything: an empty body or `{}` and nothing else.
    pub(crate) fn expect_nothing(&self) -> Result<(), Refusal> {
        nothing(&self.fields)
    }
}

/// A request whose path says everything, once its body is found to say nothing.
pub(crate) async fn without_body(request: Request) -> Result<Request, Refusal> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let mut sent = Request::new(body);
    sent.headers_mut().clone_from(&parts.headers);
    sent.extensions_mut().clone_from(&parts.extensions);
    JsonObject::from_request(sent, &())
        .await?
        .expect_nothing()?;
    Ok(Request::from_parts(parts, Body::empty()))
}

/// What the reader of a query says of a number, in words for people.
fn in_words(reason: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        (
            "invalid digit found in string",
            "use a whole number that is not negative",
        ),
        (
            "cannot parse integer from empty string",
            "use a whole number",
        ),
        (
            "number too large to fit in target type",
            "the number is too large",
        ),
        (
            "provided string was not `true` or `false`",
            "use true or false",
        ),
    ];
    WORDS.iter().fold(reason.to_owned(), |text, (said, meant)| {
        text.replace(said, meant)
    })
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
                    "The query cannot be read: {}",
                    in_words(reason)
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
