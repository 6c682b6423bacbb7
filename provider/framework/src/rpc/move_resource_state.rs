//! `MoveResourceState`: refused until there is a type to move from.

use std::sync::Arc;

use super::call::{Call, Subject};
use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6::move_resource_state::{Request, Response};
use crate::server::ProviderServer;

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "MoveResourceState";

    fn subject(&self) -> Subject<'_> {
        Subject::Resource(&self.target_type_name)
    }

    async fn answer(self, _server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        Err(Diagnostic::error(
            "Move between resource types is not supported",
            format!(
                "The state of a {} cannot become that of a {}. Only the state would move, the \
                 object would not: remove the old resource from the state and import the new one.",
                self.source_type_name, self.target_type_name
            ),
        ))
    }
}
