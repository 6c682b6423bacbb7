//! The OpenAPI document, drawn from the routes and the bodies.

use crate::examples::Examples;
use crate::naming::Naming;
use crate::outcomes::Outcomes;
use crate::routes::{
    addon_providers, api_v1, databases, env, events, installation, members, operations, plan,
    project_database, projects, sleep, tokens, trash, users,
};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::Server;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "berth", description = "Managed databases on your own machines.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    modifiers(&Bearer, &Outcomes, &Naming, &Examples),
    paths(
        installation::healthz, installation::readyz, installation::metrics, installation::openapi,
        installation::version, installation::server, installation::catalogue,
        plan::plan, plan::snapshot, events::read, operations::read,
        projects::list, projects::create, projects::read, projects::update, projects::destroy, projects::claim, projects::undelete,
        sleep::sleep, sleep::wake,
        project_database::create, project_database::read, project_database::destroy,
        api_v1::list, api_v1::create, api_v1::read, api_v1::destroy, api_v1::credentials, addon_providers::list,
        databases::list, databases::create, databases::read, databases::update, databases::destroy,
        databases::claim, databases::credentials, databases::rotate, databases::undelete,
        databases::start, databases::stop, databases::restart, databases::operations,
        env::read, env::put, env::remove, env::versions, env::restore,
        trash::list, trash::projects, trash::purge, tokens::list, tokens::create, tokens::read, tokens::secret, tokens::update, tokens::revoke,
        members::list, members::read, members::put, members::remove,
        users::list, users::create, users::read, users::update, users::remove,
    )
)]
struct Berth;

/// Every route but the open ones takes a bearer token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new(
            "bearer",
            Vec::<String>::new(),
        )]);
    }
}

/// The document, for clients that find the API below `base_path`.
pub(crate) fn document(base_path: &str) -> Document {
    let mut document = Berth::openapi();
    if !base_path.is_empty() {
        document.servers = Some(vec![Server::new(base_path)]);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ROUTES;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document = serde_json::to_value(document("")).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let told: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<String> = ROUTES
            .iter()
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();
        assert_eq!(told, served);
    }
}
