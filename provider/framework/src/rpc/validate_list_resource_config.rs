//! `ValidateListResourceConfig`: there is nothing to list yet.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::validate_list_resource_config::{Request, Response};
use crate::server::ProviderServer;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ValidateListResourceConfig";

    async fn answer(self, _server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        Err(super::not_offered("to list objects"))
    }
}
