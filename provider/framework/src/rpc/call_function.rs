//! `CallFunction`: computes.

use std::sync::Arc;

use super::call::{Call, Reply, Subject};
use crate::diagnostics::Diagnostic;
use crate::function::FunctionError;
use crate::proto::tfplugin6::call_function::{Request, Response};
use crate::server::ProviderServer;
use crate::wire::{from_wire, to_wire};

impl Reply for Response {
    fn blame(&mut self, diagnostic: Diagnostic) {
        let text = format!("{}: {}", diagnostic.summary, diagnostic.detail);
        self.error = Some(to_wire::function_error(&FunctionError::new(text)));
    }
}

impl Call for Request {
    type Reply = Response;
    const NAME: &'static str = "CallFunction";

    fn subject(&self) -> Subject<'_> {
        Subject::Function(&self.name)
    }

    async fn answer(self, server: Arc<ProviderServer>) -> Result<Response, Diagnostic> {
        let Some(entry) = server.catalogue().functions.get(&self.name) else {
            return Err(Diagnostic::error(
                "Unknown function",
                format!("This provider offers no function named {}.", self.name),
            ));
        };
        let arguments = self.arguments.into_iter().enumerate();
        let arguments = arguments
            .map(
                |(position, message)| match entry.signature.parameter(position) {
                    Some(parameter) => from_wire::value(Some(message), &parameter.ty),
                    None => Err(Diagnostic::error(
                        "Too many arguments",
                        "The function takes fewer.",
                    )),
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        match server.call_function(&self.name, arguments) {
            Ok(result) => Ok(Response {
                result: Some(to_wire::value(&result, entry.signature.returns())?),
                error: None,
            }),
            Err(error) => Ok(Response {
                result: None,
                error: Some(to_wire::function_error(&error)),
            }),
        }
    }
}
