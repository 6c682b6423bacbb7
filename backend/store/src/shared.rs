//! Databases as they are read again and again: from memory, where they have not changed since.

use crate::databases::{self, DatabaseFilter, DatabaseRecord, database_record};
use crate::sql::Link;
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
}

impl From<DatabaseRecord> for SharedDatabase {
    fn from(record: DatabaseRecord) -> Self {
        Self {
            record,
            shown: OnceLock::new(),
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
        let read = self.at_one_version("shared_database", async |link, _| {
            database_record(link, id).await
        });
        let (version, found) = read.await?;
        let found = found.map(|record| Arc::new(SharedDatabase::from(record)));
        kept.keep_databases(version, &found);
        Ok(found)
    }

    /// Databases, oldest first, that follow the one named; shared with those who read them
    /// before.
    pub async fn shared_databases_page(
        &self,
        filter: &DatabaseFilter,
        after: Option<&DatabaseId>,
        limit: u32,
    ) -> Result<Page<Arc<SharedDatabase>>, Error> {
        let (_, page) = self
            .kept_or_read(
                "databases_page",
                async |link| {
                    let ids = databases::ids_page(link, filter, after, limit).await?;
                    Ok(Page::cut(ids, limit))
                },
                async |link| databases::databases_page(link, filter, after, limit).await,
            )
            .await?;
        Ok(page)
    }

    /// Databases at one version of the store: those of `ids` from what is kept, or else what
    /// `read` finds.
    pub(crate) async fn kept_or_read(
        &self,
        act: &'static str,
        ids: impl AsyncFnOnce(&mut Link<'_>) -> Result<Page<DatabaseId>, Error>,
        read: impl AsyncFnOnce(&mut Link<'_>) -> Result<Page<DatabaseRecord>, Error>,
    ) -> Result<(i64, Page<Arc<SharedDatabase>>), Error> {
        let kept = &self.inner().kept;
        self.at_one_version(act, async |link, version| {
            if kept.shows(version) {
                let Page { rows: ids, more } = ids(link).await?;
                let found = kept.databases(version, &ids).unwrap_or_default();
                let missing = found.iter().filter(|found| found.is_none()).count();
                if found.len() == ids.len() && missing <= READ_ONE_BY_ONE_MAX {
                    let mut rows = Vec::with_capacity(ids.len());
                    for (id, found) in ids.iter().zip(found) {
                        rows.extend(match found {
                            Some(found) => Some(found),
                            None => database_record(link, id).await?.map(shared),
                        });
                    }
                    kept.keep_databases(version, &rows);
                    return Ok(Page { rows, more });
                }
            }
            let Page { rows, more } = read(link).await?;
            let rows: Vec<_> = rows.into_iter().map(shared).collect();
            kept.keep_databases(version, &rows);
            Ok(Page { rows, more })
        })
        .await
    }
}

fn shared(record: DatabaseRecord) -> Arc<SharedDatabase> {
    Arc::new(SharedDatabase::from(record))
}
