//! What readers are told of databases, packed: a request for one that was asked for before costs
//! no statement, and ten thousand of them fit where some hundred whole rows would.
//!
//! What is told of one database is mostly what is told of the next, so each is written as what
//! differs from a sample, in some hundred bytes instead of the 6 KB of its row and text.

use crate::databases::{DatabaseRecord, database_record_and_version, read_record};
use crate::kept::List;
use crate::listing::{DatabaseFilter, ids_page, page_since, place_of, told_ids};
use crate::sql::{Link, Statement};
use crate::{Error, Page, Store};
use berth_domain::{DatabaseId, ProjectId, Timestamp};
use lz4_flex::block::{compress_with_dict, decompress_into_with_dict};
use sqlx::any::AnyRow;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// So many that have changed are read one by one; beyond that, all are read at once.
const READ_ONE_BY_ONE_MAX: usize = 16;

/// What readers are to be told of a database.
#[derive(Debug)]
pub struct Telling {
    /// The text, as it is handed on.
    pub text: String,
    /// By what a reader tells it from what it becomes.
    pub tag: i64,
}

/// How a record is told. The same record is told in the same way by everybody, since what it was
/// told as is kept for the next.
pub type Tell<'a> = dyn Fn(&DatabaseRecord) -> Result<Telling, serde_json::Error> + Sync + 'a;

/// What is told of a database, destroyed or not, and who may be told.
pub struct Told {
    /// Its id.
    pub id: DatabaseId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// When its data was purged.
    pub purged_at: Option<Timestamp>,
    /// By what a reader tells it from what it becomes.
    pub tag: i64,
    length: u32,
    packed: Box<[u8]>,
    sample: Sample,
}

/// The first text that was packed: all the others are written as differences from it.
#[derive(Clone)]
struct Sample(Arc<Box<[u8]>>);

/// Packs texts.
#[derive(Default)]
pub(crate) struct Packer(OnceLock<Sample>);

impl Told {
    /// The text, after what is in the buffer already.
    pub fn append_to(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let begin = buffer.len();
        buffer.resize(begin + self.length as usize, 0);
        let Some(place) = buffer.get_mut(begin..) else {
            return Ok(());
        };
        match decompress_into_with_dict(&self.packed, place, &self.sample.0) {
            Ok(_) => Ok(()),
            // Packed here, from a text, with the same sample.
            Err(source) => Err(Error::Untold {
                id: self.id.clone(),
                source: source.into(),
            }),
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("id", &self.id)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        let text = |told: &Self| {
            let mut text = Vec::new();
            told.append_to(&mut text).map(|()| text).ok()
        };
        self.id == other.id && self.tag == other.tag && text(self) == text(other)
    }
}

impl Packer {
    fn pack(&self, record: &DatabaseRecord, tell: &Tell<'_>) -> Result<Arc<Told>, Error> {
        let database = &record.database;
        let untold = |source| Error::Untold {
            id: database.id.clone(),
            source,
        };
        let Telling { text, tag } = tell(record).map_err(|e| untold(e.into()))?;
        let text = text.as_bytes();
        let sample = self.0.get_or_init(|| Sample(Arc::new(text.into()))).clone();
        Ok(Arc::new(Told {
            id: database.id.clone(),
            project: database.project_id.clone(),
            purged_at: database.purged_at,
            tag,
            length: u32::try_from(text.len()).map_err(|e| untold(e.into()))?,
            packed: compress_with_dict(text, &sample.0).into(),
            sample,
        }))
    }
}

impl Store {
    /// What is told of the database with that id, destroyed or not.
    pub async fn told_database(
        &self,
        id: &DatabaseId,
        tell: &Tell<'_>,
    ) -> Result<Option<Arc<Told>>, Error> {
        let kept = &self.inner().kept;
        if let Some(told) = kept.told(id) {
            return Ok(Some(told));
        }
        let mut reader = self.reader().await?;
        let read = database_record_and_version(&mut reader.link(), id).await?;
        let Some((version, record)) = read else {
            return Ok(None);
        };
        let told = self.inner().packer.pack(&record, tell)?;
        kept.keep_told(version, [&told]);
        Ok(Some(told))
    }

    /// What is told of databases, oldest first, that follow the one named.
    pub async fn told_databases_page(
        &self,
        filter: &DatabaseFilter,
        after: Option<&DatabaseId>,
        limit: u32,
        tell: &Tell<'_>,
    ) -> Result<Page<Arc<Told>>, Error> {
        let list = List::Page(filter.clone(), after.cloned(), limit);
        if let Some((_, rows)) = self.inner().kept.list(&list) {
            return Ok(Page::cut(rows.to_vec(), limit));
        }
        let since = place_of(after, &mut self.reader().await?.link()).await?;
        let ids = ids_page(filter, since.as_ref(), limit);
        let rows = page_since(filter, since.as_ref(), limit);
        let (_, rows) = self
            .told_list("told_databases_page", list, ids, rows, tell)
            .await?;
        Ok(Page::cut(rows.to_vec(), limit))
    }

    /// A list at one version of the store: from what is kept, when a statement tells the same
    /// ids; or else what another statement finds. It is kept, too.
    pub(crate) async fn told_list(
        &self,
        act: &'static str,
        list: List,
        ids: Statement<'_>,
        rows: Statement<'_>,
        tell: &Tell<'_>,
    ) -> Result<(i64, Arc<[Arc<Told>]>), Error> {
        let kept = &self.inner().kept;
        let mut known = None;
        if kept.is_on() {
            let (version, ids) = told_ids(ids, &mut self.reader().await?.link()).await?;
            let found = kept.told_of(version, &ids).unwrap_or_default();
            let missing = found.iter().filter(|found| found.is_none()).count();
            if found.len() == ids.len() && missing == 0 {
                let rows: Arc<[_]> = found.into_iter().flatten().collect();
                kept.keep_list(version, list, &rows);
                return Ok((version, rows));
            }
            if found.len() == ids.len() && missing <= READ_ONE_BY_ONE_MAX {
                known = Some((version, ids, found));
            }
        }
        let packer = &self.inner().packer;
        let pack = |row: &AnyRow| packer.pack(&read_record(row)?, tell);
        let (version, rows): (_, Arc<[_]>) = self
            .at_one_version(act, async |link, version| match known {
                Some((of, ids, found)) if of == version => {
                    self.missing_told(link, &ids, found, tell).await
                }
                _ => rows.each(link, pack).await.map(Arc::from),
            })
            .await?;
        kept.keep_told(version, rows.iter());
        kept.keep_list(version, list, &rows);
        Ok((version, rows))
    }

    /// What was found, and each of the others read.
    async fn missing_told(
        &self,
        link: &mut Link<'_>,
        ids: &[DatabaseId],
        found: Vec<Option<Arc<Told>>>,
        tell: &Tell<'_>,
    ) -> Result<Arc<[Arc<Told>]>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for (id, found) in ids.iter().zip(found) {
            if let Some(found) = found {
                rows.push(found);
            } else if let Some((_, record)) = database_record_and_version(link, id).await? {
                rows.push(self.inner().packer.pack(&record, tell)?);
            }
        }
        Ok(rows.into())
    }
}
