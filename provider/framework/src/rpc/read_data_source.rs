//! `ReadDataSource`: looks something up.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::read_data_source::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "ReadDataSource";

    fn subject(&self) -> Subject<'_> {
        Subject::DataSource(&self.type_name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let schema = &server.data_source(&self.type_name)?.schema;
        let config = from_wire::object(self.config, schema)?;
        let (state, diagnostics) = server.read_data_source(&self.type_name, config).await;
        Ok(Response {
            state: Some(to_wire::object(&state, schema)?),
            diagnostics: to_wire::diagnostics(&diagnostics),
            deferred: None,
        })
    }
}
