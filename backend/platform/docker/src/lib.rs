//! Docker as a container runtime; bollard stops here.
//!
//! Owns: the Engine API's bodies, what its errors mean, a stream of events that survives
//! breaks.
//! Refuses: instances, engines, host directories: those are rendered before they come here.

mod api;
mod containers;
mod errors;
mod events;
mod images;
mod members;
mod networks;
mod stopping;

use berth_containers::{RuntimeError, RuntimeFacts};
use bollard::{API_DEFAULT_VERSION, Docker as Client};
use errors::{Subject, meaning};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::OnceCell;

/// Longer than the longest stop: a call may wait for an engine that ends in good order.
const CALL_TIMEOUT_SECONDS: u64 = 180;

const LABEL_INSTALLATION: &str = "berth.installation";
const LABEL_INSTANCE: &str = "berth.instance";
const LABEL_ROLE: &str = "berth.role";
const LABEL_SPEC: &str = "berth.spec";

/// A Docker Engine. It is connected to call by call, so it may come and go, and need not be
/// there yet.
#[derive(Debug, Clone)]
pub struct Docker {
    path: String,
    /// What speaks in the version that was agreed on last; none before the first time.
    agreed: Arc<RwLock<Option<Client>>>,
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
            agreed: Arc::default(),
            facts: Arc::default(),
        })
    }

    /// The client, once the engine has said what it speaks.
    pub(crate) async fn client(&self) -> Result<Client, RuntimeError> {
        match self.agreed() {
            Some(client) => Ok(client),
            None => self.agree().await,
        }
    }

    fn agreed(&self) -> Option<Client> {
        let agreed = self.agreed.read().unwrap_or_else(PoisonError::into_inner);
        agreed.clone()
    }

    /// Asks the engine which versions of its API it speaks, and speaks one of them from now on.
    /// An engine may be replaced by another at any time: whoever begins to listen to it asks,
    /// since its end breaks off what was listened to, and whoever asks how it is.
    pub(crate) async fn agree(&self) -> Result<Client, RuntimeError> {
        let connect = || {
            Client::connect_with_unix(&self.path, CALL_TIMEOUT_SECONDS, API_DEFAULT_VERSION)
                .map_err(|e| RuntimeError::Unreachable { source: e.into() })
        };
        let act = "ask Docker which versions of its API it speaks";
        let told = connect()?.version().await;
        let told = told.map_err(|e| meaning(act, Subject::Engine, e))?;
        let chosen = api::choose(told.min_api_version.as_deref(), told.api_version.as_deref());
        let agreed = match chosen {
            Ok(version) => connect().map(|c| c.with_request_modifier(api::in_version(version))),
            Err(error) => Err(error),
        };
        let mut kept = self.agreed.write().unwrap_or_else(PoisonError::into_inner);
        *kept = agreed.as_ref().ok().cloned();
        agreed
    }

    /// What the engine and its host are; asked once.
    pub(crate) async fn known_facts(&self) -> Result<&RuntimeFacts, RuntimeError> {
        self.facts
            .get_or_try_init(|| async {
                let act = "ask Docker what it is";
                let info = self
                    .client()
                    .await?
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
