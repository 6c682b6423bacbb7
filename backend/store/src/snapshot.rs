//! All living rows of one kind, as they were at one version of the store.
//!
//! The first page reads everything within one transaction. What does not fit into it waits in
//! memory, for a bounded time and a bounded number of answers, so that the pages of one answer
//! are one version whatever happens in between.

use crate::databases::database_columns;
use crate::databases::record;
use crate::kept::List;
use crate::listing::ids_of;
use crate::observations::observation_columns;
use crate::projects;
use crate::reach::reached;
use crate::sql::{Link, Statement};
use crate::{Error, Reach, Store, Tell, Told};
use berth_domain::{Project, Timestamp};
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

/// How long the later pages of an answer can be asked for.
pub const SNAPSHOT_SECONDS_MAX: i64 = 60;
/// Answers that wait for their later pages; the oldest goes first.
const ANSWERS_MAX: usize = 8;

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Projects.
    Project,
    /// Databases, with what was last seen of each.
    Database,
}

/// The rows of one kind, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotRows {
    /// Projects.
    Projects(Vec<Project>),
    /// What is told of databases.
    Databases(Vec<Arc<Told>>),
}

/// One page of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotPage {
    /// The version of the store that all pages of this answer show.
    pub version: i64,
    /// The rows.
    pub rows: SnapshotRows,
    /// By which the next page is asked for.
    pub next_page_token: Option<String>,
}

/// Answers whose later pages have not been asked for yet.
#[derive(Default)]
pub(crate) struct Answers {
    made: u64,
    waiting: VecDeque<Arc<Answer>>,
}

struct Answer {
    number: u64,
    kind: SnapshotKind,
    reach: Reach,
    version: i64,
    rows: SnapshotRows,
    until: Timestamp,
}

impl Store {
    /// A page of all living rows of a kind that are reached, as they are at one version.
    ///
    /// Without a page token it is a new answer. With one, kind and reach must be those of the
    /// first page; `PageGone` once the answer has been forgotten.
    pub async fn snapshot_page(
        &self,
        kind: SnapshotKind,
        reach: &Reach,
        page_token: Option<&str>,
        limit: u32,
        now: Timestamp,
        tell: &Tell<'_>,
    ) -> Result<SnapshotPage, Error> {
        let limit = limit.max(1) as usize;
        if let Some(token) = page_token {
            let (answer, start) = self.waiting(token, now)?;
            if answer.kind != kind || answer.reach != *reach {
                return Err(Error::PageGone);
            }
            return Ok(answer.page(start, limit));
        }
        let (version, rows) = self.read_all(kind, reach, tell).await?;
        if rows.len() <= limit {
            return Ok(SnapshotPage {
                version,
                rows,
                next_page_token: None,
            });
        }
        let mut answers = self.answers();
        answers.made += 1;
        let answer = Arc::new(Answer {
            number: answers.made,
            kind,
            reach: reach.clone(),
            version,
            rows,
            until: now.plus_seconds(SNAPSHOT_SECONDS_MAX),
        });
        answers.waiting.retain(|answer| answer.until > now);
        if answers.waiting.len() == ANSWERS_MAX {
            answers.waiting.pop_front();
        }
        answers.waiting.push_back(Arc::clone(&answer));
        drop(answers);
        Ok(answer.page(0, limit))
    }

    /// The answer and the row that a page token names.
    fn waiting(&self, token: &str, now: Timestamp) -> Result<(Arc<Answer>, usize), Error> {
        let (number, start) = token.split_once('.').ok_or(Error::PageGone)?;
        let number: u64 = number.parse().map_err(|_| Error::PageGone)?;
        let start: usize = start.parse().map_err(|_| Error::PageGone)?;
        let mut answers = self.answers();
        answers.waiting.retain(|answer| answer.until > now);
        answers
            .waiting
            .iter()
            .find(|answer| answer.number == number && start < answer.rows.len())
            .map(|answer| (Arc::clone(answer), start))
            .ok_or(Error::PageGone)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Nothing that holds it can stop half way through a change.
        self.inner()
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_all(
        &self,
        kind: SnapshotKind,
        reach: &Reach,
        tell: &Tell<'_>,
    ) -> Result<(i64, SnapshotRows), Error> {
        match kind {
            SnapshotKind::Project => {
                let (version, rows) = self
                    .at_one_version("snapshot_page", async |link, _| {
                        living_projects(link, reach).await
                    })
                    .await?;
                Ok((version, SnapshotRows::Projects(rows)))
            }
            SnapshotKind::Database => {
                let list = List::Living(reach.clone());
                let (version, rows) = match self.inner().kept.list(&list) {
                    Some(kept) => kept,
                    None => {
                        let (ids, rows) = (living_ids(reach), living_databases(reach));
                        self.told_list("snapshot_page", list, ids, rows, tell)
                            .await?
                    }
                };
                Ok((version, SnapshotRows::Databases(rows.to_vec())))
            }
        }
    }
}

async fn living_projects(link: &mut Link<'_>, reach: &Reach) -> Result<Vec<Project>, Error> {
    sql!(
        "snapshot_projects",
        "SELECT * FROM projects WHERE destroyed_at IS NULL AND ",
        reached!("id", "$1", "$2"),
        " ORDER BY created_at, id"
    )
    .bind(reach.project_text())
    .bind(reach.member_text())
    .each(link, projects::read)
    .await
}

/// The ids of the same databases, for `told_ids`.
fn living_ids(reach: &Reach) -> Statement<'_> {
    sql!(
        "snapshot_ids",
        ids_of!(concat!(
            "WHERE intent <> 'destroy' AND ",
            reached!("databases.project_id", "$1", "$2")
        ))
    )
    .bind(reach.project_text())
    .bind(reach.member_text())
}

fn living_databases(reach: &Reach) -> Statement<'_> {
    sql!(
        "snapshot_databases",
        record!(),
        "WHERE intent <> 'destroy' AND ",
        reached!("databases.project_id", "$1", "$2"),
        " ORDER BY databases.created_at, databases.id"
    )
    .bind(reach.project_text())
    .bind(reach.member_text())
}

impl SnapshotRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Projects(rows) => rows.len(),
            Self::Databases(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slice(&self, start: usize, end: usize) -> Self {
        match self {
            Self::Projects(rows) => Self::Projects(rows[start..end].to_vec()),
            Self::Databases(rows) => Self::Databases(rows[start..end].to_vec()),
        }
    }
}

impl Answer {
    /// Rows from `start`, which is not past the last one.
    fn page(&self, start: usize, limit: usize) -> SnapshotPage {
        let end = self.rows.len().min(start.saturating_add(limit));
        SnapshotPage {
            version: self.version,
            rows: self.rows.slice(start, end),
            next_page_token: (end < self.rows.len()).then(|| format!("{}.{end}", self.number)),
        }
    }
}
