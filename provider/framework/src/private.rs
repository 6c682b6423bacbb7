//! Bytes that travel with a resource and that no user sees.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::diagnostics::{Diagnostic, Diagnostics};

/// The framework's own key: the state comes from an import and was not read yet.
const IMPORTED: &str = ".imported";

/// What a provider remembers about one object beside its state: JSON under keys.
///
/// What a plan writes reaches apply, and what apply or read leave reaches the next plan,
/// with one exception of the host's: the third plan of a replacement starts with nothing.
/// Never put a secret here; the state file shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Private(BTreeMap<String, Vec<u8>>);

/// Why private data cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The bytes are not what this framework writes.
    #[error("the private data of the object cannot be read")]
    Unreadable {
        /// What the reader stumbled on.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Keys with a leading dot, and the empty key, are the framework's.
    #[error("the private key {key:?} is reserved")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// The value under a key is not what is read from it, or cannot be written as JSON.
    #[error("the private value under {key:?} does not fit")]
    Value {
        /// The key.
        key: String,
        /// What the codec says.
        source: serde_json::Error,
    },
}

impl From<PrivateError> for Diagnostics {
    fn from(error: PrivateError) -> Self {
        Diagnostic::error(
            "Private data of the provider is damaged",
            format!("{error}."),
        )
        .into()
    }
}

impl Private {
    /// Nothing remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what the host hands back; no bytes mean nothing remembered.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivateError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let unreadable =
            |source: Box<dyn std::error::Error + Send + Sync>| PrivateError::Unreadable { source };
        let texts: BTreeMap<String, String> =
            serde_json::from_slice(bytes).map_err(|e| unreadable(e.into()))?;
        texts
            .into_iter()
            .map(|(key, text)| match STANDARD.decode(text) {
                Ok(json) => Ok((key, json)),
                Err(error) => Err(unreadable(error.into())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What the host is given to keep: a JSON object of base64 texts.
    pub fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let texts: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(key, json)| (key.clone(), STANDARD.encode(json).into()))
            .collect();
        serde_json::Value::Object(texts).to_string().into_bytes()
    }

    /// What is remembered under `key`; none when nothing is.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, PrivateError> {
        self.0
            .get(key)
            .map(|json| {
                serde_json::from_slice(json).map_err(|source| PrivateError::Value {
                    key: key.to_owned(),
                    source,
                })
            })
            .transpose()
    }

    /// Remembers `value` under `key`.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), PrivateError> {
        if key.is_empty() || key.starts_with('.') {
            return Err(PrivateError::ReservedKey {
                key: key.to_owned(),
            });
        }
        let json = serde_json::to_vec(value).map_err(|source| PrivateError::Value {
            key: key.to_owned(),
            source,
        })?;
        self.0.insert(key.to_owned(), json);
        Ok(())
    }

    /// Forgets what is under `key`.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Notes that the state holds only what an import set.
    pub(crate) fn mark_imported(&mut self) {
        self.0.insert(IMPORTED.to_owned(), b"true".to_vec());
    }

    /// Whether that was noted; it is not any more.
    pub(crate) fn take_imported(&mut self) -> bool {
        self.0.remove(IMPORTED).is_some()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back() {
        let mut private = Private::new();
        private.set("generation", &7_u64).unwrap();
        private.set("etag", "\"abc\"").unwrap();
        let back = Private::decode(&private.encode()).unwrap();
        assert_eq!(back, private);
        assert_eq!(back.get::<u64>("generation").unwrap(), Some(7));
        assert_eq!(back.get::<u64>("other").unwrap(), None);
        assert!(back.get::<u64>("etag").is_err());
    }

    #[test]
    fn nothing_is_no_bytes() {
        assert_eq!(Private::new().encode(), b"");
        assert_eq!(Private::decode(b"").unwrap(), Private::new());
        assert!(Private::decode(b"{\"a\":\"%\"}").is_err());
        assert!(Private::decode(b"\xff").is_err());
    }

    #[test]
    fn the_frameworks_keys_are_not_the_authors() {
        assert!(Private::new().set(".secret", &1).is_err());
    }
}
