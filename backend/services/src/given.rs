//! Fields that may be left out, and outcomes that may not be known yet.

use serde::Serialize;

/// A field of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub enum Given<T> {
    /// Left out: as it is in a change, the default in a create.
    #[default]
    Absent,
    /// Said to be nothing: the default.
    Null,
    /// There will be a value, which nobody knows yet.
    Unknown,
    /// This value.
    Value(T),
}

impl<T> Given<T> {
    /// The value, when it is there and known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null | Self::Unknown => None,
        }
    }

    /// Whether nothing was said.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether there will be a value that nobody knows yet.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Says `value` where nothing was said.
    pub fn or_keep(self, value: impl FnOnce() -> Option<T>) -> Self {
        match self {
            Self::Absent => value().map_or(Self::Null, Self::Value),
            given => given,
        }
    }
}

impl<T> From<Option<T>> for Given<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

/// An outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Maybe<T> {
    /// It depends on something that nobody knows yet.
    #[default]
    Unknown,
    /// It is this.
    Known(T),
}

impl<T> Maybe<T> {
    /// The value, when it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }

    /// Whether it is not known yet.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// The same by reference.
    pub fn as_ref(&self) -> Maybe<&T> {
        match self {
            Self::Known(value) => Maybe::Known(value),
            Self::Unknown => Maybe::Unknown,
        }
    }

    /// What follows from the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Maybe<U> {
        match self {
            Self::Known(value) => Maybe::Known(f(value)),
            Self::Unknown => Maybe::Unknown,
        }
    }

    /// Both, when both are known.
    pub fn zip<U>(self, other: Maybe<U>) -> Maybe<(T, U)> {
        match (self, other) {
            (Self::Known(a), Maybe::Known(b)) => Maybe::Known((a, b)),
            _ => Maybe::Unknown,
        }
    }
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Known)
    }
}
