//! `GetProviderSchema`: everything the provider offers.

use std::sync::Arc;

use super::call::Call;
use super::capabilities;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::get_provider_schema::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::to_wire;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "GetProviderSchema";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let offered = server.catalogue();
        let resources = offered.resources.iter();
        let data_sources = offered.data_sources.iter();
        let ephemeral_resources = offered.ephemeral_resources.iter();
        let functions = offered.functions.iter();
        Ok(Response {
            provider: Some(to_wire::schema(&offered.provider)),
            resource_schemas: resources
                .map(|(name, entry)| (name.clone(), to_wire::schema(&entry.schema)))
                .collect(),
            data_source_schemas: data_sources
                .map(|(name, entry)| (name.clone(), to_wire::schema(&entry.schema)))
                .collect(),
            ephemeral_resource_schemas: ephemeral_resources
                .map(|(name, entry)| (name.clone(), to_wire::schema(&entry.schema)))
                .collect(),
            functions: functions
                .map(|(name, entry)| (name.clone(), to_wire::function(&entry.signature)))
                .collect(),
            diagnostics: to_wire::diagnostics(&server.check_schemas()),
            server_capabilities: Some(capabilities()),
            ..Response::default()
        })
    }
}
