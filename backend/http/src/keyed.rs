//! `Idempotency-Key`: the same request again gets the same answer.

use crate::error::Refusal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_services::{Answered, Keyed};
use sha2::{Digest, Sha256};

const KEY: &str = "idempotency-key";
const KEY_BYTES_MAX: usize = 255;

/// How an answer is written: status and body.
pub(crate) type Render<'a, T> = &'a (dyn Fn(&T) -> (u16, String) + Send + Sync);

/// The key of a request, with what tells the request from another.
pub(crate) struct RequestKey {
    key: Option<String>,
    method_and_path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let key = match parts.headers.get(KEY) {
            None => None,
            Some(value) => {
                let text = value.to_str().unwrap_or_default();
                if !(1..=KEY_BYTES_MAX).contains(&text.len()) {
                    return Err(Refusal::unreadable(format!(
                        "The Idempotency-Key has to be 1 to {KEY_BYTES_MAX} printable characters"
                    )));
                }
                Some(text.to_owned())
            }
        };
        Ok(Self {
            key,
            method_and_path: format!("{} {}", parts.method, parts.uri),
        })
    }
}

impl RequestKey {
    /// What the services need to know the request again.
    pub(crate) fn with<'a, T>(self, body: &[u8], answer: Render<'a, T>) -> Option<Keyed<'a, T>> {
        let key = self.key?;
        let mut hash = Sha256::new();
        hash.update(self.method_and_path.as_bytes());
        hash.update([0]);
        hash.update(body);
        Some(Keyed {
            key,
            request_hash: hex::encode(hash.finalize()),
            answer,
        })
    }
}

/// The answer, written now or taken from before.
pub(crate) fn reply<T>(answered: Answered<T>, render: Render<'_, T>) -> Response {
    let (status, body, replayed) = match answered {
        Answered::Fresh(value) => {
            let (status, body) = render(&value);
            (status, body, false)
        }
        Answered::Replayed(replay) => (replay.status, replay.body.reveal().to_owned(), true),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if replayed {
        response.headers_mut().insert(
            HeaderName::from_static("idempotency-replayed"),
            HeaderValue::from_static("true"),
        );
    }
    response
}
