//! The journal, read.

mod stream;

pub use stream::EventStream;

use crate::databases::Reference;
use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{Event, ProjectId, Timestamp, TokenId, UserId};
use berth_store::{EventFilter, Page};

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
                self.journal_reaches(after).await?;
                store.events_after(after, &filter, limit).await
            }
            Order::Newest => {
                let before = sequence.unwrap_or(i64::MAX);
                store.events_before(before, &filter, limit).await
            }
        }
        .doing("read the journal")
    }

    /// Refuses what is to go on after an event that the journal does not have. Whoever saw one of
    /// that number saw another journal, such as the one before the store was brought back from an
    /// older copy, and would hear nothing until the numbers have come up to it again.
    async fn journal_reaches(&self, sequence: i64) -> Result<(), Error> {
        if sequence <= self.store.watch_journal().borrow().last {
            return Ok(());
        }
        let last = self.store.last_event().await.doing("read the journal")?;
        if sequence <= last {
            return Ok(());
        }
        Err(Error::refused(
            Code::PageGone,
            format!(
                "there is no event {sequence}, the journal ends with {last}: what was read before is of another journal, so begin anew without that number"
            ),
        ))
    }

    /// The project that a reference means: also a destroyed one, by its id, as its databases are
    /// found. What was done to it is asked for when it is gone.
    async fn project_of_events(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        reference: &str,
    ) -> Result<ProjectId, Error> {
        if let Ok(id) = ProjectId::parse(reference)
            && caller.sees(&id)
        {
            let found = view.project_by_id(&id).await.doing("read a project")?;
            if found.is_some_and(|project| project.destroyed_at.is_some()) {
                caller.admitted(&id)?;
                return Ok(id);
            }
        }
        let found = self.project_row(view, caller, reference).await?;
        Ok(found.id)
    }

    async fn event_filter(&self, caller: &Caller, list: &EventList) -> Result<EventFilter, Error> {
        let mut view = View::Store(&self.store);
        let project = match &list.project {
            Some(reference) => Some(self.project_of_events(&mut view, caller, reference).await?),
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
