//! Messages and services as they cross the wire, generated from `proto/`.
//!
//! Authors never meet them. They are public for programs that speak the host's part: tests and
//! benches.

/// The provider protocol.
pub mod tfplugin6 {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::unwrap_used,
        reason = "generated from tfplugin6.proto, which has the comments"
    )]
    tonic::include_proto!("tfplugin6");
}

/// The launcher's controller.
pub mod plugin {
    #![allow(
        missing_docs,
        clippy::all,
        reason = "generated from plugin.proto, which has the comments"
    )]
    tonic::include_proto!("plugin");
}

/// Health.
pub mod health {
    #![allow(
        missing_docs,
        clippy::all,
        reason = "generated from health.proto, which has the comments"
    )]
    tonic::include_proto!("grpc.health.v1");
}
