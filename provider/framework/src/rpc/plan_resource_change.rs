//! `PlanResourceChange`: what an apply would do.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::plan_resource_change::{Request, Response};
use crate::server::{PlanResource, ProviderServer};
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "PlanResourceChange";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    fn known(&self) -> Response {
        Response {
            planned_private: self.prior_private.clone(),
            planned_identity: self.prior_identity.clone(),
            ..Response::default()
        }
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let entry = server.resource(&self.type_name)?;
        let request = PlanResource {
            prior: from_wire::object(self.prior_state, &entry.schema)?,
            proposed: from_wire::object(self.proposed_new_state, &entry.schema)?,
            config: from_wire::object(self.config, &entry.schema)?,
            private: self.prior_private.into(),
            identity: from_wire::identity(self.prior_identity, entry.identity.as_ref())?,
            capabilities: from_wire::capabilities(self.client_capabilities),
            type_name: self.type_name,
        };
        let plan = server.plan_resource(request).await;
        Ok(Response {
            planned_state: Some(to_wire::object(&plan.planned, &entry.schema)?),
            requires_replace: plan.requires_replace.iter().map(to_wire::path).collect(),
            planned_private: plan.private.into(),
            planned_identity: to_wire::identity(plan.identity.as_ref(), entry.identity.as_ref())?,
            diagnostics: to_wire::diagnostics(&plan.diagnostics),
            ..Response::default()
        })
    }
}
