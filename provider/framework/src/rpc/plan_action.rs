//! `PlanAction`: there are no actions yet.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::plan_action::{Request, Response};
use crate::server::ProviderServer;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "PlanAction";

    async fn answer(self, _server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        Err(super::not_offered("actions"))
    }
}
