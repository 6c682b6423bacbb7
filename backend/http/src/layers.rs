//! What every request passes: an id, a bound on its time, a caller with the right, and an answer
//! whose errors have one shape.

use crate::access::{self, Need};
use crate::body::without_body;
use crate::error::Refusal;
use crate::proxies::{client_address, limited_as};
use crate::reading::Reading;
use crate::state::{Door, State};
use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use berth_domain::Secret;
use berth_services::{Caller, WAIT_SECONDS_MAX};
use futures_util::FutureExt;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Says of a request that it does not name one host. Whoever serves connections puts it there,
/// since servers on a request's way may choose differently between two.
#[derive(Debug, Clone, Copy)]
pub struct UnclearHost;

/// The outermost layer.
pub(crate) async fn envelope(state: Arc<State>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = matched(&request).unwrap_or_else(|| "other".to_owned());
    let span =
        tracing::info_span!("request", request.id = %id, http.method = %method, http.route = %path);
    let response = match request.extensions().get::<UnclearHost>() {
        Some(UnclearHost) => {
            let message = "This request does not say once which host it is for: send one Host";
            Refusal::unreadable(message).into_response()
        }
        None => next.run(request).instrument(span).await,
    };
    let response = finished(response, &id, &method);
    state
        .metrics
        .count(&method, &path, response.status(), begun.elapsed());
    response
}

/// Gives up what takes too long, and answers for what ends in a panic.
pub(crate) async fn bounded(state: Arc<State>, request: Request, next: Next) -> Response {
    let path = matched(&request).unwrap_or_default();
    let limit = Duration::from_secs(seconds_for(&state, &path));
    let answered = AssertUnwindSafe(tokio::time::timeout(limit, next.run(request)))
        .catch_unwind()
        .await;
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!("berthd took more than {} seconds", limit.as_secs()),
        )
        .with(header::RETRY_AFTER, 1)
        .into_response(),
        Err(_) => {
            tracing::error!("a request ended in a panic");
            Refusal::internal().into_response()
        }
    }
}

/// Writes an error out and gives every answer its id.
fn finished(mut response: Response, id: &str, method: &Method) -> Response {
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let status = refusal.status;
        let headers = refusal.headers.clone();
        let mut written = (status, axum::Json(refusal.body(id))).into_response();
        // What inner layers said, such as of the rate limit, stays.
        for (name, value) in response.headers() {
            if *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE {
                written.headers_mut().append(name.clone(), value.clone());
            }
        }
        written.headers_mut().extend(headers);
        if *method == Method::HEAD {
            *written.body_mut() = Body::empty();
        }
        response = written;
    }
    let streams = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if streams {
        // A proxy that gathers an answer before it passes it on would never pass on a stream.
        let headers = response.headers_mut();
        headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Longer where a request asks to wait.
fn seconds_for(state: &State, path: &str) -> u64 {
    let base = state.config.request_seconds_max;
    if path == "/v1/operations/{operation}" {
        base.saturating_add(WAIT_SECONDS_MAX)
    } else {
        base
    }
}

fn matched(request: &Request) -> Option<String> {
    request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned())
}

/// The client's own id when it is a plain word, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    headers
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(plain)
        .map_or_else(|| hex::encode(rand::random::<[u8; 12]>()), str::to_owned)
}

/// Lets in who has the right that the route needs, as often as its token may.
pub(crate) async fn admit(state: Arc<State>, mut request: Request, next: Next) -> Response {
    let Some(path) = matched(&request) else {
        return next.run(request).await;
    };
    let Some(need) = access::need(request.method(), &path) else {
        // The router says which methods there are; without an entry nothing is done.
        return match known_path(&path) {
            true => next.run(request).await,
            false => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "route_closed",
                "This route names no right that it needs, so it is closed",
            )
            .into_response(),
        };
    };
    let address = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip())
        .map(|peer| client_address(peer, request.headers(), &state.config.trusted_proxies));
    if need.is_open() {
        return match too_often(&state, need, address) {
            Some(refusal) => refusal.into_response(),
            None => next.run(request).await,
        };
    }
    let mut authorizations = request.headers().get_all(header::AUTHORIZATION).iter();
    let authorization = authorizations.next().cloned();
    if authorizations.next().is_some() {
        return Refusal::unreadable("There are two Authorization headers: send one")
            .into_response();
    }
    let caller = match caller(&state, authorization, address).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    let allowance = caller
        .token()
        .map(|token| state.limiter.take(token, state.millis()));
    if let Some(seconds) = allowance.and_then(|a| a.retry_after_seconds) {
        let refusal = Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            format!("This token made too many requests: try again in {seconds} seconds"),
        );
        let response = refusal.with(header::RETRY_AFTER, seconds).into_response();
        return limited(response, allowance);
    }
    let response = match access::lacking(need, &caller) {
        Some(scope) => {
            let error = berth_services::Error::scope_missing(scope);
            Refusal::from(error).into_response()
        }
        None => {
            let reads = ![Method::GET, Method::HEAD].contains(request.method());
            let extensions = request.extensions_mut();
            if reads {
                extensions.insert(Reading::of(&state, &path));
            }
            extensions.insert(access::asking(need, caller));
            let request = match *request.method() {
                Method::DELETE => without_body(request).await,
                _ => Ok(request),
            };
            match request {
                Ok(request) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            }
        }
    };
    limited(response, allowance)
}

/// Counts a request that needs no token, or has none that is valid, for where it comes from; a
/// refusal when there are too many. The local socket has no address, and no limit.
fn too_often(state: &State, need: Need, address: Option<IpAddr>) -> Option<Refusal> {
    let now = state.millis();
    let seconds = match need {
        Need::Watching => {
            let allowance = state.probes.take(&limited_as(address?), now);
            allowance.retry_after_seconds?
        }
        _ => state.strangers.count(address, now)?,
    };
    let refusal = Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        format!(
            "This address made too many requests without a token: try again in {seconds} seconds"
        ),
    );
    Some(refusal.with(header::RETRY_AFTER, seconds))
}

fn known_path(path: &str) -> bool {
    access::ROUTES.iter().any(|(_, p, _)| *p == path)
}

fn limited(mut response: Response, allowance: Option<crate::limiter::Allowance>) -> Response {
    if let Some(allowance) = allowance {
        let headers = response.headers_mut();
        headers.insert(LIMIT, HeaderValue::from(allowance.limit));
        headers.insert(REMAINING, HeaderValue::from(allowance.remaining));
        headers.insert(RESET, HeaderValue::from(allowance.reset_seconds));
    }
    response
}

/// Who sends that header. Whatever is no token that was valid before is counted for where it
/// comes from before it costs the store anything.
async fn caller(
    state: &State,
    authorization: Option<HeaderValue>,
    address: Option<IpAddr>,
) -> Result<Caller, Refusal> {
    if state.door == Door::Local {
        return Ok(Caller::local());
    }
    let counted = |refusal| too_often(state, Need::Nothing, address).unwrap_or(refusal);
    let secret = bearer(authorization).map_err(counted)?;
    let known = state.strangers.knows(&secret);
    if !known && let Some(refusal) = too_often(state, Need::Nothing, address) {
        return Err(refusal);
    }
    let told = address.map(|address| address.to_string());
    let found = state.services.authenticate(&secret, told).await;
    match found.map_err(Refusal::from) {
        Ok(caller) => {
            if !known {
                state.strangers.let_in(&secret, address, state.millis());
            }
            Ok(caller)
        }
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED && known => {
            state.strangers.forget(&secret);
            Err(counted(refusal))
        }
        Err(refusal) => {
            if !known && refusal.status != StatusCode::UNAUTHORIZED {
                // Nobody knows whether it is valid, so it is no stranger's.
                state.strangers.give_back(address, state.millis());
            }
            Err(refusal)
        }
    }
}

/// The token of a header.
fn bearer(authorization: Option<HeaderValue>) -> Result<Secret, Refusal> {
    let value = authorization.ok_or_else(|| {
        Refusal::unauthenticated("This request has no token: send Authorization: Bearer …")
    })?;
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| Secret::new(secret.trim()))
        .ok_or_else(|| Refusal::unauthenticated("The Authorization header is not a bearer token"))
}
