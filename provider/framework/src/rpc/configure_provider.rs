//! `ConfigureProvider`: the configuration that all further calls rely on.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::configure_provider::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ConfigureProvider";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let config = from_wire::object(self.config, &server.catalogue().provider)?;
        let capabilities = from_wire::capabilities(self.client_capabilities);
        let diagnostics = server
            .configure(config, &self.terraform_version, capabilities)
            .await;
        Ok(Response {
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
