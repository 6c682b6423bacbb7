//! `ImportResourceState`: an object that exists already, found by id or identity.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::import_resource_state::{ImportedResource, Request, Response};
use crate::server::{ImportResource, ProviderServer};
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ImportResourceState";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let entry = server.resource(&self.type_name)?;
        let request = ImportResource {
            type_name: self.type_name.clone(),
            id: self.id,
            identity: from_wire::identity(self.identity, entry.identity.as_ref())?,
            capabilities: from_wire::capabilities(self.client_capabilities),
        };
        let found = server.import_resource(request).await;
        let mut reply = Response {
            diagnostics: to_wire::diagnostics(&found.diagnostics),
            ..Response::default()
        };
        // Null among the imported is an error of the host's own, which would hide ours.
        if !found.state.is_null() {
            reply.imported_resources.push(ImportedResource {
                type_name: self.type_name,
                state: Some(to_wire::object(&found.state, &entry.schema)?),
                private: found.private.into(),
                identity: to_wire::identity(found.identity.as_ref(), entry.identity.as_ref())?,
            });
        }
        Ok(reply)
    }
}
