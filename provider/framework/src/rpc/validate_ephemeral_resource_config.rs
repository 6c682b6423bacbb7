//! `ValidateEphemeralResourceConfig`: whether an `ephemeral` block makes sense.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::validate_ephemeral_resource_config::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ValidateEphemeralResourceConfig";

    fn subject(&self) -> Subject<'_> {
        Subject::Ephemeral(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = &server.ephemeral(&self.type_name)?.schema;
        let config = from_wire::object(self.config, schema)?;
        let diagnostics = server.validate_ephemeral(&self.type_name, config).await;
        Ok(Response {
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
