//! The journal, read.

use crate::databases::Reference;
use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Error, FieldError, Services};
use berth_domain::{Event, Timestamp, TokenId, UserId};
use berth_store::{EventFilter, Page};
use std::sync::Arc;
use tokio::sync::watch;

/// The longest kind of event that is looked for.
const KIND_BYTES_MAX: usize = 64;

/// From which end the journal is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As it was written.
    #[default]
    Oldest,
    /// The latest first.
    Newest,
}

/// Which events to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventList {
    /// Those of one project, by id or name.
    pub project: Option<String>,
    /// Those of one database, by id or name.
    pub database: Option<String>,
    /// Those of one kind, or of all kinds of one noun.
    pub kind: Option<String>,
    /// Those that a token or a person did, by id.
    pub actor: Option<String>,
    /// Those not before that moment, in RFC 3339.
    pub since: Option<String>,
    /// Those before that moment, in RFC 3339.
    pub until: Option<String>,
    /// From which end to read.
    pub order: Order,
}

/// Events as they come, from a point on.
pub struct EventStream {
    services: Arc<Services>,
    filter: EventFilter,
    after: i64,
    commits: watch::Receiver<i64>,
    token: Option<TokenId>,
}

impl Services {
    /// A page of the events that the caller sees, which come after `sequence` in their order;
    /// with none, the first page.
    pub async fn events(
        &self,
        caller: &Caller,
        list: &EventList,
        sequence: Option<i64>,
        limit: u32,
    ) -> Result<Page<Event>, Error> {
        let filter = self.event_filter(caller, list).await?;
        let store = &self.store;
        match list.order {
            Order::Oldest => {
                let after = sequence.unwrap_or(0);
                store.events_after(after, &filter, limit).await
            }
            Order::Newest => {
                let before = sequence.unwrap_or(i64::MAX);
                store.events_before(before, &filter, limit).await
            }
        }
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
            token: caller.token().cloned(),
        })
    }

    async fn event_filter(&self, caller: &Caller, list: &EventList) -> Result<EventFilter, Error> {
        let mut view = View::Store(&self.store);
        let project = match &list.project {
            Some(reference) => Some(self.project_row(&mut view, caller, reference).await?.id),
            None => None,
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
                Some(found.database.id.clone())
            }
            None => None,
        };
        let mut errors = Vec::new();
        let mut moment = |field: &str, text: &Option<String>| match text {
            None => None,
            Some(text) => Timestamp::parse(text).or_else(|| {
                errors.push(FieldError::invalid(
                    field,
                    "is not a time: use RFC 3339, such as 2030-01-31T12:00:00Z",
                ));
                None
            }),
        };
        let (since, until) = (moment("since", &list.since), moment("until", &list.until));
        let names_nobody = |id: &String| TokenId::parse(id).is_err() && UserId::parse(id).is_err();
        if list.actor.as_ref().is_some_and(names_nobody) {
            errors.push(FieldError::invalid(
                "actor",
                "is the id of no token (tok_…) and no user (usr_…)",
            ));
        }
        if list.kind.as_deref().is_some_and(|kind| !is_kind(kind)) {
            errors.push(FieldError::invalid(
                "kind",
                "is no kind of event: use one such as database.changed, or a noun such as database",
            ));
        }
        if !errors.is_empty() {
            return Err(Error::fields(errors));
        }
        Ok(EventFilter {
            reach: caller.reach_within(project),
            database,
            kind: list.kind.clone(),
            actor: list.actor.clone(),
            since,
            until,
        })
    }
}

/// Whether a kind of event, or what such kinds begin with, can be spelt like that.
fn is_kind(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b"._".contains(&b);
    (1..=KIND_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

impl EventStream {
    /// The next events, at least one, at most `limit`; waits until there is one. None once the
    /// store is closed or the token that asked opens nothing any more.
    pub async fn next(&mut self, limit: u32) -> Result<Option<Vec<Event>>, Error> {
        loop {
            self.commits.mark_unchanged();
            if !self.is_open().await? {
                return Ok(None);
            }
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

    /// Whether who follows may still read: a stream must not outlive its token.
    async fn is_open(&self) -> Result<bool, Error> {
        let Some(id) = &self.token else {
            return Ok(true);
        };
        let found = self.services.store.token_by_id(id).await;
        let now = self.services.clock.now();
        Ok(found
            .doing("look for a token")?
            .is_some_and(|t| t.revoked_at.is_none() && t.expires_at.is_none_or(|end| end > now)))
    }
}
