//! Which right each route needs: all of them, in one table.

use axum::http::Method;
use berth_domain::Scope;
use berth_services::Caller;

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing, not even a token.
    Nothing,
    /// Nothing either, for those who watch whether berthd is well.
    Watching,
    /// A right.
    Right(Scope),
    /// Real credentials for some, inert ones for others; the services tell them apart.
    CredentialsOrPlan,
    /// Real secrets of tokens for some, inert ones for others.
    AdminOrPlan,
}

use Need::{AdminOrPlan, CredentialsOrPlan, Nothing, Right, Watching};

const READ: Need = Right(Scope::Read);
const WRITE: Need = Right(Scope::Write);
const ADMIN: Need = Right(Scope::Admin);

/// Method, path and need of every route. A route that is not here is closed.
pub(crate) const ROUTES: &[(Method, &str, Need)] = &[
    (Method::GET, "/healthz", Watching),
    (Method::GET, "/readyz", Watching),
    (Method::GET, "/metrics", Nothing),
    (Method::GET, "/openapi.json", Nothing),
    (Method::GET, "/v1/version", Nothing),
    (Method::GET, "/v1/server", READ),
    (Method::GET, "/v1/catalogue", READ),
    (Method::POST, "/v1/plan", Right(Scope::Plan)),
    (Method::GET, "/v1/snapshot", READ),
    (Method::GET, "/v1/events", READ),
    (Method::GET, "/v1/operations/{operation}", READ),
    (Method::GET, "/v1/projects", READ),
    (Method::POST, "/v1/projects", WRITE),
    (Method::GET, "/v1/projects/{project}", READ),
    (Method::PATCH, "/v1/projects/{project}", WRITE),
    (Method::DELETE, "/v1/projects/{project}", WRITE),
    (Method::POST, "/v1/projects/{project}/claim", WRITE),
    (Method::POST, "/v1/projects/{project}/undelete", WRITE),
    (Method::POST, "/v1/projects/{project}/sleep", WRITE),
    (Method::POST, "/v1/projects/{project}/wake", WRITE),
    (Method::POST, "/v1/projects/{project}/database", WRITE),
    (Method::GET, "/v1/projects/{project}/database", READ),
    (Method::DELETE, "/v1/projects/{project}/database", WRITE),
    (Method::GET, "/v1/addon_providers", READ),
    (Method::GET, "/api/v1/databases", READ),
    (Method::POST, "/api/v1/databases", WRITE),
    (Method::GET, "/api/v1/databases/{database}", READ),
    (Method::DELETE, "/api/v1/databases/{database}", WRITE),
    (
        Method::GET,
        "/api/v1/databases/{database}/credentials",
        Right(Scope::Credentials),
    ),
    (Method::GET, "/v1/projects/{project}/env", READ),
    (Method::PUT, "/v1/projects/{project}/env/{name}", WRITE),
    (Method::DELETE, "/v1/projects/{project}/env/{name}", WRITE),
    (Method::GET, "/v1/projects/{project}/env_versions", READ),
    (
        Method::POST,
        "/v1/projects/{project}/env/{name}/restore",
        WRITE,
    ),
    (Method::GET, "/v1/databases", READ),
    (Method::POST, "/v1/databases", WRITE),
    (Method::GET, "/v1/databases/{database}", READ),
    (Method::PATCH, "/v1/databases/{database}", WRITE),
    (Method::DELETE, "/v1/databases/{database}", WRITE),
    (Method::POST, "/v1/databases/{database}/claim", WRITE),
    (
        Method::GET,
        "/v1/databases/{database}/credentials",
        CredentialsOrPlan,
    ),
    (Method::POST, "/v1/databases/{database}/rotate", WRITE),
    (Method::POST, "/v1/databases/{database}/undelete", WRITE),
    (Method::POST, "/v1/databases/{database}/start", WRITE),
    (Method::POST, "/v1/databases/{database}/stop", WRITE),
    (Method::POST, "/v1/databases/{database}/restart", WRITE),
    (Method::GET, "/v1/databases/{database}/operations", READ),
    (Method::GET, "/v1/trash", READ),
    (Method::GET, "/v1/trash/projects", READ),
    (
        Method::DELETE,
        "/v1/trash/{database}",
        Right(Scope::Unprotect),
    ),
    (Method::GET, "/v1/projects/{project}/members", READ),
    (Method::GET, "/v1/projects/{project}/members/{user}", READ),
    (Method::PUT, "/v1/projects/{project}/members/{user}", ADMIN),
    (
        Method::DELETE,
        "/v1/projects/{project}/members/{user}",
        ADMIN,
    ),
    (Method::GET, "/v1/users", ADMIN),
    (Method::POST, "/v1/users", ADMIN),
    (Method::GET, "/v1/users/{user}", ADMIN),
    (Method::PATCH, "/v1/users/{user}", ADMIN),
    (Method::DELETE, "/v1/users/{user}", ADMIN),
    (Method::GET, "/v1/tokens", ADMIN),
    (Method::POST, "/v1/tokens", ADMIN),
    (Method::GET, "/v1/tokens/{token}", ADMIN),
    (Method::GET, "/v1/tokens/{token}/secret", AdminOrPlan),
    (Method::PATCH, "/v1/tokens/{token}", ADMIN),
    (Method::DELETE, "/v1/tokens/{token}", ADMIN),
];

/// What that route needs; none when there is no such route.
pub(crate) fn need(method: &Method, path: &str) -> Option<Need> {
    // Whoever may read a body may read its head.
    let method = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    ROUTES
        .iter()
        .find(|(m, p, _)| m == method && *p == path)
        .map(|(_, _, need)| *need)
}

impl Need {
    /// Whether no token is needed.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Nothing | Watching)
    }
}

/// The caller of a request with a need, which the services look at again in each project.
pub(crate) fn asking(need: Need, caller: Caller) -> Caller {
    match need {
        Right(scope) => caller.asking(scope),
        Nothing | Watching | CredentialsOrPlan | AdminOrPlan => caller,
    }
}

/// The right that a caller lacks for a need.
pub(crate) fn lacking(need: Need, caller: &Caller) -> Option<Scope> {
    match need {
        Nothing | Watching => None,
        Right(scope) => (!caller.scopes.allow(scope)).then_some(scope),
        CredentialsOrPlan => lacking_both(caller, Scope::Credentials),
        AdminOrPlan => lacking_both(caller, Scope::Admin),
    }
}

/// `right`, for a caller that has neither it nor the right to plan.
fn lacking_both(caller: &Caller, right: Scope) -> Option<Scope> {
    let any = [right, Scope::Plan].iter().any(|s| caller.scopes.allow(*s));
    (!any).then_some(right)
}
