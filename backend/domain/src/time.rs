//! Time as a value: nothing in the domain reads the clock in passing.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that many milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later, as far as the type reaches.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// The moment `millis` later, as far as the type reaches.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The moment `days` of 24 hours later.
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(86_400))
    }

    /// Reads RFC 3339; none when it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|t| Self(t.as_millisecond()))
    }
}

/// RFC 3339 in UTC with whole seconds, as the wire shows it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.0}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Where the present comes from. Tests choose the hour.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_with_whole_seconds() {
        let t = Timestamp::from_millis(1_772_013_600_123);
        assert_eq!(t.to_string(), "2026-02-25T10:00:00Z");
        assert_eq!(
            Timestamp::parse("2026-02-25T10:00:00Z"),
            Some(Timestamp::from_millis(1_772_013_600_000))
        );
        assert_eq!(t.plus_days(1).as_millis() - t.as_millis(), 86_400_000);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
