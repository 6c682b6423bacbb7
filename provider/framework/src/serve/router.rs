//! From a request's path to the service that answers it.

use std::convert::Infallible;

use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response as HttpResponse};
use tonic::codegen::{BoxFuture, Service};
use tonic::{Response, Status};

use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::{self, Health, HealthServer};
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::plugin::Empty;
use crate::proto::plugin::grpc_controller_server::{self, GrpcController, GrpcControllerServer};
use crate::proto::tfplugin6::provider_server::{self, ProviderServer};
use crate::rpc::Rpc;

/// What one message may hold; states and configurations of many megabytes exist.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The name under which the host's launcher asks for health.
const HEALTH_SERVICE: &str = "plugin";

/// The services of a provider process. There are no others; a host that tries gets
/// UNIMPLEMENTED, which it expects.
pub(super) struct Router {
    provider: ProviderServer<Rpc>,
    controller: GrpcControllerServer<Controller>,
    health: HealthServer<AlwaysServing>,
}

impl Router {
    /// `end` is cancelled when the host asks for the process to end.
    pub(super) fn new(rpc: Rpc, end: CancellationToken) -> Self {
        Self {
            provider: ProviderServer::new(rpc)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            controller: GrpcControllerServer::new(Controller { end }),
            health: HealthServer::new(AlwaysServing),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Router {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match request.uri().path().split('/').nth(1) {
            Some(provider_server::SERVICE_NAME) => self.provider.clone().call(request),
            Some(grpc_controller_server::SERVICE_NAME) => self.controller.clone().call(request),
            Some(health_server::SERVICE_NAME) => self.health.clone().call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("no such service").into_http()) }),
        }
    }
}

/// Answers the launcher, which wants a word before it kills.
struct Controller {
    end: CancellationToken,
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _request: tonic::Request<Empty>) -> Result<Response<Empty>, Status> {
        self.end.cancel();
        Ok(Response::new(Empty {}))
    }
}

/// A process that answers is a process that serves.
struct AlwaysServing;

#[tonic::async_trait]
impl Health for AlwaysServing {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" | HEALTH_SERVICE => Ok(Response::new(HealthCheckResponse {
                status: ServingStatus::Serving.into(),
            })),
            _ => Err(Status::not_found("no such service")),
        }
    }
}
