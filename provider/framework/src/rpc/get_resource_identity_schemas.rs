//! `GetResourceIdentitySchemas`: what names objects for as long as they live.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::get_resource_identity_schemas::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::to_wire;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "GetResourceIdentitySchemas";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let resources = server.catalogue().resources.iter();
        Ok(Response {
            identity_schemas: resources
                .filter_map(|(name, entry)| {
                    let schema = entry.identity.as_ref()?;
                    Some((name.clone(), to_wire::identity_schema(schema)))
                })
                .collect(),
            ..Response::default()
        })
    }
}
