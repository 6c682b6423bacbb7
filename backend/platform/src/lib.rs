//! Where database instances run, as the control loop sees it.
//!
//! Owns: the trait `Platform`, what an instance is asked to be, the clients that speak the
//! engines' protocols over a byte stream that a driver opens.
//! Refuses: containers, files, sockets, metadata. A driver knows those.

mod client;
mod error;
mod session;
mod spec;

pub use client::{Dialled, open};
pub use error::{Cause, Error, ErrorKind};
pub use session::{Endpoint, Login, Row, Session};
pub use spec::{
    Exposure, Hosts, InstanceSpec, Network, Origin, Power, Resources, Tls, User, Writes,
};

use async_trait::async_trait;
use berth_domain::{EngineName, InstanceId, Observed};
use futures_util::stream::BoxStream;

/// The longest that an instance's own processes are asked, all at once, before the platform is
/// asked what became of them.
pub const ANSWER_SECONDS_MAX: u64 = 8;

/// What becomes of the data of an instance that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFate {
    /// It is kept, out of reach, until it is ensured again or purged.
    Trash,
    /// It is removed for good, from where it was and from the trash.
    Purge,
}

/// Something that a watcher should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something about this instance changed.
    Changed(InstanceId),
    /// Events may have been missed: look at everything.
    Gap,
}

/// A version of an engine and whether it can run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The engine.
    pub engine: EngineName,
    /// The version.
    pub version: String,
    /// Why it cannot run here, and what to do about it; none when it can.
    pub unavailable: Option<String>,
    /// What the first instance has to wait for, for people; none when nothing is missing.
    pub delay: Option<String>,
}

/// Whether the images that an instance runs from are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// All of them are.
    Here,
    /// All of them are, but one that the data ran on is gone for good, or nothing tells any more
    /// which it was: the instance will go on under the one that has the name now.
    Replaced,
    /// They are being got, which may take minutes: ask again.
    OnTheWay,
}

/// What a platform has and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// A word for what it is, such as `docker`.
    pub runtime: String,
    /// The runtime's own version text.
    pub runtime_version: String,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mb: u64,
    /// Whether data is copied by reference.
    pub reflink: bool,
    /// Each version of each engine.
    pub offers: Vec<Offer>,
}

/// Somewhere database instances run: one host with containers, or a cluster's operators.
///
/// Every call may be repeated, including after a crash halfway through the last one, and
/// calls for different instances may run at once. A driver that cannot promise that does
/// not belong behind this trait.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Looks whether the images are there that these endpoints of the instance run from, and
    /// begins to get those that are not. Nobody waits in it: the getting goes on by itself.
    /// An image that can be got in no way is `Error::Refused`, which says why.
    async fn obtain_images(
        &self,
        instance: &InstanceId,
        engine: &EngineName,
        version: &str,
        endpoints: &[Endpoint],
    ) -> Result<Supply, Error>;

    /// Makes what runs match `spec`, creating it when absent, taking its data back from the
    /// trash when it lies there. What already matches is not disturbed. When it answers,
    /// the data directory is durable; the engine may still be starting.
    async fn ensure(&self, spec: &InstanceSpec) -> Result<(), Error>;

    /// Reports what exists now. Absence is an answer, not an error; silence is `Unknown`,
    /// whose `last` is what this platform itself saw last. The instance's own processes are
    /// asked first, for `ANSWER_SECONDS_MAX` at most; one of them that hangs is no silence.
    async fn observe(&self, instance: &InstanceId) -> Result<Observed, Error>;

    /// Takes the instance away. Succeeds when there was nothing to take. The network of the
    /// project goes with the last instance in it, unless something of others is in it.
    async fn remove(&self, instance: &InstanceId, data: DataFate) -> Result<(), Error>;

    /// Takes away what was made for instances and stayed behind when the last of them went,
    /// such as a network that something of others was in until now.
    async fn take_unused_away(&self) -> Result<(), Error>;

    /// Whether the instance runs from an image in whose place there is a newer one by now. It
    /// goes on running from its own.
    async fn has_newer_image(&self, instance: &InstanceId) -> Result<bool, Error>;

    /// Opens a session as the administrator. The instance must have been ensured once.
    async fn session(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Result<Box<dyn Session>, Error>;

    /// Opens a session as an application would: the proof that a login works. A wrong
    /// password is `Error::LoginRefused`.
    async fn login(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        login: &Login,
    ) -> Result<Box<dyn Session>, Error>;

    /// Makes sure that at least `count` initialised data directories wait for instances of
    /// that version. Takes seconds for each that is missing; no image is got for it.
    async fn prepare_spares(
        &self,
        engine: &EngineName,
        version: &str,
        count: usize,
    ) -> Result<(), Error>;

    /// The last lines that the process wrote, oldest first; none when it does not exist.
    async fn logs(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        lines_max: usize,
    ) -> Result<Vec<String>, Error>;

    /// Every instance of this installation of which something runs, stands or lies here,
    /// the trash left out.
    async fn instances(&self) -> Result<Vec<InstanceId>, Error>;

    /// Says when to look again. The stream begins with `Gap`, says it again after each break,
    /// and ends only with the platform.
    fn watch(&self) -> BoxStream<'static, WatchEvent>;

    /// What there is to work with.
    async fn capabilities(&self) -> Result<Capabilities, Error>;

    /// Ends what was begun on the side and nobody waits for any more. Said once, when every
    /// other call has ended or was given up; what runs for users is not touched.
    async fn close(&self) -> Result<(), Error>;
}
