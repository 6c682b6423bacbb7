//! `ValidateProviderConfig`: whether the `provider` block makes sense.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::validate_provider_config::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ValidateProviderConfig";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let config = from_wire::object(self.config, &server.catalogue().provider)?;
        let diagnostics = server.validate_provider(config).await;
        Ok(Response {
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
