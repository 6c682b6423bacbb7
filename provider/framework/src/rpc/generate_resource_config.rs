//! `GenerateResourceConfig`: left to the host, which knows which attributes to leave out.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::generate_resource_config::{Request, Response};
use crate::server::ProviderServer;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "GenerateResourceConfig";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    async fn answer(self, _server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        Err(super::not_offered("to write configurations"))
    }
}
