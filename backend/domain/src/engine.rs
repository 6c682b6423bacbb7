//! Which engine, without knowing anything about it.

use std::fmt;

/// The canonical name of an engine, such as `postgresql`. Which ones exist is for
/// `berth-engines` to say; a synonym never becomes one of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineName(String);

impl EngineName {
    /// Takes a canonical name: from an engine's description or from the store.
    pub fn new(canonical: impl Into<String>) -> Self {
        Self(canonical.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a version is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Its makers fix it.
    Supported,
    /// Its end is near.
    Deprecated,
    /// Nobody fixes it any more.
    EndOfLife,
}

impl VersionState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Deprecated => "deprecated",
            Self::EndOfLife => "end_of_life",
        }
    }
}
