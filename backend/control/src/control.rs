//! The loop itself: what it is made of, and how it starts and ends.

use crate::backoff::LONGEST_WAIT_MILLIS;
use crate::charts::Charts;
use crate::error::{self, chain};
use crate::failpoint::Failpoints;
use crate::figures::Unchanged;
use crate::known::Known;
use crate::locks::Locks;
use crate::news::News;
use crate::roster::Roster;
use crate::sleep::{Idle, REREAD_SLEEPERS, Silent};
use crate::{Certificates, Error};
use berth_domain::{Addresses, Catalogue, Clock, EngineName, ProjectId, Timestamp};
use berth_engines::Registry;
use berth_platform::Platform;
use berth_services::{Entropy, Outside, random};
use berth_store::{Follower, Store};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// The longest that ending what nobody waits for any more may take: an initialisation has a
/// second to end before it is killed, and a busy engine needs longer than that for the rest.
const CLOSE_SECONDS_MAX: u64 = 10;

/// What the loop is made of; `berthd` wires it.
#[derive(Clone)]
pub struct Parts {
    /// The rows.
    pub store: Store,
    /// Where instances run.
    pub platform: Arc<dyn Platform>,
    /// What the engines say and answer.
    pub engines: Arc<Registry>,
    /// What plans mean.
    pub catalogue: Arc<Catalogue>,
    /// What others call the instances.
    pub addresses: Addresses,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// What is seen of the host.
    pub outside: Arc<dyn Outside>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Server certificates.
    pub certificates: Arc<dyn Certificates>,
    /// Rung by whoever wrote an operation.
    pub wake: Arc<Notify>,
    /// How much and how often.
    pub limits: Limits,
}

/// How much the loop does at once, and how often it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Operations that are worked on at one moment.
    pub operations_at_once: usize,
    /// Instances that are looked after (adopted, repaired, probed) at one moment.
    pub instances_at_once: usize,
    /// Seconds between two looks for operations that nobody announced.
    pub poll_seconds: u64,
    /// Seconds between two probes of what runs.
    pub health_seconds: u64,
    /// Seconds between two comparisons of everything with what is wanted.
    pub resync_seconds: u64,
    /// Seconds between two measurements of storage and connections.
    pub storage_seconds: u64,
    /// Initialised data directories that wait for each version in use.
    pub spares: usize,
    /// Versions that have spares from the start, before any database uses them.
    pub spare_versions: Vec<(EngineName, String)>,
    /// Ports on which databases may be published.
    pub public_ports: RangeInclusive<u16>,
    /// Days for which nothing is forgotten that a pipeline may have destroyed.
    pub recovery_floor_days: u32,
    /// Seconds that work under way is given when the program ends.
    pub shutdown_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations_at_once: 8,
            instances_at_once: 8,
            poll_seconds: 1,
            health_seconds: 5,
            resync_seconds: 600,
            storage_seconds: 60,
            spares: 2,
            spare_versions: Vec::new(),
            public_ports: 15_000..=15_999,
            recovery_floor_days: 1,
            shutdown_seconds: 3,
        }
    }
}

/// Makes what is match what is wanted.
///
/// # Guarantees
/// An operation succeeds only after the application's own login was proven and the platform
/// said that the data is durable. A silent platform changes no status and fails no operation.
/// # Assumptions
/// One berthd works on a store; the leases cover the moment in which two overlap.
/// # If interrupted
/// Every step may be repeated: the next start goes on where the rows say.
pub struct Control {
    pub(crate) parts: Parts,
    /// Who holds the leases of this process.
    pub(crate) holder: String,
    pub(crate) locks: Locks,
    pub(crate) charts: Charts,
    /// Since when nobody has used what may sleep.
    pub(crate) idle: Idle,
    /// Poolers of what sleeps that do not answer.
    pub(crate) silent: Silent,
    /// The minutes that projects wait.
    pub(crate) patience: Known<Arc<HashMap<ProjectId, u32>>>,
    /// Rung when a destroyed database may be due to be purged.
    pub(crate) purge_wanted: Notify,
    /// Rung when a spare was probably used up.
    pub(crate) spares_wanted: Notify,
    /// How many operations are being worked on.
    pub(crate) busy: AtomicUsize,
    /// The store's version.
    pub(crate) versions: watch::Receiver<i64>,
    /// The living databases, and who tells which of them have changed since they were read.
    pub(crate) roster: Mutex<Roster>,
    pub(crate) follower: Follower,
    /// Held while they are read.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    /// What the platform has told of.
    pub(crate) news: News,
    /// What was looked at and found unchanged.
    pub(crate) unchanged: Unchanged,
    /// When the next operation is due.
    pub(crate) next_due: Known<Option<Timestamp>>,
    closing: watch::Sender<bool>,
    /// The longest that anything is asked of the platform; tests do not wait so long.
    pub(crate) silence_max: Duration,
    /// How long it is believed who sleeps; tests do not wait so long.
    pub(crate) reread_sleepers: Duration,
    pub(crate) failpoints: Failpoints,
}

impl Control {
    /// A loop over these parts that has not started yet.
    pub fn new(parts: Parts) -> Self {
        let holder = hex(random(parts.entropy.as_ref()));
        Self {
            versions: parts.store.watch_version(),
            roster: Mutex::default(),
            follower: parts.store.follow_databases(),
            refreshing: tokio::sync::Mutex::default(),
            news: News::default(),
            unchanged: Unchanged::default(),
            next_due: Known::default(),
            parts,
            holder,
            locks: Locks::default(),
            charts: Charts::default(),
            idle: Idle::default(),
            silent: Silent::default(),
            patience: Known::default(),
            purge_wanted: Notify::new(),
            spares_wanted: Notify::new(),
            busy: AtomicUsize::new(0),
            closing: watch::Sender::new(false),
            silence_max: Duration::MAX,
            reread_sleepers: REREAD_SLEEPERS,
            failpoints: Failpoints::default(),
        }
    }

    /// Works until `shutdown` resolves, then gives what is under way a few seconds; what is
    /// left then goes on at the next start.
    ///
    /// # Assumptions
    /// Nobody else works on the store: what a predecessor held when it died is free at once.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) {
        if let Err(error) = self.take_over().await {
            tracing::warn!(
                error = chain(&error),
                "what a predecessor held is free once its leases end"
            );
        }
        let mut loops = JoinSet::new();
        loops.spawn(Arc::clone(&self).serve_operations());
        loops.spawn(Arc::clone(&self).look_after());
        loops.spawn(Arc::clone(&self).listen());
        loops.spawn(Arc::clone(&self).keep_up());
        loops.spawn(Arc::clone(&self).fill_up());
        loops.spawn(Arc::clone(&self).watch_sleepers());
        loops.spawn(Arc::clone(&self).send_to_sleep());
        tokio::select! {
            () = shutdown => {}
            ended = loops.join_next() => tracing::error!(?ended, "a part of the control loop ended"),
        }
        self.closing.send_replace(true);
        let grace = Duration::from_secs(self.parts.limits.shutdown_seconds);
        let all = async { while loops.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::info!("work under way goes on at the next start");
        }
        loops.shutdown().await;
        let close = self.parts.platform.close();
        if let Err(error) = self
            .of_platform(CLOSE_SECONDS_MAX, "end what nobody waits for", close)
            .await
        {
            tracing::info!(
                error = chain(&error),
                "the next start takes away what is left"
            );
        }
    }

    /// Frees what a predecessor held, and what waits for a moment that only its clock knew.
    pub(crate) async fn take_over(&self) -> Result<(), Error> {
        let now = self.now();
        let write = async {
            let mut tx = self.parts.store.begin().await?;
            tx.release_leases().await?;
            tx.hasten_operations(now, now.plus_millis(LONGEST_WAIT_MILLIS))
                .await?;
            tx.commit().await
        };
        write
            .await
            .map(drop)
            .map_err(error::store("free what a predecessor held"))
    }

    /// Whether no new work is to be begun.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when no new work is to be begun.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`, so the wait ends with the answer.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A number for the spread of waits.
    pub(crate) fn jitter(&self) -> u32 {
        u32::from_le_bytes(random(self.parts.entropy.as_ref()))
    }

    /// Asks something of the platform with a bound. One that takes requests and answers none is
    /// as silent as one that takes none: nobody knows what became of the call.
    pub(crate) async fn of_platform<T>(
        &self,
        seconds: u64,
        act: &'static str,
        call: impl Future<Output = Result<T, berth_platform::Error>>,
    ) -> Result<T, Error> {
        let limit = Duration::from_secs(seconds).min(self.silence_max);
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer.map_err(crate::error::platform(act)),
            Err(_) => Err(Error::PlatformSilent { act, seconds }),
        }
    }

    /// Asks something of an engine or a pooler with a bound.
    pub(crate) async fn within<T>(
        &self,
        seconds: u64,
        act: &'static str,
        call: impl Future<Output = Result<T, berth_platform::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(Duration::from_secs(seconds), call).await {
            Ok(answer) => answer.map_err(crate::error::platform(act)),
            Err(_) => Err(Error::TookTooLong { act, seconds }),
        }
    }
}

/// A word that no other process has.
fn hex(bytes: [u8; 8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
