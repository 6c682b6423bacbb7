//! The HTTP API: requests to services and back.
//!
//! Owns: routes, authentication, rights by route, the spelling of bodies and errors, the OpenAPI
//! document, metrics.
//! Refuses: rules. What a request means is for `berth-services` to say.

mod access;
mod answers;
mod body;
mod condition;
mod config;
mod error;
mod examples;
mod fields;
mod holds;
mod json;
mod keyed;
mod layers;
mod limiter;
mod metrics;
mod mistakes;
mod naming;
mod openapi;
mod outcomes;
mod outside;
mod page;
mod proxies;
mod reading;
mod router;
mod routes;
mod state;
mod strangers;
mod wire;

pub use config::Config;
pub use layers::UnclearHost;
pub use router::{local_router, router};
