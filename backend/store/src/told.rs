//! What readers are told of databases, packed: of many more of them than rows are kept.
//!
//! What is told of one database is mostly what is told of the next, so each is written as what
//! differs from a sample, in some hundred bytes instead of the 6 KB of its row and text.

use crate::kept::Kept;
use crate::shared::SharedDatabase;
use berth_domain::{DatabaseId, ProjectId};
use hashlink::LruCache;
use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use std::sync::Arc;

/// Packs that are kept; the one that was not asked for the longest goes first.
const PACKS_MAX: usize = 16_384;

/// What is told of a database that was not purged, and who may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The project that it belongs to.
    pub project: ProjectId,
    /// By what a reader tells it from what it becomes.
    pub tag: i64,
    /// The text, as it was shown.
    pub text: String,
}

struct Pack {
    project: ProjectId,
    tag: i64,
    length: usize,
    bytes: Box<[u8]>,
}

/// What is told of databases, by their ids.
pub(crate) struct Packs {
    /// The first text that was packed: all the others are written as differences from it.
    sample: Box<[u8]>,
    packs: LruCache<DatabaseId, Pack>,
}

impl Default for Packs {
    fn default() -> Self {
        Self {
            sample: Box::default(),
            packs: LruCache::new(PACKS_MAX),
        }
    }
}

impl Packs {
    /// Packs what a database is told as, once it was shown and tagged.
    pub(crate) fn keep(&mut self, shared: &SharedDatabase) {
        let Some((text, tag)) = shared.told() else {
            return;
        };
        if self.sample.is_empty() {
            self.sample = text.as_bytes().into();
        }
        let pack = Pack {
            project: shared.database.project_id.clone(),
            tag,
            length: text.len(),
            bytes: compress_with_dict(text.as_bytes(), &self.sample).into(),
        };
        self.packs.insert(shared.database.id.clone(), pack);
    }

    /// What is told of a database, if it is kept.
    pub(crate) fn of(&mut self, id: &DatabaseId) -> Option<Told> {
        let pack = self.packs.get(id)?;
        let bytes = decompress_with_dict(&pack.bytes, pack.length, &self.sample);
        // Packed here, from a text, with the same sample; anything else is not kept.
        let text = String::from_utf8(bytes.ok()?).ok()?;
        Some(Told {
            project: pack.project.clone(),
            tag: pack.tag,
            text,
        })
    }

    pub(crate) fn forget(&mut self, id: &DatabaseId) {
        self.packs.remove(id);
    }

    pub(crate) fn forget_all(&mut self) {
        *self = Self::default();
    }
}

impl crate::Store {
    /// What is told of a database, where that is in memory: it was kept, and nothing that it
    /// shows was written since.
    pub fn told_database(&self, id: &DatabaseId) -> Option<Told> {
        self.told().told(id)
    }

    /// Keeps what is told of a database once it was shown and tagged, unless it was written since
    /// it was read.
    pub fn keep_told(&self, shared: &Arc<SharedDatabase>) {
        self.told().keep_told(shared);
    }

    fn told(&self) -> &Kept {
        &self.inner().kept
    }
}
