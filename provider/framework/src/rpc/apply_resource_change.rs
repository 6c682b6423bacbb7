//! `ApplyResourceChange`: creates, changes or takes away.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::apply_resource_change::{Request, Response};
use crate::server::{ApplyResource, ProviderServer};
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ApplyResourceChange";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    /// What was there before: the host would otherwise forget the object.
    fn known(&self) -> Response {
        Response {
            new_state: self.prior_state.clone(),
            private: self.planned_private.clone(),
            new_identity: self.planned_identity.clone(),
            ..Response::default()
        }
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let entry = server.resource(&self.type_name)?;
        let request = ApplyResource {
            prior: from_wire::object(self.prior_state, &entry.schema)?,
            planned: from_wire::object(self.planned_state, &entry.schema)?,
            config: from_wire::object(self.config, &entry.schema)?,
            private: self.planned_private.into(),
            identity: from_wire::identity(self.planned_identity, entry.identity.as_ref())?,
            type_name: self.type_name,
        };
        let applied = server.apply_resource(request).await;
        Ok(Response {
            new_state: Some(to_wire::object(&applied.state, &entry.schema)?),
            private: applied.private.into(),
            new_identity: to_wire::identity(applied.identity.as_ref(), entry.identity.as_ref())?,
            diagnostics: to_wire::diagnostics(&applied.diagnostics),
            legacy_type_system: false,
        })
    }
}
