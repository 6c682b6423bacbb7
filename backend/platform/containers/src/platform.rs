//! The platform over a container engine.

use crate::crash::crash_point;
use crate::host::{self, Owner};
use crate::instance::{self, failed, on_host};
use crate::network::{self, Joined, NoNetwork, Wish};
use crate::record::Record;
use crate::runtime::{ContainerRuntime, ContainerState, Found, Role, RuntimeEvent};
use crate::sessions::{self, Dialer, Sessions, Target};
use crate::spares::{self, Spares};
use crate::workload::{self, Context};
use crate::{Layout, volatile};
use async_trait::async_trait;
use berth_domain::{EngineName, InstallationId, InstanceId, Observed, Status};
use berth_engines::{Description, Registry, Socket, Version};
use berth_platform::{
    Capabilities, DataFate, Endpoint, Error, InstanceSpec, Login, Offer, Origin, Platform, Session,
    WatchEvent,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, RwLock};

/// From this many restarts on, a container that waits for the next one has failed.
const CRASH_LOOP_RESTARTS: u32 = 5;
/// How long a removal waits politely for its moment: ten seconds in all.
const ALONE_TRIES_MAX: u32 = 1000;
const ALONE_POLL_MILLIS: u64 = 10;
/// How many of its last lines tell why.
const LAST_WORDS_LINES: usize = 3;

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
    ready: OnceCell<()>,
    choosing_addresses: tokio::sync::Mutex<()>,
    initialising: tokio::sync::Mutex<()>,
    /// Held shared while something is put into a network or below the run directory, alone
    /// while an unused one is taken away.
    using: RwLock<()>,
    turns: Mutex<HashMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
    last_seen: Mutex<HashMap<InstanceId, Status>>,
}

/// The engine of a spec, and the images it is bound to.
struct Bound<'a> {
    engine: &'a dyn Description,
    version: &'static Version,
    record: Record,
    /// Whether the record has to be written.
    changed: bool,
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
            ready: OnceCell::new(),
            choosing_addresses: tokio::sync::Mutex::new(()),
            initialising: tokio::sync::Mutex::new(()),
            using: RwLock::new(()),
            turns: Mutex::new(HashMap::new()),
            last_seen: Mutex::new(HashMap::new()),
        }
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

    /// The directory for keys and sockets; it is empty after a reboot and goes with the last
    /// instance, so it is looked at each time.
    async fn run_directory(&self) -> Result<(), Error> {
        let (root, in_memory) = (self.layout().run_root(), self.settings.keep_keys_in_memory);
        on_host("make the directory for sockets and keys", move || {
            if in_memory {
                volatile::in_memory(&root)
            } else {
                host::directory(&root, Owner::PRIVATE)
            }
        })
        .await
    }

    /// One call for an instance at a time.
    fn turn(&self, instance: &InstanceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(instance.clone()).or_default())
    }

    fn remember(&self, instance: &InstanceId, status: Status) {
        let mut seen = self
            .last_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.insert(instance.clone(), status);
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

    /// The id of the image that `bound` names when it is still here, else of `reference`.
    async fn image(
        &self,
        bound: Option<&str>,
        reference: &str,
        recipe: Option<&str>,
    ) -> Result<String, Error> {
        for candidate in bound.into_iter().chain([reference]) {
            let found = self
                .runtime
                .image(candidate)
                .await
                .map_err(|e| failed(format!("look for image {candidate}"), e))?;
            if let Some(id) = found {
                return Ok(id);
            }
        }
        Err(Error::Refused {
            code: "image_missing",
            reason: missing_image(reference, recipe),
        })
    }

    /// Chooses the images: those of the record while they exist, else the current ones.
    async fn bind(&self, spec: &InstanceSpec) -> Result<Bound<'_>, Error> {
        let (engine, version) =
            self.registry
                .version(&spec.engine, &spec.version)
                .map_err(|unknown| Error::Refused {
                    code: "engine_unknown",
                    reason: unknown.to_string(),
                })?;
        let before = self.record(&spec.instance).await?;
        let bound = before.as_ref();
        let engine_image = self.image(
            bound.map(|r| r.engine_image.as_str()),
            version.image,
            Some(version.recipe),
        );
        let pooler_image = async {
            let kept = bound.and_then(|r| r.pooler_image.as_deref());
            match (spec.pooler.is_some(), engine.pooler_image()) {
                (true, Some(reference)) => self
                    .image(kept, reference, engine.pooler_recipe())
                    .await
                    .map(Some),
                _ => Ok(kept.map(str::to_owned)),
            }
        };
        let (engine_image, pooler_image) = tokio::try_join!(engine_image, pooler_image)?;
        let record = Record {
            engine: spec.engine.to_string(),
            version: spec.version.clone(),
            engine_image,
            has_pooler: spec.pooler.is_some() && pooler_image.is_some(),
            pooler_image,
            network: spec.network.name.clone(),
        };
        Ok(Bound {
            engine,
            version,
            changed: before.as_ref() != Some(&record),
            record,
        })
    }

    /// Puts the instance's directory where it belongs: back from the trash, or new.
    async fn place_data(
        &self,
        spec: &InstanceSpec,
        bound: &Bound<'_>,
        found: &[Found],
    ) -> Result<(), Error> {
        let instance = &spec.instance;
        let (directory, data) = (
            self.layout().instance(instance),
            self.layout().data(instance),
        );
        let exists = data.exists();
        // Containers come after the data and go before it: where there are some, there was data.
        if !exists && (spec.origin == Origin::MustExist || !found.is_empty()) {
            return Err(Error::Refused {
                code: "data_missing",
                reason: format!(
                    "the data of instance {instance} is not at {}: restore it from a backup",
                    data.display()
                ),
            });
        }
        if exists && !bound.changed {
            return Ok(());
        }
        let bytes = bound
            .record
            .bytes()
            .map_err(|e| Error::failed("write an instance's record", e))?;
        let to = directory.clone();
        on_host("write an instance's record", move || {
            crash_point("record.write.before");
            host::directory(&to, Owner::PRIVATE)?;
            let file = to.join(Record::FILE);
            host::file(&file, &bytes, Owner::PRIVATE)?;
            crash_point("record.write.after");
            Ok(())
        })
        .await?;
        if exists {
            return Ok(());
        }
        let spares = self.spares(bound.engine, bound.version, &bound.record.engine_image);
        if spares.claim(&data).await? {
            return Ok(());
        }
        // One initialisation at a time: they are bound by the host's cores, and whoever had
        // to wait may find a spare.
        let _turn = self.initialising.lock().await;
        if spares.claim(&data).await? {
            return Ok(());
        }
        spares.make_at(&data, &(self.settings.fresh_id)()).await
    }

    fn spares<'a>(
        &'a self,
        engine: &'a dyn Description,
        version: &'a Version,
        image: &'a str,
    ) -> Spares<'a> {
        Spares {
            runtime: self.runtime.as_ref(),
            layout: self.layout(),
            installation: &self.settings.installation,
            engine,
            version,
            image,
        }
    }

    /// Takes the data back from the trash when it lies there.
    async fn restore(&self, instance: &InstanceId) -> Result<(), Error> {
        let (from, to) = (
            self.layout().trashed(instance),
            self.layout().instance(instance),
        );
        if !from.exists() {
            return Ok(());
        }
        on_host(
            format!("restore the data of instance {instance}"),
            move || {
                crash_point("data.restore.before");
                // A record without data, from an interrupted attempt, must not be in the way.
                if !to.join("data").exists() {
                    host::no_tree(&to)?;
                }
                host::relocate(&from, &to)?;
                crash_point("data.restore.after");
                Ok(())
            },
        )
        .await
    }

    async fn network(&self, wish: Wish) -> Result<Joined, Error> {
        let act = format!("make the network {}", wish.name);
        network::ensure(
            self.runtime.as_ref(),
            &self.choosing_addresses,
            self.settings.range,
            &wish,
        )
        .await
        .map_err(|error| match error {
            NoNetwork::Runtime(error) => failed(act, error),
            NoNetwork::Full { .. } => Error::Refused {
                code: "network_range_full",
                reason: error.to_string(),
            },
        })
    }

    async fn networks(&self, spec: &InstanceSpec) -> Result<(Joined, Option<Joined>), Error> {
        let installation = self.settings.installation.to_string();
        let project = self.network(Wish {
            name: spec.network.name.clone(),
            installation: installation.clone(),
            internal: true,
            members_meet: true,
        });
        let public = async {
            match &spec.exposure {
                None => Ok(None),
                // Poolers of different projects share this one: they must not meet in it.
                Some(_) => self
                    .network(Wish {
                        name: self.settings.public_network.clone(),
                        installation,
                        internal: false,
                        members_meet: false,
                    })
                    .await
                    .map(Some),
            }
        };
        tokio::try_join!(project, public)
    }

    /// Brings the containers of a spec about, both at once.
    async fn containers(
        &self,
        spec: &InstanceSpec,
        bound: &Bound<'_>,
        found: &[Found],
        (project, public): (Joined, Option<Joined>),
    ) -> Result<(), Error> {
        let context = Context {
            layout: self.layout(),
            installation: &self.settings.installation,
            engine: bound.engine,
            version: bound.version,
            engine_image: &bound.record.engine_image,
            pooler_image: bound.record.pooler_image.as_deref(),
            project: &project,
            public: public.as_ref(),
        };
        let (engine, pooler) = workload::render(spec, &context);
        let files = (engine.clone(), pooler.clone());
        on_host("write an instance's configuration", move || {
            crash_point("files.write.before");
            volatile::write(&files.0)?;
            if let Some(pooler) = &files.1 {
                volatile::write(pooler)?;
            }
            crash_point("files.write.after");
            Ok(())
        })
        .await?;
        let of = |role| -> Vec<_> { found.iter().filter(|f| f.labels.role == role).collect() };
        let (engines, poolers) = (of(Role::Engine), of(Role::Pooler));
        let runtime = self.runtime.as_ref();
        let pooler = async {
            match &pooler {
                Some(wanted) => instance::ensure(runtime, wanted, &poolers).await,
                None => {
                    for unwanted in &poolers {
                        instance::remove(runtime, unwanted).await?;
                    }
                    Ok(())
                }
            }
        };
        let engine = instance::ensure(runtime, &engine, &engines);
        if found.is_empty() {
            tokio::try_join!(engine, pooler)?;
        } else {
            // A pooler remembers what its first server told it: the engine is told first.
            engine.await?;
            pooler.await?;
        }
        Ok(())
    }

    /// Waits until the instance's directory and its names survive a power cut.
    async fn sync(&self, instance: &InstanceId) -> Result<(), Error> {
        let (directory, parent) = (self.layout().instance(instance), self.layout().instances());
        on_host(format!("sync the data of instance {instance}"), move || {
            host::sync(&directory.join(Record::FILE))?;
            host::sync(&directory)?;
            host::sync(&parent)
        })
        .await
    }

    /// What a session needs to know, from the instance's own record.
    fn described(&self, record: &Record) -> Result<&dyn Description, Error> {
        self.registry
            .get(&EngineName::new(record.engine.clone()))
            .map_err(|unknown| Error::Refused {
                code: "engine_unknown",
                reason: unknown.to_string(),
            })
    }

    fn target<'a>(
        &self,
        instance: &InstanceId,
        endpoint: Endpoint,
        engine: &'a dyn Description,
    ) -> Result<(Target<'a>, Socket), Error> {
        let socket = match endpoint {
            Endpoint::Engine => Some(engine.engine_socket()),
            Endpoint::Pooler => engine.pooler_socket(),
        };
        let socket = socket.ok_or_else(|| Error::Refused {
            code: "no_pooler",
            reason: format!("{} has no pooler", engine.title()),
        })?;
        let path = self
            .layout()
            .place(instance, socket.place)
            .join(socket.name);
        let target = Target {
            engine,
            endpoint,
            socket: path,
        };
        Ok((target, socket))
    }

    async fn recorded(&self, instance: &InstanceId) -> Result<Record, Error> {
        self.record(instance)
            .await?
            .ok_or_else(|| Error::NoSuchInstance {
                instance: instance.clone(),
            })
    }

    /// Whether engine and pooler answer in their own protocols.
    async fn answers(&self, instance: &InstanceId, record: &Record) -> Result<bool, Error> {
        let engine = self.described(record)?;
        let ask = async |endpoint, probe| -> Result<bool, Error> {
            let (target, socket) = self.target(instance, endpoint, engine)?;
            let login = sessions::administrator(&socket);
            Ok(self
                .sessions
                .answers(instance, &target, &login, &probe)
                .await)
        };
        if !ask(Endpoint::Engine, engine.probe()).await? {
            return Ok(false);
        }
        Ok(!record.has_pooler || ask(Endpoint::Pooler, engine.probe_pooler()).await?)
    }

    /// What the containers tell of an instance that does not answer.
    async fn diagnose(&self, record: &Record, found: &[Found]) -> Observed {
        let wanted = if record.has_pooler {
            &[Role::Engine, Role::Pooler][..]
        } else {
            &[Role::Engine][..]
        };
        let mut observed = Observed::Starting;
        for role in wanted {
            let Some(container) = found.iter().find(|f| f.labels.role == *role) else {
                return Observed::Absent;
            };
            match container.state {
                ContainerState::Created | ContainerState::Exited => observed = Observed::Stopped,
                ContainerState::Restarting => {
                    if let Some(reason) = self.crash_loop(container).await {
                        return Observed::Failed { reason };
                    }
                }
                ContainerState::Running | ContainerState::Other => {}
            }
        }
        observed
    }

    async fn crash_loop(&self, container: &Found) -> Option<String> {
        let details = self.runtime.inspect(&container.id.0).await.ok()??;
        if details.restarts < CRASH_LOOP_RESTARTS {
            return None;
        }
        let role = container.labels.role;
        let why = if details.out_of_memory {
            "it needed more memory than its plan has".to_owned()
        } else {
            let lines = self.runtime.logs(&container.id, LAST_WORDS_LINES).await;
            format!("its last words: {}", lines.unwrap_or_default().join(" / "))
        };
        Some(format!(
            "the {role} has ended {} times; {why}",
            details.restarts
        ))
    }

    /// Waits for a moment in which nothing is being put into networks. Asking for it openly
    /// would make every new instance wait behind the slowest one under way, so it is only
    /// asked for when no such moment came by itself.
    async fn alone(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        for _ in 0..ALONE_TRIES_MAX {
            if let Ok(alone) = self.using.try_write() {
                return alone;
            }
            tokio::time::sleep(Duration::from_millis(ALONE_POLL_MILLIS)).await;
        }
        self.using.write().await
    }

    /// Networks and the run directory go with the last that used them. Of an instance that
    /// never got as far as a record nobody knows the network, so all are looked at.
    async fn withdraw(&self, record: Option<&Record>) -> Result<(), Error> {
        let _alone = self.alone().await;
        let public = &self.settings.public_network;
        let may_go = |name: &str| record.is_none_or(|r| r.network == name || public == name);
        let installation = self.settings.installation.as_str();
        network::remove_unused(self.runtime.as_ref(), installation, may_go)
            .await
            .map_err(|e| failed("remove unused networks", e))?;
        let root = self.layout().run_root();
        on_host("remove the directory for sockets and keys", move || {
            volatile::withdraw(&root)
        })
        .await
    }

    async fn dispose(&self, instance: &InstanceId, fate: DataFate) -> Result<(), Error> {
        let (here, trashed, rubbish) = (
            self.layout().instance(instance),
            self.layout().trashed(instance),
            self.layout().rubbish(),
        );
        let name = instance.to_string();
        on_host(
            format!("put away the data of instance {instance}"),
            move || {
                match fate {
                    DataFate::Trash => {
                        crash_point("data.trash.before");
                        if here.exists() {
                            host::relocate(&here, &trashed)?;
                        }
                        crash_point("data.trash.after");
                    }
                    DataFate::Purge => {
                        crash_point("data.purge.before");
                        // Out of the way first: a half-removed directory must never be mistaken
                        // for data that can be restored.
                        host::directory(&rubbish, Owner::PRIVATE)?;
                        for (n, path) in [here, trashed].iter().enumerate() {
                            let aside = rubbish.join(format!("{name}-{n}"));
                            host::no_tree(&aside)?;
                            host::relocate(path, &aside)?;
                        }
                        host::no_tree(&rubbish)?;
                        crash_point("data.purge.after");
                    }
                }
                Ok(())
            },
        )
        .await
    }
}

fn missing_image(reference: &str, recipe: Option<&str>) -> String {
    match recipe {
        Some(recipe) => {
            format!("the image {reference} is not on this host: run `berthd images build {recipe}`")
        }
        None => format!("the image {reference} is not on this host: run `berthd images pull`"),
    }
}

#[async_trait]
impl Platform for ContainerPlatform {
    async fn ensure(&self, spec: &InstanceSpec) -> Result<(), Error> {
        let turn = self.turn(&spec.instance);
        let _turn = turn.lock().await;
        self.ready().await?;
        let _using = self.using.read().await;
        self.run_directory().await?;
        self.restore(&spec.instance).await?;
        let prepared = async {
            let bound = self.bind(spec).await?;
            let found = self.find(&spec.instance).await?;
            self.place_data(spec, &bound, &found).await?;
            Ok((bound, found))
        };
        let ((bound, found), networks) = tokio::try_join!(prepared, self.networks(spec))?;
        // What is durable need not wait for what is only running, nor the other way round.
        tokio::try_join!(
            self.containers(spec, &bound, &found, networks),
            self.sync(&spec.instance),
        )?;
        Ok(())
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
        let turn = self.turn(instance);
        let _turn = turn.lock().await;
        self.ready().await?;
        self.sessions.forget(instance).await;
        let trashed = self.layout().trashed(instance);
        let record = match self.record(instance).await? {
            Some(record) => Some(record),
            None => on_host("read a record in the trash", move || Record::read(&trashed)).await?,
        };
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
            host::no_tree(&volatile)
        })
        .await?;
        self.withdraw(record.as_ref()).await?;
        self.dispose(instance, data).await
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
        for wanted in 1..=count {
            // A create that needs one now goes before the next of ours.
            let _turn = self.initialising.lock().await;
            if wanted == 1 {
                self.sweep().await?;
            }
            self.spares(engine, version, &image)
                .fill(wanted, self.settings.fresh_id.as_ref())
                .await?;
        }
        Ok(())
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
        self.runtime
            .events(self.settings.installation.as_str())
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
        let mut offers = Vec::new();
        for engine in self.registry.iter() {
            for version in engine.versions() {
                let here = self.image(None, version.image, Some(version.recipe)).await;
                let unavailable = match here {
                    Ok(_) => None,
                    Err(Error::Refused { reason, .. }) => Some(reason),
                    Err(error) => return Err(error),
                };
                offers.push(Offer {
                    engine: EngineName::new(engine.name()),
                    version: version.name.to_owned(),
                    unavailable,
                });
            }
        }
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
}
