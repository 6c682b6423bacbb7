//! Routes joined to their handlers and their layers.

use crate::error::Refusal;
use crate::routes::{databases, events, installation, operations, plan, projects, tokens, trash};
use crate::state::{Door, State};
use crate::{Config, layers};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::{delete, get, post};
use berth_services::Services;
use std::sync::Arc;

/// The API for the network: everyone shows a token.
pub fn router(services: Arc<Services>, config: Config) -> Router {
    joined(State::new(services, config, Door::Network))
}

/// The API for the local socket: whoever may open it is the host's administrator.
pub fn local_router(services: Arc<Services>, config: Config) -> Router {
    joined(State::new(services, config, Door::Local))
}

fn joined(state: State) -> Router {
    let state = Arc::new(state);
    let (outer, inner) = (Arc::clone(&state), Arc::clone(&state));
    routes()
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(state.config.body_bytes_max))
        .layer(from_fn(move |request: Request, next: Next| {
            layers::admit(Arc::clone(&inner), request, next)
        }))
        .layer(from_fn(move |request: Request, next: Next| {
            layers::envelope(Arc::clone(&outer), request, next)
        }))
        .with_state(state)
}

fn routes() -> Router<Arc<State>> {
    let database = get(databases::read)
        .patch(databases::update)
        .delete(databases::destroy);
    let project = get(projects::read)
        .patch(projects::update)
        .delete(projects::destroy);
    Router::new()
        .route("/healthz", get(installation::healthz))
        .route("/readyz", get(installation::readyz))
        .route("/metrics", get(installation::metrics))
        .route("/openapi.json", get(installation::openapi))
        .route("/v1/version", get(installation::version))
        .route("/v1/server", get(installation::server))
        .route("/v1/catalogue", get(installation::catalogue))
        .route("/v1/plan", post(plan::plan))
        .route("/v1/snapshot", get(plan::snapshot))
        .route("/v1/events", get(events::read))
        .route("/v1/operations/{operation}", get(operations::read))
        .route("/v1/projects", get(projects::list).post(projects::create))
        .route("/v1/projects/{project}", project)
        .route("/v1/projects/{project}/claim", post(projects::claim))
        .route(
            "/v1/databases",
            get(databases::list).post(databases::create),
        )
        .route("/v1/databases/{database}", database)
        .route("/v1/databases/{database}/claim", post(databases::claim))
        .route(
            "/v1/databases/{database}/credentials",
            get(databases::credentials),
        )
        .route("/v1/databases/{database}/rotate", post(databases::rotate))
        .route(
            "/v1/databases/{database}/undelete",
            post(databases::undelete),
        )
        .route("/v1/databases/{database}/start", post(databases::start))
        .route("/v1/databases/{database}/stop", post(databases::stop))
        .route("/v1/databases/{database}/restart", post(databases::restart))
        .route(
            "/v1/databases/{database}/operations",
            get(databases::operations),
        )
        .route("/v1/trash", get(trash::list))
        .route("/v1/trash/{database}", delete(trash::purge))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{token}", delete(tokens::revoke))
}

async fn no_route() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "route_not_found",
        "There is no such route: see /openapi.json",
    )
}

async fn no_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This route has no such method: see /openapi.json",
    )
}
