//! `ReadResource`: what an object looks like now.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::read_resource::{Request, Response};
use crate::server::{ProviderServer, ReadResource};
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ReadResource";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    fn known(&self) -> Response {
        Response {
            new_state: self.current_state.clone(),
            private: self.private.clone(),
            new_identity: self.current_identity.clone(),
            ..Response::default()
        }
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let entry = server.resource(&self.type_name)?;
        let request = ReadResource {
            state: from_wire::object(self.current_state, &entry.schema)?,
            private: self.private.into(),
            identity: from_wire::identity(self.current_identity, entry.identity.as_ref())?,
            capabilities: from_wire::capabilities(self.client_capabilities),
            type_name: self.type_name,
        };
        let read = server.read_resource(request).await;
        Ok(Response {
            new_state: Some(to_wire::object(&read.state, &entry.schema)?),
            private: read.private.into(),
            new_identity: to_wire::identity(read.identity.as_ref(), entry.identity.as_ref())?,
            diagnostics: to_wire::diagnostics(&read.diagnostics),
            deferred: None,
        })
    }
}
