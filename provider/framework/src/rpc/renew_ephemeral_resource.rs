//! `RenewEphemeralResource`: makes it live longer.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::renew_ephemeral_resource::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::to_wire;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "RenewEphemeralResource";

    fn subject(&self) -> Subject<'_> {
        Subject::Ephemeral(&self.type_name)
    }

    fn known(&self) -> Response {
        Response {
            private: self.private.clone(),
            ..Response::default()
        }
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let private = self.private.unwrap_or_default();
        let renewed = server.renew_ephemeral(&self.type_name, &private).await;
        Ok(Response {
            private: Some(renewed.private.into()),
            renew_at: renewed.renew_at.map(to_wire::moment),
            diagnostics: to_wire::diagnostics(&renewed.diagnostics),
        })
    }
}
