//! One file per call of the protocol: decode, delegate, encode.
//!
//! Owns: that every call gets an answer, and that what was known of an object stays in it.
//! Refuses: behaviour. That belongs to `server`, which knows nothing of messages.

mod call;

use std::sync::Arc;

use crate::proto::tfplugin6::provider_server::Provider as Protocol;
use crate::serve::Handlers;
use crate::server::ProviderServer;

/// Answers the host's calls out of a [`ProviderServer`].
pub(crate) struct Rpc {
    server: Arc<ProviderServer>,
    handlers: Handlers,
    calls: std::sync::atomic::AtomicU64,
}

impl Rpc {
    pub(crate) fn new(server: Arc<ProviderServer>, handlers: Handlers) -> Self {
        Self {
            server,
            handlers,
            calls: std::sync::atomic::AtomicU64::new(0),
        }
    }
}

#[tonic::async_trait]
impl Protocol for Rpc {}
