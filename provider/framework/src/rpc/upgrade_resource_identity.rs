//! `UpgradeResourceIdentity`: a stored identity, whatever its age, as one of today.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::upgrade_resource_identity::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "UpgradeResourceIdentity";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = server.resource(&self.type_name)?.identity.as_ref();
        let stored = from_wire::raw_state(self.raw_identity)?;
        let (identity, diagnostics) = server
            .upgrade_identity(&self.type_name, self.version, &stored)
            .await;
        Ok(Response {
            upgraded_identity: to_wire::identity(Some(&identity), schema)?,
            diagnostics: to_wire::diagnostics(&diagnostics),
        })
    }
}
