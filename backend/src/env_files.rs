//! The env files on the host: for each project with variables a directory in memory, with a file
//! for each format that is a file's.

#[cfg(test)]
mod tests;

use crate::data_root;
use async_trait::async_trait;
use berth_containers::{in_memory, own_memory, withdraw};
use berth_domain::{ProjectId, Slug};
use berth_services::Services;
use berth_services::env::{EnvFile, EnvFiles};
use berth_store::Journal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long further changes are waited for after one, which are then written together.
const GATHER_MILLIS: u64 = 50;
/// When what could not be written is tried again.
const RETRY_SECONDS: u64 = 2;

/// Why the files of a project are not as they should be.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// What stands in them could not be read.
    #[error("could not read the variables of {project}")]
    Read {
        project: ProjectId,
        source: berth_services::Error,
    },
    /// A directory could not be handled.
    #[error("could not {act} {}", path.display())]
    Directory {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] data_root::Error),
}

/// The rows, as far as they concern env files.
#[async_trait]
pub trait Rows: Send + Sync {
    /// All living projects with their slugs, and the last event that they have seen.
    async fn projects(&self) -> Result<(BTreeMap<ProjectId, Slug>, i64), berth_services::Error>;
    /// The projects of which something happened after that event, and the last one.
    async fn projects_after(
        &self,
        event: i64,
    ) -> Result<(BTreeSet<ProjectId>, i64), berth_services::Error>;
    /// The files of one; none when there never was one of that id.
    async fn files(&self, project: &ProjectId) -> Result<Option<EnvFiles>, berth_services::Error>;
}

#[async_trait]
impl Rows for Services {
    async fn projects(&self) -> Result<(BTreeMap<ProjectId, Slug>, i64), berth_services::Error> {
        self.env_projects().await
    }

    async fn projects_after(
        &self,
        event: i64,
    ) -> Result<(BTreeSet<ProjectId>, i64), berth_services::Error> {
        self.env_projects_after(event).await
    }

    async fn files(&self, project: &ProjectId) -> Result<Option<EnvFiles>, berth_services::Error> {
        self.env_files(project).await
    }
}

/// Keeps the env files as the rows say.
pub struct Keeper {
    rows: Arc<dyn Rows>,
    journal: watch::Receiver<Journal>,
    directory: Directory,
    /// What could not be done yet.
    pending: BTreeSet<ProjectId>,
    /// The journal could not be read yet.
    is_behind: bool,
    last_event: i64,
    told: BTreeMap<ProjectId, String>,
}

impl Keeper {
    /// Will keep files below `run_root`, whenever `journal` tells of a change.
    pub fn new(
        rows: Arc<impl Rows + 'static>,
        journal: watch::Receiver<Journal>,
        run_root: PathBuf,
    ) -> Self {
        Self {
            rows,
            journal,
            directory: Directory { run_root },
            pending: BTreeSet::new(),
            is_behind: true,
            last_event: 0,
            told: BTreeMap::new(),
        }
    }

    /// Fills the directory, which is empty after a reboot, and follows each change until
    /// `stopping` says so. The files stay: applications need them also while berthd is away.
    pub async fn keep(mut self, mut stopping: watch::Receiver<bool>) {
        let mut begun = false;
        loop {
            // Before it is read: what is written in between is looked for the next time.
            self.journal.mark_unchanged();
            if begun {
                self.follow().await;
            } else {
                begun = self.begin().await;
            }
            let patience = self.patience();
            let mut journal = self.journal.clone();
            let is_open = tokio::select! {
                _stop = stopping.wait_for(|stop| *stop) => return,
                () = retry(patience) => true,
                changed = journal.changed() => changed.is_ok(),
            };
            if !is_open {
                // The store is closed: there will be no change.
                let _stopped = stopping.wait_for(|stop| *stop).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(GATHER_MILLIS)).await;
        }
    }

    /// How long after a look the next one is due though nothing was told of; none when all that
    /// is known has been written.
    fn patience(&self) -> Option<Duration> {
        // A commit in doubt may still happen, and nobody will tell of it.
        let is_in_doubt = self.journal.borrow().doubted > self.last_event;
        let waits = self.is_behind || is_in_doubt || !self.pending.is_empty();
        waits.then_some(Duration::from_secs(RETRY_SECONDS))
    }

    /// Takes away what is left of projects that went while nobody looked, and orders all files.
    async fn begin(&mut self) -> bool {
        match self.rows.projects().await {
            Ok((all, last)) => {
                (self.last_event, self.is_behind) = (last, false);
                // Of all that live: what could not be read just now is no reason to take away
                // what an application reads.
                let slugs = all.values().map(ToString::to_string).collect();
                for project in all.into_keys() {
                    self.write(&project).await;
                }
                let directory = self.directory.clone();
                let swept = on_host(move || directory.sweep(&slugs)).await;
                if let Err(error) = swept {
                    tracing::warn!(
                        error = crate::chain(&error),
                        "could not take old env files away"
                    );
                }
                true
            }
            Err(error) => {
                tracing::warn!(
                    error = crate::chain(&error),
                    "could not look for env files to write"
                );
                false
            }
        }
    }

    async fn follow(&mut self) {
        match self.rows.projects_after(self.last_event).await {
            Ok((touched, last)) => {
                (self.last_event, self.is_behind) = (last, false);
                self.pending.extend(touched);
            }
            Err(error) => {
                self.is_behind = true;
                tracing::warn!(
                    error = crate::chain(&error),
                    "could not look for changed environments"
                );
            }
        }
        for project in std::mem::take(&mut self.pending) {
            self.write(&project).await;
        }
    }

    /// Writes the files of a project, now or later.
    async fn write(&mut self, project: &ProjectId) {
        if let Err(error) = self.try_write(project).await {
            tracing::warn!(error = crate::chain(&error), "env files are not up to date");
            self.pending.insert(project.clone());
        }
    }

    async fn try_write(&mut self, project: &ProjectId) -> Result<(), Error> {
        let found = self.rows.files(project).await;
        let found = found.map_err(|source| Error::Read {
            project: project.clone(),
            source,
        })?;
        let Some(files) = found else {
            return Ok(());
        };
        self.tell_unwritable(project, &files);
        let directory = self.directory.clone();
        on_host(move || directory.write(&files)).await
    }

    /// Says once which variable keeps a file from being written.
    fn tell_unwritable(&mut self, project: &ProjectId, files: &EnvFiles) {
        let reasons: Vec<_> = files
            .files
            .iter()
            .filter_map(|file| file.content.as_ref().err())
            .map(ToString::to_string)
            .collect();
        let reason = reasons.join("; ");
        if reason.is_empty() {
            self.told.remove(project);
        } else if self.told.get(project) != Some(&reason) {
            tracing::warn!(project.id = %project, reason, "an env file is left out");
            self.told.insert(project.clone(), reason);
        }
    }
}

async fn retry(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

async fn on_host<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

/// Where the files are.
#[derive(Clone)]
struct Directory {
    run_root: PathBuf,
}

impl Directory {
    fn all(&self) -> PathBuf {
        self.run_root.join("env")
    }

    /// Makes the files of one project as they should be.
    fn write(&self, files: &EnvFiles) -> Result<(), Error> {
        let (all, own) = (self.all(), self.all().join(files.slug.as_str()));
        if files.files.is_empty() {
            return self.remove(&own);
        }
        in_memory(&self.run_root)
            .map_err(failed("make a directory in memory of", &self.run_root))?;
        // Whoever may write variables must not take the room that keys and configurations need.
        own_memory(&all).map_err(failed("make a file system in memory of", &all))?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&own)
            .map_err(failed("make", &own))?;
        for file in &files.files {
            write_file(&own, file)?;
        }
        Ok(())
    }

    /// Takes away the directories of all but these slugs, and what an interrupted removal left.
    fn sweep(&self, slugs: &BTreeSet<String>) -> Result<(), Error> {
        let all = self.all();
        let entries = match fs::read_dir(&all) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.withdraw(),
            Err(error) => return Err(failed("list", &all)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed("list", &all))?;
            let kept = entry.file_name();
            if !kept.to_str().is_some_and(|name| slugs.contains(name)) {
                self.remove(&entry.path())?;
            }
        }
        self.withdraw()
    }

    /// Takes a project's directory away, and what held it when it was the last.
    fn remove(&self, own: &Path) -> Result<(), Error> {
        match fs::remove_dir_all(own) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove", own)(error)),
        }
        self.withdraw()
    }

    /// Takes away what holds nothing any more.
    fn withdraw(&self) -> Result<(), Error> {
        for directory in [&self.all(), &self.run_root] {
            withdraw(directory).map_err(failed("remove", directory))?;
        }
        Ok(())
    }
}

fn write_file(own: &Path, file: &EnvFile) -> Result<(), Error> {
    let path = own.join(file.format.as_str());
    let Ok(content) = &file.content else {
        // An old one would be taken for the whole.
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        };
    };
    let text = content.reveal();
    if data_root::read(&path)?.as_deref() == Some(text) {
        return Ok(());
    }
    // The end of the last line is written with the file.
    let lines = text.strip_suffix('\n').unwrap_or(text);
    Ok(data_root::write(&path, lines, 0o600)?)
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Directory { act, path, source }
}
