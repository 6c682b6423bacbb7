//! The platform over a container engine.

mod bindings;
mod images;
mod look;
mod provide;
mod take;
mod tidy;

use crate::crash::crash_point;
use crate::host::{self, Owner};
use crate::instance::{self, failed, on_host};
use crate::network::Choosing;
use crate::record::Record;
use crate::runtime::{ContainerRuntime, Found, Role, RuntimeEvent};
use crate::sessions::{self, Dialer, Sessions};
use crate::spares::{self, Spares};
use crate::turns::Turns;
use crate::{Layout, volatile};
use async_trait::async_trait;

pub use images::ImageSource;

use berth_domain::{EngineName, InstallationId, InstanceId, Observed, Status};
use berth_engines::Registry;
use berth_platform::{
    Capabilities, DataFate, Endpoint, Error, InstanceSpec, Login, Platform, Session, Supply,
    WatchEvent,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use images::{Attempts, NoSource};
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidy::tidily;
use tokio::sync::{OnceCell, RwLock};

/// What is fixed for the life of a platform.
pub struct Settings {
    /// The installation.
    pub installation: InstallationId,
    /// Where it keeps what.
    pub layout: Layout,
    /// The addresses from which networks are made.
    pub range: Ipv4Net,
    /// The name of the network on which exposed ports are published.
    pub public_network: String,
    /// Whether the directory for keys and sockets is put in memory when it is not.
    pub keep_keys_in_memory: bool,
    /// Where new ids come from.
    pub fresh_id: Box<dyn Fn() -> InstanceId + Send + Sync>,
}

/// One host's container engine as a platform.
pub struct ContainerPlatform {
    runtime: Arc<dyn ContainerRuntime>,
    registry: Arc<Registry>,
    settings: Settings,
    sessions: Sessions,
    source: Arc<dyn ImageSource>,
    attempts: Attempts,
    ready: OnceCell<()>,
    choosing_addresses: Choosing,
    initialising: tokio::sync::Mutex<()>,
    /// Held shared while the engine is asked for the container of an initialisation, alone by
    /// whoever takes all of them away.
    asking: Arc<RwLock<()>>,
    /// Whether something failed, or was cut off, that may have left an initialisation behind.
    untidy: AtomicBool,
    /// Held shared while something is put into a network or below the run directory, alone
    /// while an unused one is taken away.
    using: RwLock<()>,
    /// One call for an instance at a time.
    turns: Turns<InstanceId>,
    last_seen: Mutex<HashMap<InstanceId, Status>>,
}

impl ContainerPlatform {
    /// A platform over `runtime`, whose engines are reached through `dialer`.
    pub fn new(
        runtime: Arc<dyn ContainerRuntime>,
        dialer: Arc<dyn Dialer>,
        registry: Arc<Registry>,
        settings: Settings,
    ) -> Self {
        Self {
            runtime,
            registry,
            settings,
            sessions: Sessions::new(dialer),
            source: Arc::new(NoSource),
            attempts: Attempts::default(),
            ready: OnceCell::new(),
            choosing_addresses: Choosing::default(),
            initialising: tokio::sync::Mutex::new(()),
            asking: Arc::default(),
            untidy: AtomicBool::new(false),
            using: RwLock::new(()),
            turns: Turns::default(),
            last_seen: Mutex::new(HashMap::new()),
        }
    }

    /// The same, with images that are not here got from `source`.
    #[must_use]
    pub fn with_images(mut self, source: Arc<dyn ImageSource>) -> Self {
        self.source = source;
        self
    }

    fn layout(&self) -> &Layout {
        &self.settings.layout
    }

    /// Directories made and interrupted work swept away, once in a process's life.
    async fn ready(&self) -> Result<(), Error> {
        self.ready
            .get_or_try_init(|| async {
                let layout = self.layout().clone();
                on_host("make the installation's directories", move || {
                    for directory in [layout.instances(), layout.trash(), layout.spares()] {
                        host::directory(&directory, Owner::PRIVATE)?;
                        if let Some(root) = directory.parent() {
                            host::sync(root)?;
                        }
                    }
                    Ok(())
                })
                .await?;
                spares::sweep_host(self.layout()).await?;
                let _turn = self.initialising.lock().await;
                self.sweep().await
            })
            .await
            .copied()
    }

    /// Takes interrupted initialisations away; the caller holds `initialising`.
    async fn sweep(&self) -> Result<(), Error> {
        let installation = &self.settings.installation;
        spares::sweep(self.runtime.as_ref(), self.layout(), installation).await
    }

    async fn fill(&self, spares: &Spares<'_>, count: usize) -> Result<(), Error> {
        for wanted in 1..=count {
            // A create that needs one now goes before the next of ours.
            let _turn = self.initialising.lock().await;
            if wanted == 1 {
                self.sweep().await?;
            }
            spares.fill(wanted, self.settings.fresh_id.as_ref()).await?;
        }
        Ok(())
    }

    /// The directory for keys and sockets; it is empty after a reboot and goes with the last
    /// instance, so it is looked at each time.
    async fn run_directory(&self) -> Result<(), Error> {
        let (root, in_memory) = (self.layout().run_root(), self.settings.keep_keys_in_memory);
        on_host("make the directory for sockets and keys", move || {
            crash_point("memory.make.before");
            host::directory(&root, Owner::PRIVATE)?;
            crash_point("memory.make.after");
            crash_point("memory.mount.before");
            if in_memory {
                volatile::in_memory(&root)?;
            }
            crash_point("memory.mount.after");
            Ok(())
        })
        .await
    }

    fn remember(&self, instance: &InstanceId, status: Status) {
        let mut seen = self
            .last_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.insert(instance.clone(), status);
    }

    fn forget(&self, instance: &InstanceId) {
        let mut seen = self
            .last_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.remove(instance);
    }

    fn last_seen(&self, instance: &InstanceId) -> Status {
        let seen = self
            .last_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.get(instance).copied().unwrap_or(Status::Provisioning)
    }

    async fn record(&self, instance: &InstanceId) -> Result<Option<Record>, Error> {
        let directory = self.layout().instance(instance);
        on_host(
            format!("read the record of instance {instance}"),
            move || Record::read(&directory),
        )
        .await
    }

    async fn find(&self, instance: &InstanceId) -> Result<Vec<Found>, Error> {
        self.runtime
            .find(self.settings.installation.as_str(), Some(instance.as_str()))
            .await
            .map_err(|e| failed(format!("look for the containers of instance {instance}"), e))
    }
}

#[async_trait]
impl Platform for ContainerPlatform {
    async fn obtain_images(
        &self,
        instance: &InstanceId,
        engine: &EngineName,
        version: &str,
        endpoints: &[Endpoint],
    ) -> Result<Supply, Error> {
        self.supply(instance, engine, version, endpoints).await
    }

    async fn has_newer_image(&self, instance: &InstanceId) -> Result<bool, Error> {
        self.is_outdated(instance).await
    }

    async fn ensure(&self, spec: &InstanceSpec) -> Result<(), Error> {
        let turn = self.turns.of(&spec.instance);
        let _turn = turn.lock().await;
        self.ready().await?;
        let _using = self.using.read().await;
        self.restore(&spec.instance).await?;
        self.expect_data(spec)?;
        let (bound, found) = tokio::try_join!(self.bind(spec), self.find(&spec.instance))?;
        tidily(&self.untidy, self.provide(spec, &bound, &found)).await
    }

    async fn observe(&self, instance: &InstanceId) -> Result<Observed, Error> {
        let Some(record) = self.record(instance).await? else {
            return Ok(Observed::Absent);
        };
        let observed = if self.answers(instance, &record).await? {
            Observed::Ready
        } else {
            match self.find(instance).await {
                Ok(found) => self.diagnose(&record, &found).await,
                Err(Error::Unreachable { .. }) => Observed::Unknown {
                    last: self.last_seen(instance),
                },
                Err(error) => return Err(error),
            }
        };
        if !matches!(observed, Observed::Unknown { .. }) {
            let intent = berth_domain::Intent::Run;
            self.remember(instance, berth_domain::status(intent, &observed));
        }
        Ok(observed)
    }

    async fn remove(&self, instance: &InstanceId, data: DataFate) -> Result<(), Error> {
        let turn = self.turns.of(instance);
        let _turn = turn.lock().await;
        self.ready().await?;
        self.forget(instance);
        let record = self.last_record(instance).await?;
        let found = self.find(instance).await?;
        let runtime = self.runtime.as_ref();
        // The pooler first, or it would shower its log with a server that is away.
        for role in [Role::Pooler, Role::Engine] {
            for container in found.iter().filter(|f| f.labels.role == role) {
                instance::remove(runtime, container).await?;
            }
        }
        let volatile = self.layout().volatile(instance);
        on_host("remove an instance's sockets and keys", move || {
            crash_point("files.remove.before");
            host::no_tree(&volatile)?;
            crash_point("files.remove.after");
            Ok(())
        })
        .await?;
        self.withdraw(record.as_ref()).await?;
        self.dispose(instance, data).await
    }

    async fn take_unused_away(&self) -> Result<(), Error> {
        self.withdraw_unused().await
    }

    async fn session(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
    ) -> Result<Box<dyn Session>, Error> {
        let record = self.recorded(instance).await?;
        let (target, socket) = self.target(instance, endpoint, self.described(&record)?)?;
        let login = sessions::administrator(&socket);
        self.sessions.open(instance, &target, &login).await
    }

    async fn login(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        login: &Login,
    ) -> Result<Box<dyn Session>, Error> {
        let record = self.recorded(instance).await?;
        let (target, _) = self.target(instance, endpoint, self.described(&record)?)?;
        self.sessions.open(instance, &target, login).await
    }

    async fn prepare_spares(
        &self,
        engine: &EngineName,
        version: &str,
        count: usize,
    ) -> Result<(), Error> {
        self.ready().await?;
        let (engine, version) =
            self.registry
                .version(engine, version)
                .map_err(|unknown| Error::Refused {
                    code: "engine_unknown",
                    reason: unknown.to_string(),
                })?;
        let image = self
            .image(None, version.image, Some(version.recipe))
            .await?;
        let spares = self.spares(engine, version, &image);
        tidily(&self.untidy, async {
            let untidy = self.untidy.swap(false, Ordering::Relaxed);
            if !untidy && spares.are_as_many_as(count).await? {
                return Ok(());
            }
            self.fill(&spares, count).await
        })
        .await
    }

    async fn logs(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        lines_max: usize,
    ) -> Result<Vec<String>, Error> {
        let role = match endpoint {
            Endpoint::Engine => Role::Engine,
            Endpoint::Pooler => Role::Pooler,
        };
        let found = self.find(instance).await?;
        match found.iter().find(|f| f.labels.role == role) {
            None => Ok(Vec::new()),
            Some(container) => self
                .runtime
                .logs(&container.id, lines_max)
                .await
                .map_err(|e| failed(format!("read the log of instance {instance}"), e)),
        }
    }

    async fn instances(&self) -> Result<Vec<InstanceId>, Error> {
        let directory: PathBuf = self.layout().instances();
        let mut names = on_host("list the instances", move || host::names(&directory)).await?;
        let running = self
            .runtime
            .find(self.settings.installation.as_str(), None)
            .await
            .map_err(|e| failed("list the containers", e))?;
        names.extend(
            running
                .into_iter()
                .filter(|f| f.labels.role != Role::Initialise)
                .map(|f| f.labels.instance),
        );
        names.sort();
        names.dedup();
        Ok(names
            .iter()
            .filter_map(|name| InstanceId::parse(name).ok())
            .collect())
    }

    fn watch(&self) -> BoxStream<'static, WatchEvent> {
        let attempts = self.attempts.clone();
        self.runtime
            .events(self.settings.installation.as_str())
            .inspect(move |event| {
                // The engine may have been away.
                if *event == RuntimeEvent::Gap {
                    attempts.doubt();
                }
            })
            .filter_map(async |event| match event {
                RuntimeEvent::Gap => Some(WatchEvent::Gap),
                // A job's events are nobody's business here; its id names no instance, and
                // looking at one that does not exist does no harm.
                RuntimeEvent::Instance(id) => InstanceId::parse(&id).ok().map(WatchEvent::Changed),
            })
            .boxed()
    }

    async fn capabilities(&self) -> Result<Capabilities, Error> {
        let facts = self
            .runtime
            .facts()
            .await
            .map_err(|e| failed("ask the container engine what it is", e))?;
        let offers = self.offers().await?;
        let instances = self.layout().instances();
        let reflink = on_host("probe for copies by reference", move || {
            if let Some(root) = instances.parent() {
                host::directory(&instances, Owner::PRIVATE)?;
                return host::copies_by_reference(root);
            }
            Ok(false)
        })
        .await?;
        Ok(Capabilities {
            runtime: facts.name,
            runtime_version: facts.version,
            cpu_millis: facts.cores.saturating_mul(1000),
            memory_mb: facts.memory_mb,
            reflink,
            offers,
        })
    }

    /// What a directory was initialised by ends with its container; the directory itself is
    /// swept away by the next start, since a thread may still be at work in it.
    async fn close(&self) -> Result<(), Error> {
        self.stop_obtaining();
        let _nobody_asks = self.asking.write().await;
        let found = self
            .runtime
            .jobs(self.settings.installation.as_str())
            .await
            .map_err(|e| failed("look for interrupted initialisations", e))?;
        let gone = found
            .iter()
            .map(|job| instance::remove(self.runtime.as_ref(), job));
        futures_util::future::try_join_all(gone).await?;
        Ok(())
    }
}
