//! Docker as a container runtime; bollard stops here.
//!
//! Owns: the Engine API's bodies, what its errors mean, a stream of events that survives
//! breaks.
//! Refuses: instances, engines, host directories: those are rendered before they come here.

mod containers;
mod errors;
mod events;
mod images;
mod networks;

use berth_containers::{RuntimeError, RuntimeFacts};
use bollard::{ClientVersion, Docker as Client};
use errors::{Subject, meaning};
use tokio::sync::OnceCell;

/// Longer than the longest stop: a call may wait for an engine that ends in good order.
const CALL_TIMEOUT_SECONDS: u64 = 180;
/// Docker 20.10's; every later engine still speaks it or says what it speaks.
const OLDEST_API: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};

const LABEL_INSTALLATION: &str = "berth.installation";
const LABEL_INSTANCE: &str = "berth.instance";
const LABEL_ROLE: &str = "berth.role";
const LABEL_SPEC: &str = "berth.spec";

/// A Docker Engine. It is connected to call by call, so it may come and go.
#[derive(Debug, Clone)]
pub struct Docker {
    client: Client,
    facts: std::sync::Arc<OnceCell<RuntimeFacts>>,
}

/// An address at which no Docker Engine can be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("\"{address}\" is not the address of a Docker Engine: use unix:///path/to/its.sock")]
pub struct BadAddress {
    address: String,
    source: bollard::errors::Error,
}

impl Docker {
    /// The engine behind a Unix socket, given as a path or a `unix://` URL. Nothing is
    /// asked of it yet.
    pub fn at(address: &str) -> Result<Self, BadAddress> {
        Client::connect_with_unix(address, CALL_TIMEOUT_SECONDS, &OLDEST_API)
            .map(|client| Self {
                client,
                facts: std::sync::Arc::default(),
            })
            .map_err(|source| BadAddress {
                address: address.to_owned(),
                source,
            })
    }

    /// What the engine and its host are; asked once.
    pub(crate) async fn known_facts(&self) -> Result<&RuntimeFacts, RuntimeError> {
        self.facts
            .get_or_try_init(|| async {
                let act = "ask Docker what it is";
                let info = self
                    .client
                    .info()
                    .await
                    .map_err(|e| meaning(act, Subject::Engine, e))?;
                let memory_bytes = info.mem_total.unwrap_or_default();
                Ok(RuntimeFacts {
                    name: "docker".to_owned(),
                    version: info.server_version.unwrap_or_default(),
                    cores: u32::try_from(info.ncpu.unwrap_or(1)).unwrap_or(1),
                    memory_mb: u64::try_from(memory_bytes).unwrap_or_default() / 1024 / 1024,
                })
            })
            .await
    }
}
