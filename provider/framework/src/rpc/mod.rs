//! One file per call of the protocol: decode, delegate, encode.
//!
//! Owns: that every call gets an answer, and that what was known of an object stays in it.
//! Refuses: behaviour. That belongs to `server`, which knows nothing of messages.

mod call;
mod generate_resource_config;
mod get_functions;
mod get_metadata;
mod get_resource_identity_schemas;
mod invoke_action;
mod list_resource;
mod move_resource_state;
mod plan_action;
mod validate_action_config;
mod validate_list_resource_config;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6 as proto;
use crate::serve::Handlers;
use crate::server::ProviderServer;

type Answer<T> = Result<Response<T>, Status>;

/// Answers the host's calls out of a [`ProviderServer`].
pub(crate) struct Rpc {
    server: Arc<ProviderServer>,
    handlers: Handlers,
    calls: AtomicU64,
}

impl Rpc {
    pub(crate) fn new(server: Arc<ProviderServer>, handlers: Handlers) -> Self {
        Self {
            server,
            handlers,
            calls: AtomicU64::new(0),
        }
    }
}

/// What every provider made with this framework can do.
fn capabilities() -> proto::ServerCapabilities {
    proto::ServerCapabilities {
        // Warnings and refusals of a destroy belong in its plan.
        plan_destroy: true,
        // Each call builds what it needs, so the host may ask once a command.
        get_provider_schema_optional: true,
        move_resource_state: false,
        generate_resource_config: false,
    }
}

fn not_offered(what: &str) -> Diagnostic {
    Diagnostic::error(
        "Not offered by this provider",
        format!("This version of the provider does not offer {what}."),
    )
}

fn single<T: Send + 'static>(event: T) -> Answer<BoxStream<T>> {
    Ok(Response::new(Box::pin(tokio_stream::once(Ok(event)))))
}

/// State stores are left to the default, which is UNIMPLEMENTED: no schema offers one.
#[tonic::async_trait]
impl proto::provider_server::Provider for Rpc {
    /// Not a handler, and on the transport's thread: a handler that blocks must not delay it.
    async fn stop_provider(
        &self,
        _request: Request<proto::stop_provider::Request>,
    ) -> Answer<proto::stop_provider::Response> {
        tracing::debug!("the user wants to stop");
        self.server.stop();
        Ok(Response::new(proto::stop_provider::Response::default()))
    }

    async fn list_resource(
        &self,
        _request: Request<proto::list_resource::Request>,
    ) -> Answer<BoxStream<proto::list_resource::Event>> {
        single(list_resource::refuse())
    }

    async fn invoke_action(
        &self,
        _request: Request<proto::invoke_action::Request>,
    ) -> Answer<BoxStream<proto::invoke_action::Event>> {
        single(invoke_action::refuse())
    }

    async fn get_metadata(
        &self,
        request: Request<proto::get_metadata::Request>,
    ) -> Answer<proto::get_metadata::Response> {
        self.call(request).await
    }

    async fn get_resource_identity_schemas(
        &self,
        request: Request<proto::get_resource_identity_schemas::Request>,
    ) -> Answer<proto::get_resource_identity_schemas::Response> {
        self.call(request).await
    }

    async fn move_resource_state(
        &self,
        request: Request<proto::move_resource_state::Request>,
    ) -> Answer<proto::move_resource_state::Response> {
        self.call(request).await
    }

    async fn generate_resource_config(
        &self,
        request: Request<proto::generate_resource_config::Request>,
    ) -> Answer<proto::generate_resource_config::Response> {
        self.call(request).await
    }

    async fn validate_list_resource_config(
        &self,
        request: Request<proto::validate_list_resource_config::Request>,
    ) -> Answer<proto::validate_list_resource_config::Response> {
        self.call(request).await
    }

    async fn get_functions(
        &self,
        request: Request<proto::get_functions::Request>,
    ) -> Answer<proto::get_functions::Response> {
        self.call(request).await
    }

    async fn validate_action_config(
        &self,
        request: Request<proto::validate_action_config::Request>,
    ) -> Answer<proto::validate_action_config::Response> {
        self.call(request).await
    }

    async fn plan_action(
        &self,
        request: Request<proto::plan_action::Request>,
    ) -> Answer<proto::plan_action::Response> {
        self.call(request).await
    }
}
