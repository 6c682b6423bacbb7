//! What stands in the env files of a project.

use super::format::{Format, Unwritable};
use super::read::Values;
use super::vantage::Vantage;
use crate::error::Doing;
use crate::view::View;
use crate::{Error, Services};
use berth_domain::{ProjectId, Secret, Slug};
use berth_store::{EventFilter, Reach};
use std::collections::{BTreeMap, BTreeSet};

/// Events that are read at a time.
const EVENTS: u32 = 500;
/// Projects that are read at a time.
const PROJECTS: u32 = 500;
/// Events that tell of reading: nothing that stands in a file changed.
const READINGS: [&str; 2] = ["env.read", "credentials.read"];

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// The format, which names the file.
    pub format: Format,
    /// What stands in it; or why there cannot be one.
    pub content: Result<Secret, Unwritable>,
}

/// The files of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFiles {
    /// The slug, after which their directory is named.
    pub slug: Slug,
    /// The files; none when the project is gone or has no variables.
    pub files: Vec<EnvFile>,
}

impl Services {
    /// The env files of a project; none when there never was one of that id. For berthd itself,
    /// which keeps them where the host's administrator alone can read: no reading is told.
    pub async fn env_files(&self, project: &ProjectId) -> Result<Option<EnvFiles>, Error> {
        let mut view = View::Store(&self.store);
        let found = view.project_by_id(project).await.doing("read a project")?;
        let Some(project) = found else {
            return Ok(None);
        };
        // The slug of one that is gone, and with it the directory, may be another's by now.
        let holder = view
            .living_project_by_slug(&project.slug)
            .await
            .doing("look for a project")?;
        let mut files = Vec::new();
        if let Some(holder) = holder {
            let environment = self
                .environment_of(&mut view, &holder, Vantage::Project, Values::Shown)
                .await?;
            if !environment.variables.is_empty() {
                files.extend(Format::ALL.map(|format| EnvFile {
                    format,
                    content: format.write(&environment.variables),
                }));
            }
        }
        Ok(Some(EnvFiles {
            slug: project.slug,
            files,
        }))
    }

    /// All living projects with their slugs, and the last event that they have seen.
    pub async fn env_projects(&self) -> Result<(BTreeMap<ProjectId, Slug>, i64), Error> {
        // The event first: what happens meanwhile is then looked at twice and not missed.
        let last = self
            .store
            .last_event()
            .await
            .doing("look for the last event")?;
        let mut all = BTreeMap::new();
        let mut after: Option<ProjectId> = None;
        loop {
            let page = self
                .store
                .projects_page(&Reach::default(), after.as_ref(), PROJECTS)
                .await
                .doing("list projects")?;
            after = page.rows.last().map(|project| project.id.clone());
            all.extend(
                page.rows
                    .into_iter()
                    .map(|project| (project.id, project.slug)),
            );
            if !page.more {
                return Ok((all, last));
            }
        }
    }

    /// The projects of which something happened after that event, and the last one.
    pub async fn env_projects_after(
        &self,
        mut event: i64,
    ) -> Result<(BTreeSet<ProjectId>, i64), Error> {
        let mut touched = BTreeSet::new();
        loop {
            let page = self
                .store
                .events_after(event, &EventFilter::default(), EVENTS)
                .await
                .doing("read the journal")?;
            event = page.rows.last().map_or(event, |last| last.sequence);
            touched.extend(
                page.rows
                    .into_iter()
                    .filter(|event| !READINGS.contains(&event.kind.as_str()))
                    .filter_map(|event| event.project_id),
            );
            if !page.more {
                return Ok((touched, event));
            }
        }
    }
}
