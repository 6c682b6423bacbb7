//! Databases as they are read again and again: from memory, where they have not changed since.

use crate::databases::{DatabaseRecord, database_record, database_record_and_version};
use crate::kept::List;
use crate::listing::{DatabaseFilter, ids_page, page_since, told_ids};
use crate::sql::{Link, Statement};
use crate::{Error, Page, Store};
use berth_domain::DatabaseId;
use serde_json::value::RawValue;
use std::borrow::Borrow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// So many that have changed are read one by one; beyond that, all are read at once.
const READ_ONE_BY_ONE_MAX: usize = 16;

/// A database as it was read, shared by all who read it until it changes.
#[derive(Debug)]
pub struct SharedDatabase {
    record: DatabaseRecord,
    shown: OnceLock<Box<RawValue>>,
    tag: OnceLock<i64>,
}

impl SharedDatabase {
    /// How the record is written for readers; `show` is called until it once succeeds.
    ///
    /// # Assumptions
    /// Every caller shows it in the same way.
    pub fn shown<E>(
        &self,
        show: impl FnOnce(&DatabaseRecord) -> Result<Box<RawValue>, E>,
    ) -> Result<&RawValue, E> {
        if let Some(shown) = self.shown.get() {
            return Ok(shown);
        }
        let shown = show(&self.record)?;
        Ok(self.shown.get_or_init(|| shown))
    }

    /// By what a reader tells it from what it becomes; `tag` is called once.
    ///
    /// # Assumptions
    /// Every caller tags it in the same way.
    pub fn tag(&self, tag: impl FnOnce(&DatabaseRecord) -> i64) -> i64 {
        *self.tag.get_or_init(|| tag(&self.record))
    }

    /// The text and the tag, once there are both; of what was purged neither is told for long.
    pub(crate) fn told(&self) -> Option<(&str, i64)> {
        if self.record.database.purged_at.is_some() {
            return None;
        }
        Some((self.shown.get()?.get(), *self.tag.get()?))
    }
}

impl From<DatabaseRecord> for SharedDatabase {
    fn from(record: DatabaseRecord) -> Self {
        Self {
            record,
            shown: OnceLock::new(),
            tag: OnceLock::new(),
        }
    }
}

impl Deref for SharedDatabase {
    type Target = DatabaseRecord;

    fn deref(&self) -> &DatabaseRecord {
        &self.record
    }
}

impl Borrow<DatabaseRecord> for Arc<SharedDatabase> {
    fn borrow(&self) -> &DatabaseRecord {
        &self.record
    }
}

impl PartialEq for SharedDatabase {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for SharedDatabase {}

impl Store {
    /// The database with that id, destroyed or not, and what was last seen of it; shared with
    /// those who read it before.
    pub async fn shared_database(
        &self,
        id: &DatabaseId,
    ) -> Result<Option<Arc<SharedDatabase>>, Error> {
        let kept = &self.inner().kept;
        if let Some(found) = kept.database(id) {
            return Ok(Some(found));
        }
        let mut reader = self.reader().await?;
        let read = database_record_and_version(&mut reader.link(), id).await?;
        Ok(read.map(|(version, record)| {
            let found = shared(record);
            kept.keep_databases(version, [&found]);
            found
        }))
    }

    /// Databases, oldest first, that follow the one named; shared with those who read them
    /// before.
    pub async fn shared_databases_page(
        &self,
        filter: &DatabaseFilter,
        after: Option<&DatabaseId>,
        limit: u32,
    ) -> Result<Page<Arc<SharedDatabase>>, Error> {
        let since = match after {
            None => None,
            Some(id) => Some(self.shared_database(id).await?.ok_or(Error::PageGone)?),
        };
        let since = since.as_ref().map(|shared| &shared.database);
        let (_, page) = self
            .kept_or_read(
                "shared_databases_page",
                List::Page(filter.clone(), after.cloned(), limit),
                ids_page(filter, since, limit),
                Some(limit),
                async |link| page_since(link, filter, since, limit).await,
            )
            .await?;
        Ok(page)
    }

    /// Databases at one version of the store: a list that is kept; or those whose ids a statement
    /// tells, from what is kept; or else, by another statement, what `read` finds.
    pub(crate) async fn kept_or_read(
        &self,
        act: &'static str,
        list: List,
        ids: Statement<'_>,
        limit: Option<u32>,
        read: impl AsyncFnOnce(&mut Link<'_>) -> Result<Page<DatabaseRecord>, Error>,
    ) -> Result<(i64, Page<Arc<SharedDatabase>>), Error> {
        let kept = &self.inner().kept;
        if let Some((version, rows)) = kept.list(&list) {
            return Ok((version, cut(rows, limit)));
        }
        let mut known = None;
        if kept.is_on() {
            let (version, ids) = told_ids(ids, &mut self.reader().await?.link()).await?;
            let found = kept.databases(version, &ids).unwrap_or_default();
            let missing = found.iter().filter(|found| found.is_none()).count();
            if found.len() == ids.len() && missing == 0 {
                kept.keep_list(version, list, ids);
                return Ok((version, cut(found.into_iter().flatten().collect(), limit)));
            }
            if found.len() == ids.len() && missing <= READ_ONE_BY_ONE_MAX {
                known = Some((version, ids, found));
            }
        }
        self.at_one_version(act, async |link, version| {
            let rows = match known {
                Some((of, ids, found)) if of == version => missing_read(link, &ids, found).await?,
                _ => {
                    let Page { rows, more } = read(link).await?;
                    let rows: Vec<_> = rows.into_iter().map(shared).collect();
                    kept.keep_databases(version, &rows);
                    return Ok(Page { rows, more });
                }
            };
            kept.keep_databases(version, &rows);
            Ok(cut(rows, limit))
        })
        .await
    }
}

/// What was found, and each of the others read.
async fn missing_read(
    link: &mut Link<'_>,
    ids: &[DatabaseId],
    found: Vec<Option<Arc<SharedDatabase>>>,
) -> Result<Vec<Arc<SharedDatabase>>, Error> {
    let mut rows = Vec::with_capacity(ids.len());
    for (id, found) in ids.iter().zip(found) {
        rows.extend(match found {
            Some(found) => Some(found),
            None => database_record(link, id).await?.map(shared),
        });
    }
    Ok(rows)
}

fn cut<T>(rows: Vec<T>, limit: Option<u32>) -> Page<T> {
    match limit {
        Some(limit) => Page::cut(rows, limit),
        None => Page::whole(rows),
    }
}

fn shared(record: DatabaseRecord) -> Arc<SharedDatabase> {
    Arc::new(SharedDatabase::from(record))
}
