//! The journal, read.

use crate::databases::Reference;
use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Error, Services};
use berth_domain::Event;
use berth_store::{EventFilter, Page};
use std::sync::Arc;
use tokio::sync::watch;

/// Which events to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventList {
    /// Those of one project, by id or name.
    pub project: Option<String>,
    /// Those of one database, by id or name.
    pub database: Option<String>,
}

/// Events as they come, from a point on.
pub struct EventStream {
    services: Arc<Services>,
    filter: EventFilter,
    after: i64,
    commits: watch::Receiver<i64>,
}

impl Services {
    /// A page of the events after `sequence` that the caller sees, in order.
    pub async fn events(
        &self,
        caller: &Caller,
        list: &EventList,
        sequence: i64,
        limit: u32,
    ) -> Result<Page<Event>, Error> {
        let filter = self.event_filter(caller, list).await?;
        self.store
            .events_after(sequence, &filter, limit)
            .await
            .doing("read the journal")
    }

    /// Follows the events after `sequence`; with none, those that happen from now on.
    pub async fn follow_events(
        self: &Arc<Self>,
        caller: &Caller,
        list: &EventList,
        sequence: Option<i64>,
    ) -> Result<EventStream, Error> {
        let filter = self.event_filter(caller, list).await?;
        let commits = self.store.watch_version();
        let after = match sequence {
            Some(sequence) => sequence,
            None => self.store.last_event().await.doing("read the journal")?,
        };
        Ok(EventStream {
            services: Arc::clone(self),
            filter,
            after,
            commits,
        })
    }

    async fn event_filter(&self, caller: &Caller, list: &EventList) -> Result<EventFilter, Error> {
        let mut view = View::Store(&self.store);
        let project = match &list.project {
            Some(reference) => Some(self.project_row(&mut view, caller, reference).await?.id),
            None => caller.project.clone(),
        };
        let database = match &list.database {
            Some(reference) => {
                let reference = Reference {
                    database: reference,
                    project: list.project.as_deref(),
                };
                let found = self
                    .database(caller, reference.database, reference.project)
                    .await?;
                Some(found.database.id)
            }
            None => None,
        };
        Ok(EventFilter { project, database })
    }
}

impl EventStream {
    /// The next events, at least one, at most `limit`; waits until there is one. None once the
    /// store is closed.
    pub async fn next(&mut self, limit: u32) -> Result<Option<Vec<Event>>, Error> {
        loop {
            self.commits.mark_unchanged();
            let page = self
                .services
                .store
                .events_after(self.after, &self.filter, limit)
                .await
                .doing("read the journal")?;
            if let Some(last) = page.rows.last() {
                self.after = last.sequence;
                return Ok(Some(page.rows));
            }
            if self.commits.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
