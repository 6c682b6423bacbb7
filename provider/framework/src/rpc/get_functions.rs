//! `GetFunctions`: how the functions are called.

use std::sync::Arc;

use super::call::Call;
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::get_functions::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::to_wire;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "GetFunctions";

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let functions = server.catalogue().functions.iter();
        Ok(Response {
            functions: functions
                .map(|(name, entry)| (name.clone(), to_wire::function(&entry.signature)))
                .collect(),
            ..Response::default()
        })
    }
}
