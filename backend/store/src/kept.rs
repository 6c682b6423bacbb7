//! What readers were told of rows, as long as these have not been changed.
//!
//! A file has one writer, and that is this process: each commit passes here and says which rows
//! it touched. So what is kept is exactly what the store holds at the version that stands beside
//! it, and a request for what was asked for before costs no statement. Of a server's rows nothing
//! is kept: when its writer's lock is lost, another berthd may write without being heard here.

use crate::Reach;
use crate::listing::DatabaseFilter;
use crate::tokens::Bearer;
use crate::told::Told;
use berth_domain::{DatabaseId, OperationId};
use hashlink::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Databases of which it is kept what they are told as; the one that was not asked for the
/// longest goes first.
const DATABASES_MAX: usize = 16_384;
/// Tokens that are kept.
const BEARERS_MAX: usize = 1_024;
/// Lists that are kept, and how long one may be.
const LISTS_MAX: usize = 32;
const LISTED_MAX: usize = 4_096;

/// Which databases are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum List {
    /// A page of a filter: what it follows, and how long it is.
    Page(DatabaseFilter, Option<DatabaseId>, u32),
    /// All that live within a reach.
    Living(Reach),
}

/// Which of the rows that may be kept a statement changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Touches<'a> {
    /// None of them.
    Nothing,
    /// A database, what was seen of it, or which operation is its last.
    Database(&'a DatabaseId),
    /// Tokens, users or members.
    People,
    /// None of them, but the journal: an event got that number.
    Event(i64),
    /// None of them, but an operation has ended.
    End(&'a OperationId),
    /// Any of them.
    Everything,
}

/// What a transaction has touched so far.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    databases: Vec<DatabaseId>,
    people: bool,
    everything: bool,
    last_event: Option<i64>,
    ended: Vec<OperationId>,
}

impl Touched {
    pub(crate) fn add(&mut self, touches: Touches<'_>) {
        match touches {
            Touches::Nothing => {}
            Touches::Database(id) => self.databases.push(id.clone()),
            Touches::People => self.people = true,
            Touches::Event(number) => self.last_event = self.last_event.max(Some(number)),
            Touches::End(id) => self.ended.push(id.clone()),
            Touches::Everything => self.everything = true,
        }
    }

    /// The databases; none when any may be touched.
    pub(crate) fn named(&self) -> Option<&[DatabaseId]> {
        (!self.everything).then_some(&self.databases)
    }

    /// The operations that have ended; none when any may have.
    pub(crate) fn ended(&self) -> Option<&[OperationId]> {
        (!self.everything).then_some(&self.ended)
    }

    /// The number of the last event that was written.
    pub(crate) fn last_event(&self) -> Option<i64> {
        self.last_event
    }
}

/// Rows in memory, for a store whose commits all pass here.
pub(crate) struct Kept {
    rows: Option<Mutex<Rows>>,
}

struct Rows {
    /// The version that everything here shows; none while that is not known.
    version: Option<i64>,
    /// The version of which nobody knows whether it was made; none up to it is believed.
    doubted: i64,
    databases: LruCache<DatabaseId, Arc<Told>>,
    bearers: LruCache<String, Arc<Bearer>>,
    /// What each list shows, with the one after its end.
    lists: LruCache<List, Arc<[Arc<Told>]>>,
}

impl Kept {
    /// Nothing yet, at a version.
    pub(crate) fn at(version: i64) -> Self {
        Self {
            rows: Some(Mutex::new(Rows {
                version: Some(version),
                doubted: 0,
                databases: LruCache::new(DATABASES_MAX),
                bearers: LruCache::new(BEARERS_MAX),
                lists: LruCache::new(LISTS_MAX),
            })),
        }
    }

    /// Keeps nothing, ever.
    pub(crate) fn never() -> Self {
        Self { rows: None }
    }

    fn rows(&self) -> Option<MutexGuard<'_, Rows>> {
        let rows = self.rows.as_ref()?;
        // Nothing that holds it can stop half way through a change.
        Some(rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rows, while they show that version.
    fn rows_at(&self, version: i64) -> Option<MutexGuard<'_, Rows>> {
        self.rows().filter(|rows| rows.version == Some(version))
    }

    /// Takes a commit in before anybody is told of it.
    pub(crate) fn committed(&self, version: i64, touched: &Touched) {
        if let Some(mut rows) = self.rows() {
            rows.committed(version, touched);
        }
    }

    /// Forgets everything, after a commit of which nobody knows whether it made that version.
    pub(crate) fn doubt(&self, version: i64) {
        if let Some(mut rows) = self.rows() {
            rows.forget_all();
            rows.version = None;
            rows.doubted = version;
        }
    }

    /// Whether anything is ever kept.
    pub(crate) fn is_on(&self) -> bool {
        self.rows.is_some()
    }

    /// What is told of a database.
    pub(crate) fn told(&self, id: &DatabaseId) -> Option<Arc<Told>> {
        self.rows()?.databases.get(id).cloned()
    }

    /// The same of each of those, in its place; none when what is kept shows another version.
    pub(crate) fn told_of(
        &self,
        version: i64,
        ids: &[DatabaseId],
    ) -> Option<Vec<Option<Arc<Told>>>> {
        let mut rows = self.rows_at(version)?;
        let found = ids.iter().map(|id| rows.databases.get(id).cloned());
        Some(found.collect())
    }

    /// Keeps what is told of databases that were read at a version, unless there is a newer one
    /// by now.
    pub(crate) fn keep_told<'a>(
        &self,
        version: i64,
        databases: impl IntoIterator<Item = &'a Arc<Told>>,
    ) {
        if let Some(mut rows) = self.rows_at(version) {
            for told in databases {
                rows.databases.insert(told.id.clone(), Arc::clone(told));
            }
        }
    }

    /// A whole list and the version that it shows, when it is kept.
    pub(crate) fn list(&self, list: &List) -> Option<(i64, Arc<[Arc<Told>]>)> {
        let mut rows = self.rows()?;
        let version = rows.version?;
        Some((version, Arc::clone(rows.lists.get(list)?)))
    }

    /// Keeps what a list shows at a version, unless there is a newer one by now.
    pub(crate) fn keep_list(&self, version: i64, list: List, shown: &Arc<[Arc<Told>]>) {
        if shown.len() <= LISTED_MAX
            && let Some(mut rows) = self.rows_at(version)
        {
            rows.lists.insert(list, Arc::clone(shown));
        }
    }

    /// The bearer of a token, by the token's hash.
    pub(crate) fn bearer(&self, hash: &str) -> Option<Arc<Bearer>> {
        self.rows()?.bearers.get(hash).cloned()
    }

    /// Keeps a bearer that was read at a version, unless there is a newer one by now.
    pub(crate) fn keep_bearer(&self, version: i64, hash: &str, bearer: &Arc<Bearer>) {
        if let Some(mut rows) = self.rows_at(version) {
            rows.bearers.insert(hash.to_owned(), Arc::clone(bearer));
        }
    }
}

impl Rows {
    fn committed(&mut self, version: i64, touched: &Touched) {
        // Commits follow one another, but two may arrive here in the other order. What the late
        // one touched was forgotten with everything else when the early one came.
        let follows = self.version.is_some_and(|own| own + 1 == version);
        let is_late = self.version.is_some_and(|own| own >= version);
        if touched.everything || !(follows || is_late) {
            self.forget_all();
        }
        if touched.people {
            self.bearers.clear();
        }
        // What a list shows depends on rows, and on who is a member of what.
        if touched.people || !touched.databases.is_empty() {
            self.lists.clear();
        }
        for id in &touched.databases {
            self.databases.remove(id);
        }
        if !is_late && version > self.doubted {
            self.version = Some(version);
        }
    }

    fn forget_all(&mut self) {
        self.databases.clear();
        self.bearers.clear();
        self.lists.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_domain::{TokenId, UserId};

    fn bearer() -> Arc<Bearer> {
        Arc::new(Bearer {
            token: berth_domain::Token {
                id: TokenId::from_entropy([1; 8]),
                name: "ci".to_owned(),
                hash: "00".to_owned(),
                scopes: berth_domain::Scopes::of([]),
                project_id: None,
                user_id: UserId::administrator(),
                created_at: berth_domain::Timestamp::from_millis(0),
                expires_at: None,
                revoked_at: None,
            },
            user_name: None,
            roles: std::collections::BTreeMap::new(),
        })
    }

    fn touched(touches: Touches<'_>) -> Touched {
        let mut touched = Touched::default();
        touched.add(touches);
        touched
    }

    #[test]
    fn what_a_commit_touched_is_forgotten_and_the_rest_is_not() {
        let kept = Kept::at(7);
        kept.keep_bearer(7, "a", &bearer());
        kept.committed(8, &touched(Touches::Nothing));
        assert!(kept.bearer("a").is_some());
        kept.committed(9, &touched(Touches::People));
        assert!(kept.bearer("a").is_none());
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let kept = Kept::at(7);
        kept.committed(8, &touched(Touches::People));
        kept.keep_bearer(7, "a", &bearer());
        assert!(kept.bearer("a").is_none());
    }

    #[test]
    fn commits_that_arrive_in_the_other_order_leave_nothing_old() {
        let kept = Kept::at(7);
        kept.keep_bearer(7, "a", &bearer());
        kept.committed(9, &touched(Touches::Nothing));
        // What the commit 8 touched is not known yet.
        assert!(kept.bearer("a").is_none());
        kept.keep_bearer(9, "a", &bearer());
        kept.committed(8, &touched(Touches::People));
        assert!(kept.told_of(9, &[]).is_some(), "the version went back");
    }

    #[test]
    fn after_a_commit_in_doubt_nothing_is_kept_until_the_next() {
        let kept = Kept::at(7);
        kept.keep_bearer(7, "a", &bearer());
        kept.doubt(8);
        assert!(kept.bearer("a").is_none());
        kept.keep_bearer(7, "a", &bearer());
        // The one before it arrives late.
        kept.committed(7, &touched(Touches::Nothing));
        kept.keep_bearer(7, "a", &bearer());
        assert!(kept.bearer("a").is_none());
        kept.committed(9, &touched(Touches::Nothing));
        kept.keep_bearer(9, "a", &bearer());
        assert!(kept.bearer("a").is_some());
    }

    #[test]
    fn a_store_of_many_writers_keeps_nothing() {
        let kept = Kept::never();
        kept.keep_bearer(1, "a", &bearer());
        assert!(kept.bearer("a").is_none() && kept.told_of(1, &[]).is_none());
    }
}
