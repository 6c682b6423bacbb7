//! `CloseEphemeralResource`: ends what lived for one run.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::close_ephemeral_resource::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::to_wire;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "CloseEphemeralResource";

    fn subject(&self) -> Subject<'_> {
        Subject::Ephemeral(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let private = self.private.unwrap_or_default();
        let diagnostics = server.close_ephemeral(&self.type_name, &private).await;
        Ok(Response {
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
