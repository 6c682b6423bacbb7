//! `GetMetadata`: what there is, without the schemas.

use std::sync::Arc;

use super::call::Call;
use super::capabilities;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::get_metadata::{
    DataSourceMetadata, EphemeralMetadata, FunctionMetadata, Request, ResourceMetadata, Response,
};
use crate::server::ProviderServer;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "GetMetadata";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let offered = server.catalogue();
        let type_name = |name: &String| name.clone();
        Ok(Response {
            server_capabilities: Some(capabilities()),
            resources: offered
                .resources
                .keys()
                .map(|name| ResourceMetadata {
                    type_name: type_name(name),
                })
                .collect(),
            data_sources: offered
                .data_sources
                .keys()
                .map(|name| DataSourceMetadata {
                    type_name: type_name(name),
                })
                .collect(),
            ephemeral_resources: offered
                .ephemeral_resources
                .keys()
                .map(|name| EphemeralMetadata {
                    type_name: type_name(name),
                })
                .collect(),
            functions: offered
                .functions
                .keys()
                .map(|name| FunctionMetadata { name: name.clone() })
                .collect(),
            ..Response::default()
        })
    }
}
