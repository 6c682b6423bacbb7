//! Times in RFC 3339, compared by what they mean.

use std::time::SystemTime;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// The moment by this machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; whoever needs the time is given this"
)]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// The moment that `text` names, or what is wrong with it.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let has_shape = text.as_bytes().get(10) == Some(&b'T');
    let parsed = text.parse::<Timestamp>().ok().filter(|_| has_shape);
    parsed.ok_or_else(|| {
        format!("Expected a time in RFC 3339, such as \"2030-01-31T12:00:00Z\", got {text:?}.")
    })
}

/// The moment without the fraction of its second, which the backend does not tell.
fn whole_second(text: &str) -> Option<Timestamp> {
    let at = parse(text).ok()?;
    let rounding = TimestampRound::new().smallest(Unit::Second);
    at.round(rounding.mode(RoundMode::Floor)).ok()
}

/// Whether both name the same moment, to the second that the backend tells, or both none.
pub fn same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let at = whole_second(one);
            one == other || (at.is_some() && at == whole_second(other))
        }
        (one, other) => one == other,
    }
}

/// The spelling in UTC; `text` itself where it is no time.
pub fn canonical(text: &str) -> String {
    parse(text).map_or_else(|_| text.to_owned(), |at| at.to_string())
}

/// As [`canonical`], in whole seconds.
pub fn in_seconds(text: &str) -> String {
    whole_second(text).map_or_else(|| text.to_owned(), |at| at.to_string())
}

/// Whether that moment is not later than `now`. What is no time is never over.
pub fn is_over(text: &str, now: SystemTime) -> bool {
    let now = Timestamp::try_from(now).ok();
    parse(text).ok().zip(now).is_some_and(|(at, now)| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_compared_by_meaning() {
        let utc = Some("2030-01-31T12:00:00Z");
        assert!(same(utc, Some("2030-01-31T14:00:00+02:00")));
        assert!(same(utc, Some("2030-01-31T12:00:00.000Z")));
        assert!(same(utc, Some("2030-01-31T12:00:00.999Z")));
        assert!(!same(utc, Some("2030-01-31T11:59:59.999Z")));
        assert!(!same(utc, Some("2030-01-31T12:00:01Z")));
        assert!(same(None, None) && !same(utc, None));
        assert!(!same(Some("soon"), Some("later")) && same(Some("soon"), Some("soon")));
        assert_eq!(
            canonical("2030-01-31T14:00:00+02:00"),
            "2030-01-31T12:00:00Z"
        );
        let fraction = "2030-01-31T12:00:00.9999Z";
        assert_eq!(in_seconds(fraction), "2030-01-31T12:00:00Z");
        assert_eq!(canonical(fraction), fraction);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "tomorrow",
            "2030-01-31",
            "2030-01-31 12:00:00Z",
            "2030-02-31T12:00:00Z",
        ] {
            assert!(parse(wrong).unwrap_err().contains("RFC 3339"), "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_over_from_itself_on() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert!(is_over("1970-01-01T00:01:00Z", now));
        assert!(!is_over("1970-01-01T00:01:01Z", now));
        assert!(!is_over("never", now));
    }
}
