//! What lies around the routes and needs no caller: pages of other origins, compression, the
//! base path of a proxy.

use crate::Config;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, Response, Uri, header};
use std::convert::Infallible;
use std::time::Duration;
use tower::{Service, ServiceBuilder};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it may send.
const PREFLIGHT_SECONDS: u64 = 600;
/// Smaller answers are not worth the processor's time.
const COMPRESSED_BYTES_MIN: u64 = 1024;

/// Lets pages of the origins that are named ask a router.
pub(crate) fn shared<S>(router: Router<S>, config: &Config) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    match cors(&config.cors_origins) {
        Some(layer) => router.layer(layer),
        None => router,
    }
}

/// Puts the outer layers around a router.
pub(crate) fn around(router: Router, config: &Config) -> Router {
    let router = router.layer(
        CompressionLayer::new()
            .quality(CompressionLevel::Fastest)
            .compress_when(Worth),
    );
    if config.base_path.is_empty() {
        return router;
    }
    let base = config.base_path.clone();
    // Around the whole router and not one of its layers, since those run after the route is
    // found.
    let inner = ServiceBuilder::new()
        .map_request(move |request| below(request, &base))
        .service(router);
    Router::new().fallback_service(Whole(inner))
}

/// Lets a service be the whole of a router; it never refuses to be called.
#[derive(Clone)]
struct Whole<S>(S);

impl<S: Service<Request, Error = Infallible>> Service<Request> for Whole<S> {
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}

/// Takes the base path off. Requests that come without it are those of the host itself, such as
/// probes, and stay as they are.
fn below(mut request: Request, base: &str) -> Request {
    let rest = request.uri().path().strip_prefix(base);
    let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return request;
    };
    let path = if rest.is_empty() { "/" } else { rest };
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

/// None when pages of other origins may not ask, which is the default.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let named = HeaderName::from_static;
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.iter().cloned()))
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                named("idempotency-key"),
                named("last-event-id"),
                named("x-request-id"),
            ])
            .expose_headers([
                header::ETAG,
                header::LINK,
                header::RETRY_AFTER,
                named("idempotency-replayed"),
                named("x-ratelimit-limit"),
                named("x-ratelimit-remaining"),
                named("x-ratelimit-reset"),
                named("x-request-id"),
            ])
            .max_age(Duration::from_secs(PREFLIGHT_SECONDS)),
    )
}

/// Which answers are compressed: not streams, not small ones, and none with secrets in them,
/// whose length must not depend on what stands beside the secret.
#[derive(Clone, Copy)]
struct Worth;

impl Predicate for Worth {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &Response<B>) -> bool {
        let kept_nowhere = response
            .headers()
            .get(header::CACHE_CONTROL)
            .is_some_and(|value| value == "no-store");
        let large = response
            .body()
            .size_hint()
            .exact()
            .is_none_or(|bytes| bytes >= COMPRESSED_BYTES_MIN);
        large && !kept_nowhere && DefaultPredicate::new().should_compress(response)
    }
}
