//! What an instance's own directory remembers about it.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file beside the data. Whoever has the directory knows what it is, also when berthd's
/// own store is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The engine's canonical name.
    pub engine: String,
    /// The major version.
    pub version: String,
    /// The id of the image that the engine runs: a rebuilt image does not slip under data.
    pub engine_image: String,
    /// The id of the pooler's image, where there has been one.
    pub pooler_image: Option<String>,
    /// Whether a pooler stands in front of it now.
    pub has_pooler: bool,
    /// The name of its project's network.
    pub network: String,
}

impl Record {
    pub(crate) const FILE: &'static str = "instance.json";

    /// Reads the record of the instance in `directory`; none when there is none. One that is
    /// damaged, as by a power cut long ago, is as good as none: the next call that makes the
    /// instance match writes it anew, with the images that its containers were made from, and
    /// nothing else waits for it.
    pub(crate) fn read(directory: &Path) -> std::io::Result<Option<Self>> {
        let file = directory.join(Self::FILE);
        match std::fs::read(&file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .inspect_err(|error| {
                    tracing::warn!(file = %file.display(), %error, "an instance's record is damaged");
                })
                .ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> std::io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }
}
