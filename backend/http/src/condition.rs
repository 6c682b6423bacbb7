//! `ETag` and `If-Match`: a change that is only made of what its sender has read.
//!
//! A tag names what people have chosen, not what was observed since or what a database does by
//! itself: one whose connections are counted anew, or that fell asleep, is not changed for
//! whoever is about to change it. Such a tag is weak, and it is compared weakly.

use crate::error::Refusal;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use berth_services::Expected;

/// What `If-Match` says.
pub(crate) struct Condition(pub(crate) Expected);

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let mut tags = Vec::new();
        let mut given = false;
        for value in parts.headers.get_all(header::IF_MATCH) {
            given = true;
            let text = value.to_str().map_err(|_| unreadable())?;
            for tag in text.split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self(Expected::Anything));
                }
                let quoted = tag.strip_prefix("W/").unwrap_or(tag);
                let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
                // A tag that berthd never gave fits nothing.
                if let Ok(tag) = inner.ok_or_else(unreadable)?.parse() {
                    tags.push(tag);
                }
            }
        }
        Ok(Self(if given {
            Expected::Tags(tags)
        } else {
            Expected::Anything
        }))
    }
}

fn unreadable() -> Refusal {
    Refusal::unreadable("If-Match is not a list of tags: send the ETag of an answer as it came")
}

/// An answer with the tag of what it shows.
pub(crate) fn tagged(mut response: Response, tag: i64) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
