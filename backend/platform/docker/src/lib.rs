//! Docker as a container runtime; bollard stops here.
//!
//! Owns: the Engine API's bodies, what its errors mean, a stream of events that survives
//! breaks.
//! Refuses: instances, engines, host directories: those are rendered before they come here.

mod containers;
mod errors;
mod events;
mod images;
mod members;
mod networks;
mod stopping;

use berth_containers::{RuntimeError, RuntimeFacts};
use bollard::{ClientVersion, Docker as Client};
use errors::{Subject, meaning};
use std::sync::{Arc, OnceLock};
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

/// A Docker Engine. It is connected to call by call, so it may come and go, and need not be
/// there yet.
#[derive(Debug, Clone)]
pub struct Docker {
    path: String,
    client: Arc<OnceLock<Client>>,
    facts: Arc<OnceCell<RuntimeFacts>>,
}

/// An address at which no Docker Engine can be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("\"{address}\" is not the address of a Docker Engine: use unix:///path/to/its.sock")]
pub struct BadAddress {
    address: String,
}

impl Docker {
    /// The engine behind a Unix socket, given as an absolute path or a `unix://` URL.
    /// Nothing is asked of it yet; the socket may appear later.
    pub fn at(address: &str) -> Result<Self, BadAddress> {
        let path = address.strip_prefix("unix://").unwrap_or(address);
        if !path.starts_with('/') {
            return Err(BadAddress {
                address: address.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            client: Arc::default(),
            facts: Arc::default(),
        })
    }

    /// The client, once there is a socket for it.
    pub(crate) fn client(&self) -> Result<&Client, RuntimeError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = Client::connect_with_unix(&self.path, CALL_TIMEOUT_SECONDS, &OLDEST_API)
            .map_err(|e| RuntimeError::Unreachable { source: e.into() })?;
        Ok(self.client.get_or_init(|| made))
    }

    /// What the engine and its host are; asked once.
    pub(crate) async fn known_facts(&self) -> Result<&RuntimeFacts, RuntimeError> {
        self.facts
            .get_or_try_init(|| async {
                let act = "ask Docker what it is";
                let info = self
                    .client()?
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sockets_address_is_taken() {
        assert!(Docker::at("unix:///var/run/docker.sock").is_ok());
        assert!(Docker::at("/var/run/docker.sock").is_ok());
        for bad in ["tcp://127.0.0.1:2375", "docker.sock", ""] {
            assert!(Docker::at(bad).is_err(), "{bad}");
        }
    }
}
