//! What all routes share.

use crate::Config;
use crate::answers::Answers;
use crate::holds::Holds;
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::openapi;
use crate::reading::Turns;
use crate::strangers::Strangers;
use axum::body::Bytes;
use berth_domain::TokenId;
use berth_services::Services;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Streams of events of one token.
const STREAMS_OF_ONE_MAX: usize = 16;
/// Streams take one place in so many, all together.
const STREAMS_SHARE: usize = 4;
/// Requests of one token that wait for an operation.
const WAITS_OF_ONE_MAX: usize = 256;
/// They take one place in so many, all together.
const WAITS_SHARE: usize = 4;
/// Requests of one token whose body is still to come.
const BODIES_OF_ONE_MAX: usize = 256;
/// They take one place in so many, all together.
const BODIES_SHARE: usize = 4;
/// Snapshots that are read and written down at the same time; each may be all that there is.
const SNAPSHOTS_AT_ONCE: usize = 2;
/// The same of one token: whoever asks for many waits for itself.
const SNAPSHOTS_OF_ONE_AT_ONCE: usize = 1;
/// What needs no token has this part of the room for large answers, beside it.
const DOCUMENTS_SHARE: usize = 4;

/// Through which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The network: everyone shows a token.
    Network,
    /// The local socket: the file's permissions are the check.
    Local,
}

/// What all routes share.
pub(crate) struct State {
    pub(crate) services: Arc<Services>,
    pub(crate) config: Config,
    pub(crate) door: Door,
    pub(crate) limiter: Limiter<TokenId>,
    /// What comes without a valid token, by where it comes from.
    pub(crate) strangers: Strangers,
    /// Whether the store answers, by where the question comes from: whoever is turned away at
    /// the door must not keep those out who watch.
    pub(crate) probes: Limiter<IpAddr>,
    /// Turns for reading large bodies.
    pub(crate) turns: Arc<Turns>,
    /// Streams of events.
    pub(crate) streams: Arc<Holds>,
    /// Waits for operations.
    pub(crate) waits: Arc<Holds>,
    /// Bodies that are still to come.
    pub(crate) bodies: Arc<Holds>,
    /// Large answers that are still to be read.
    pub(crate) answers: Arc<Answers>,
    /// The same of what needs no token.
    pub(crate) documents: Arc<Answers>,
    /// Turns for snapshots.
    pub(crate) snapshots: Turns<SNAPSHOTS_AT_ONCE, SNAPSHOTS_OF_ONE_AT_ONCE>,
    pub(crate) metrics: Metrics,
    document: OnceLock<Bytes>,
    begun: Instant,
}

impl State {
    pub(crate) fn new(services: Arc<Services>, config: Config, door: Door) -> Self {
        Self {
            limiter: Limiter::new(config.requests_per_second, config.requests_burst),
            strangers: Strangers::new(config.requests_per_second, config.requests_burst),
            probes: Limiter::new(config.requests_per_second, config.requests_burst),
            document: OnceLock::new(),
            turns: Arc::default(),
            streams: Arc::new(Holds::new(
                "streams of events",
                STREAMS_OF_ONE_MAX,
                config.connections_max / STREAMS_SHARE,
            )),
            waits: Arc::new(Holds::new(
                "requests that wait for an operation",
                WAITS_OF_ONE_MAX,
                config.connections_max / WAITS_SHARE,
            )),
            bodies: Arc::new(Holds::new(
                "requests whose body is still to come",
                BODIES_OF_ONE_MAX,
                config.connections_max / BODIES_SHARE,
            )),
            answers: Arc::new(Answers::new(config.answers_bytes_max)),
            documents: Arc::new(Answers::new(config.answers_bytes_max / DOCUMENTS_SHARE)),
            snapshots: Turns::default(),
            services,
            config,
            door,
            metrics: Metrics::default(),
            begun: Instant::now(),
        }
    }

    /// The document of the API, written once for all who read it.
    pub(crate) fn document(&self) -> Result<Bytes, serde_json::Error> {
        if let Some(written) = self.document.get() {
            return Ok(written.clone());
        }
        let written = serde_json::to_vec(&openapi::document(&self.config.base_path))?;
        Ok(self.document.get_or_init(|| written.into()).clone())
    }

    /// Milliseconds since this state was made; they never go back.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
