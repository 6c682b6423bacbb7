//! Pages and their tokens.

use crate::error::Refusal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Objects on a page, at most and unless fewer are asked for.
const PAGE_SIZE_MAX: u32 = 100;

/// The size of a page that is asked for.
pub(crate) fn size(asked: Option<u32>) -> Result<u32, Refusal> {
    match asked {
        None => Ok(PAGE_SIZE_MAX),
        Some(size) if (1..=PAGE_SIZE_MAX).contains(&size) => Ok(size),
        Some(size) => Err(Refusal::field(
            "page_size",
            format!("is {size}: use 1 to {PAGE_SIZE_MAX}"),
        )),
    }
}

/// The token by which the page after an object is asked for.
pub(crate) fn token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// What a token means, by the reader of its ids.
pub(crate) fn after<T, E>(
    token: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| read(&text).ok())
        .map(Some)
        .ok_or_else(|| Refusal::field("page_token", "is not one that this server gave"))
}
