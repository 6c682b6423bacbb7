//! The HTTP API: requests to services and back.
//!
//! Owns: routes, authentication, rights by route, the spelling of bodies and errors, the OpenAPI
//! document, metrics.
//! Refuses: rules. What a request means is for `berth-services` to say.

mod config;

pub use config::Config;

use axum::Router;
use berth_services::Services;
use std::sync::Arc;

/// The API for the network: everyone shows a token.
pub fn router(_services: Arc<Services>, _config: Config) -> Router {
    Router::new()
}

/// The API for the local socket: whoever may open it is the host's administrator.
pub fn local_router(_services: Arc<Services>, _config: Config) -> Router {
    Router::new()
}
