//! `OpenEphemeralResource`: makes what lives for one run.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::open_ephemeral_resource::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "OpenEphemeralResource";

    fn subject(&self) -> Subject<'_> {
        Subject::Ephemeral(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = &server.ephemeral(&self.type_name)?.schema;
        let config = from_wire::object(self.config, schema)?;
        let opened = server.open_ephemeral(&self.type_name, config).await;
        Ok(Response {
            result: Some(to_wire::object(&opened.result, schema)?),
            private: Some(opened.private.into()),
            renew_at: opened.renew_at.map(to_wire::moment),
            diagnostics: to_wire::diagnostics(&opened.diagnostics),
            deferred: None,
        })
    }
}
