//! Routes joined to their handlers and their layers.

use crate::error::Refusal;
use crate::routes::{
    addon_providers, api_v1, databases, env, events, installation, members, operations, plan,
    project_database, projects, sleep, tokens, trash, users,
};
use crate::state::{Door, State};
use crate::{Config, answers, layers, outside};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::{delete, get, post, put};
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
    layered(routes(), state)
}

fn layered(routes: Router<Arc<State>>, state: State) -> Router {
    let state = Arc::new(state);
    let [outer, middle, inner, innermost] = std::array::from_fn(|_| Arc::clone(&state));
    let config = state.config.clone();
    let routes = routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(move |request: Request, next: Next| {
            answers::bounded(Arc::clone(&innermost), request, next)
        }))
        .layer(from_fn(move |request: Request, next: Next| {
            layers::admit(Arc::clone(&inner), request, next)
        }))
        .layer(from_fn(move |request: Request, next: Next| {
            layers::bounded(Arc::clone(&middle), request, next)
        }));
    // Whoever may ask from another page may read every answer, those included that no route gave.
    let router = outside::shared(routes, &config)
        .layer(from_fn(move |request: Request, next: Next| {
            layers::envelope(Arc::clone(&outer), request, next)
        }))
        .with_state(state);
    outside::around(router, &config)
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
        .route("/v1/projects/{project}/env", get(env::read))
        .route(
            "/v1/projects/{project}/env/{name}",
            put(env::put).delete(env::remove),
        )
        .route("/v1/projects/{project}/env_versions", get(env::versions))
        .route(
            "/v1/projects/{project}/env/{name}/restore",
            post(env::restore),
        )
        .route("/v1/projects/{project}/undelete", post(projects::undelete))
        .route("/v1/projects/{project}/sleep", post(sleep::sleep))
        .route("/v1/projects/{project}/wake", post(sleep::wake))
        .merge(people())
        .merge(dialects())
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
        .route("/v1/trash/projects", get(trash::projects))
        .route("/v1/trash/{database}", delete(trash::purge))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route(
            "/v1/tokens/{token}",
            get(tokens::read)
                .patch(tokens::update)
                .delete(tokens::revoke),
        )
}

/// Who there is, and who may do what where.
fn people() -> Router<Arc<State>> {
    let member = get(members::read).put(members::put).delete(members::remove);
    let user = get(users::read).patch(users::update).delete(users::remove);
    Router::new()
        .route("/v1/projects/{project}/members", get(members::list))
        .route("/v1/projects/{project}/members/{user}", member)
        .route("/v1/tokens/{token}/secret", get(tokens::secret))
        .route("/v1/users", get(users::list).post(users::create))
        .route("/v1/users/{user}", user)
}

/// The same nouns in other platforms' words.
fn dialects() -> Router<Arc<State>> {
    let own = get(project_database::read)
        .post(project_database::create)
        .delete(project_database::destroy);
    Router::new()
        .route("/v1/projects/{project}/database", own)
        .route("/v1/addon_providers", get(addon_providers::list))
        .route("/api/v1/databases", get(api_v1::list).post(api_v1::create))
        .route(
            "/api/v1/databases/{database}",
            get(api_v1::read).delete(api_v1::destroy),
        )
        .route(
            "/api/v1/databases/{database}/credentials",
            get(api_v1::credentials),
        )
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use berth_domain::{Addresses, Catalogue, Clock, EngineName, InstallationId, Timestamp};
    use berth_services::databases::{Limits, Rules};
    use berth_services::{HostCapacity, ImageState, Outside, Parts, SystemEntropy};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    struct Nothing;

    #[async_trait::async_trait]
    impl Outside for Nothing {
        async fn image(&self, _: &EngineName, _: &str) -> ImageState {
            ImageState::Available
        }

        async fn host(&self) -> Option<HostCapacity> {
            None
        }

        fn port_is_free(&self, _: u16) -> bool {
            true
        }
    }

    impl Clock for Nothing {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }
    }

    async fn state(directory: &tempfile::TempDir) -> State {
        let url = format!("sqlite:{}", directory.path().join("berth.sqlite").display());
        let keys = berth_store::Keys::from_root([7; 32]);
        let installation = InstallationId::parse("0123abcd").unwrap();
        let services = Services::new(Parts {
            store: berth_store::Store::open(&url, &installation, keys)
                .await
                .unwrap(),
            rules: Rules {
                engines: berth_engines::Registry::all(),
                catalogue: Catalogue {
                    plans: Vec::new(),
                    regions: Vec::new(),
                },
                addresses: Addresses::new("berth", installation, "127.0.0.1").unwrap(),
                limits: Limits::default(),
                ca_certificate: String::new(),
            },
            clock: Arc::new(Nothing),
            entropy: Arc::new(SystemEntropy),
            outside: Arc::new(Nothing),
            wake: Arc::default(),
            runtime: "fake".to_owned(),
            version: "0".to_owned(),
        });
        State::new(Arc::new(services), Config::default(), Door::Local)
    }

    async fn broken() -> StatusCode {
        panic!("a sentence that nobody outside may read")
    }

    /// What is answered on `path` where the handler ends in a panic.
    async fn answer(path: &str) -> (StatusCode, String) {
        let directory = tempfile::tempdir().unwrap();
        let routes = Router::new().route(path, get(broken));
        let router = layered(routes, state(&directory).await);
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_says_nothing_of_it() {
        let (status, text) = answer("/healthz").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            text.contains("internal_error") && text.contains("request_id"),
            "{text}"
        );
        assert!(!text.contains("nobody outside"), "{text}");
    }

    #[tokio::test]
    async fn a_route_without_a_line_in_the_table_is_closed() {
        // Its handler would panic; it is not even called.
        let (status, text) = answer("/v1/forgotten").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(text.contains("route_closed"), "{text}");
    }
}
