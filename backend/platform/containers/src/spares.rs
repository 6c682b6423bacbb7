//! Initialised data directories that wait for a database.
//!
//! Each comes from an `initdb` of its own, so that no two databases share an identity, and
//! is on disk before it gets its final name: a directory that has one is whole.

use crate::Layout;
use crate::crash::crash_point;
use crate::host::{self, Owner, SERVICE};
use crate::instance::{failed, on_host, remove};
use crate::runtime::{
    ContainerId, ContainerRuntime, HostMount, Labels, Limits, Role, RuntimeError, Stop, Workload,
};
use berth_domain::{InstallationId, InstanceId};
use berth_engines::{Access, Description, Initialisation, Occasion, Signal, Version};
use berth_platform::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::RwLock;

/// A directory in the making; what is left of it after a crash is rubbish.
const MAKING: &str = ".making-";
/// How much of an image's id a spare's name carries: it goes only to an instance that is
/// bound to the same image.
const IMAGE_DIGITS: usize = 12;
const LIMITS: Limits = Limits {
    cpu_millis: 2000,
    memory_mb: 512,
    processes_max: 64,
};

/// How many of a job's last lines tell why it failed.
const LAST_WORDS_LINES: usize = 5;

/// The container of an initialisation.
pub(crate) struct Job(ContainerId);

/// An initialisation under way.
pub(crate) struct Making {
    job: Job,
    plan: Initialisation,
    id: InstanceId,
    directory: PathBuf,
}

/// What makes and hands out spares.
pub(crate) struct Spares<'a> {
    pub runtime: &'a Arc<dyn ContainerRuntime>,
    /// Held shared while the engine is asked for a container.
    pub asking: &'a Arc<RwLock<()>>,
    pub layout: &'a Layout,
    pub installation: &'a InstallationId,
    pub engine: &'a dyn Description,
    pub version: &'a Version,
    /// The image's id.
    pub image: &'a str,
}

impl Spares<'_> {
    fn directory(&self) -> PathBuf {
        self.layout.spares_of(self.engine.name(), self.version.name)
    }

    /// What the names of spares of this image begin with.
    fn image_prefix(&self) -> String {
        let digits = self.image.rsplit(':').next().unwrap_or(self.image);
        digits.chars().take(IMAGE_DIGITS).collect()
    }

    /// The spares that wait, of this image and of others.
    async fn waiting(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
        let directory = self.directory();
        let prefix = self.image_prefix();
        on_host("look for spare data directories", move || {
            let names = host::names(&directory)?;
            Ok(names
                .into_iter()
                .map(|name| (name.starts_with(&prefix), directory.join(name)))
                .partition::<Vec<_>, _>(|(same, _)| *same))
        })
        .await
        .map(|(same, other): (Vec<_>, Vec<_>)| {
            let paths = |found: Vec<(bool, PathBuf)>| found.into_iter().map(|(_, p)| p).collect();
            (paths(same), paths(other))
        })
    }

    /// Whether `count` of this image wait, and none of another.
    pub(crate) async fn are_as_many_as(&self, count: usize) -> Result<bool, Error> {
        let (same, other) = self.waiting().await?;
        Ok(same.len() >= count && other.is_empty())
    }

    /// Fills up to `count`, and throws away those that a rebuilt image has left behind.
    pub(crate) async fn fill(
        &self,
        count: usize,
        fresh: &(dyn Fn() -> InstanceId + Send + Sync),
    ) -> Result<(), Error> {
        let (same, other) = self.waiting().await?;
        for stale in other {
            on_host("remove a stale spare", move || host::no_tree(&stale)).await?;
        }
        for _ in same.len()..count {
            let making = self.begin(&fresh(), Occasion::Spare).await?;
            let (_, job) = self.finish(making).await?;
            self.clear(job).await?;
        }
        Ok(())
    }

    /// Moves a waiting spare to `data`; `false` when none waits. Durable once the caller has
    /// synced the parent of `data`.
    pub(crate) async fn claim(&self, data: &Path) -> Result<bool, Error> {
        let (same, _) = self.waiting().await?;
        let to = data.to_owned();
        on_host("claim a spare data directory", move || {
            for spare in &same {
                if take(spare, &to)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// Sees to the end of an initialisation and moves what it made to `data`. The job that
    /// made it is left to be cleared: nobody has to wait for that.
    pub(crate) async fn finish_at(&self, making: Making, data: &Path) -> Result<Job, Error> {
        let (directory, job) = self.finish(making).await?;
        let to = data.to_owned();
        on_host("claim a new data directory", move || {
            if take(&directory, &to)? {
                Ok(())
            } else {
                Err(io::Error::other("another database took it"))
            }
        })
        .await?;
        Ok(job)
    }

    /// Takes a job away that has ended.
    pub(crate) async fn clear(&self, job: Job) -> Result<(), Error> {
        let done = |cleared: Result<(), RuntimeError>| match cleared {
            Ok(()) | Err(RuntimeError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("clear an initialisation away", error)),
        };
        crash_point("spare.stop.before");
        done(self.runtime.stop(&job.0).await)?;
        crash_point("spare.stop.after");
        crash_point("spare.remove.before");
        done(self.runtime.remove(&job.0).await)?;
        crash_point("spare.remove.after");
        Ok(())
    }

    /// Begins to make a data directory: when this answers, the initialisation runs.
    pub(crate) async fn begin(&self, id: &InstanceId, occasion: Occasion) -> Result<Making, Error> {
        let directory = self.layout.spares().join(format!("{MAKING}{id}"));
        let (aside, data) = (directory.clone(), directory.join("data"));
        on_host("make room for a data directory", move || {
            host::directory(&aside, Owner::PRIVATE)?;
            host::directory(&data, Owner::DATA)
        })
        .await?;
        let plan = self.engine.initialisation(self.version, occasion);
        let job = self.run(id, &plan, &directory.join("data")).await?;
        Ok(Making {
            job,
            plan,
            id: id.clone(),
            directory,
        })
    }

    /// Waits for the end of an initialisation, syncs what it made, gives it its name.
    async fn finish(&self, making: Making) -> Result<(PathBuf, Job), Error> {
        let Making {
            job,
            plan,
            id,
            directory,
        } = making;
        let job = self.or_clear(self.end(&job, &plan).await, job).await?;
        let marker = directory.join("data").join(plan.marker);
        let kept = self
            .directory()
            .join(format!("{}-{id}", self.image_prefix()));
        let to = kept.clone();
        on_host("keep a data directory", move || {
            if !marker.exists() {
                return Err(io::Error::other("the initialisation left no data"));
            }
            crash_point("spare.keep.before");
            host::sync_file_system(&directory)?;
            if let Some(parent) = to.parent() {
                host::directory(parent, Owner::PRIVATE)?;
            }
            host::relocate(&directory, &to)?;
            crash_point("spare.keep.after");
            Ok(())
        })
        .await?;
        tracing::info!(
            engine = self.engine.name(),
            version = self.version.name,
            "made a data directory"
        );
        Ok((kept, job))
    }

    /// Starts the initialisation in a container of its own.
    async fn run(&self, id: &InstanceId, plan: &Initialisation, data: &Path) -> Result<Job, Error> {
        let workload = self.workload(id, plan, data);
        crash_point("spare.run.before");
        let job = Job(self.create(workload).await?);
        let started = self.runtime.start(&job.0).await;
        let started = started.map_err(|e| failed(self.act(), e));
        crash_point("spare.run.after");
        self.or_clear(started, job).await
    }

    /// Has a container made. The engine makes it even when nobody waits for its answer any more,
    /// so that the request goes on without us, and whoever closes can wait for its end.
    async fn create(&self, workload: Workload) -> Result<ContainerId, Error> {
        let asked = Arc::clone(self.asking).read_owned().await;
        let runtime = Arc::clone(self.runtime);
        let request = tokio::spawn(async move {
            let created = runtime.create(&workload).await;
            drop(asked);
            created
        });
        match request.await {
            Ok(created) => created.map_err(|e| failed(self.act(), e)),
            Err(lost) => Err(Error::failed(self.act(), lost)),
        }
    }

    /// The job, unless it went wrong: then it is cleared away.
    async fn or_clear(&self, outcome: Result<(), Error>, job: Job) -> Result<Job, Error> {
        match outcome {
            Ok(()) => Ok(job),
            Err(error) => {
                if let Err(left) = self.clear(job).await {
                    tracing::debug!(error = %left, "an initialisation is left to be swept");
                }
                Err(error)
            }
        }
    }

    fn act(&self) -> String {
        format!("initialise a data directory for {}", self.engine.title())
    }

    /// Waits for a job's good end.
    async fn end(&self, job: &Job, plan: &Initialisation) -> Result<(), Error> {
        let limit = Duration::from_secs(u64::from(plan.timeout_seconds));
        match tokio::time::timeout(limit, self.runtime.wait(&job.0)).await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(code)) => {
                let words = self.runtime.logs(&job.0, LAST_WORDS_LINES).await;
                let words = words.unwrap_or_default().join(" / ");
                Err(Error::failed(
                    self.act(),
                    io::Error::other(format!("it ended with code {code}: {words}")),
                ))
            }
            Ok(Err(error)) => Err(failed(self.act(), error)),
            Err(late) => Err(Error::failed(self.act(), late)),
        }
    }

    fn workload(&self, id: &InstanceId, plan: &Initialisation, data: &Path) -> Workload {
        Workload {
            name: format!("berth-initialise-{id}"),
            labels: Labels {
                installation: self.installation.to_string(),
                instance: id.to_string(),
                role: Role::Initialise,
                spec: String::new(),
            },
            image: self.image.to_owned(),
            command: plan.command.clone(),
            owner: SERVICE,
            mounts: vec![HostMount {
                source: data.to_owned(),
                target: plan.data_path.to_owned(),
                access: Access::Write,
            }],
            network: None,
            published: None,
            limits: LIMITS,
            shared_memory_mb: 64,
            stop: Stop {
                signal: Signal::Terminate,
                timeout_seconds: 1,
            },
            restarts: false,
        }
    }
}

/// Moves the data out of a spare; `false` when someone else was quicker.
fn take(spare: &Path, to: &Path) -> io::Result<bool> {
    crash_point("data.claim.before");
    if !host::rename(&spare.join("data"), to)? {
        return Ok(false);
    }
    crash_point("data.claim.after");
    host::no_tree(spare)?;
    Ok(true)
}

/// Removes what interrupted makings have left. Call it while nothing is being made.
pub(crate) async fn sweep(
    runtime: &dyn ContainerRuntime,
    layout: &Layout,
    installation: &InstallationId,
) -> Result<(), Error> {
    let found = runtime
        .jobs(installation.as_str())
        .await
        .map_err(|e| failed("look for interrupted initialisations", e))?;
    for job in &found {
        remove(runtime, job).await?;
    }
    let spares = layout.spares();
    on_host("remove interrupted initialisations", move || {
        for name in host::names(&spares)? {
            if name.starts_with(MAKING) {
                host::no_tree(&spares.join(name))?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes what a process that died has left half moved or half removed. Call it before
/// anything else.
pub(crate) async fn sweep_host(layout: &Layout) -> Result<(), Error> {
    let (spares, rubbish) = (layout.spares(), layout.rubbish());
    on_host("remove what was left half done", move || {
        for version in host::names(&spares)? {
            let version = spares.join(version);
            for name in host::names(&version)? {
                // Its data was claimed and the directory around it was to go.
                if !version.join(&name).join("data").exists() {
                    host::no_tree(&version.join(name))?;
                }
            }
        }
        host::no_tree(&rubbish)
    })
    .await
}
