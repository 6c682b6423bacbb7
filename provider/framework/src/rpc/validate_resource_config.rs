//! `ValidateResourceConfig`: whether a `resource` block makes sense.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::validate_resource_config::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ValidateResourceConfig";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = &server.resource(&self.type_name)?.schema;
        let config = from_wire::object(self.config, schema)?;
        let capabilities = from_wire::capabilities(self.client_capabilities);
        let diagnostics = server
            .validate_resource(&self.type_name, config, capabilities)
            .await;
        Ok(Response {
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
