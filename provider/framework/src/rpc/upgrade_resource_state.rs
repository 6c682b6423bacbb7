//! `UpgradeResourceState`: a stored state, whatever its age, as one of today.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::upgrade_resource_state::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "UpgradeResourceState";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = &server.resource(&self.type_name)?.schema;
        let stored = from_wire::raw_state(self.raw_state)?;
        let (state, diagnostics) = server
            .upgrade_resource(&self.type_name, self.version, &stored)
            .await;
        Ok(Response {
            upgraded_state: Some(to_wire::object(&state, schema)?),
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
