//! How long operations may take, and the `timeouts` block in which a user says so.

use std::time::Duration;

use crate::object::Object;
use crate::schema::{Attribute, Block, NestedBlock};
use crate::validate;

/// The name of the block.
pub const BLOCK_NAME: &str = "timeouts";

/// The longest limit that can be given.
const LIMIT_HOURS_MAX: u64 = 24 * 366;

/// What a resource does that may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Making the object.
    Create,
    /// Looking at it, and planning.
    Read,
    /// Changing it.
    Update,
    /// Taking it away.
    Delete,
}

impl Operation {
    /// The attribute of the block.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The limits of a resource where its configuration gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For create.
    pub create: Duration,
    /// For read, plan, validate and import.
    pub read: Duration,
    /// For update.
    pub update: Duration,
    /// For delete.
    pub delete: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            create: minutes(20),
            read: minutes(2),
            update: minutes(20),
            delete: minutes(20),
        }
    }
}

impl Timeouts {
    /// The limit of `operation` for an object whose state, plan or configuration is `object`.
    pub fn limit(&self, operation: Operation, object: Option<&Object>) -> Duration {
        let given = object
            .and_then(|object| object.object(BLOCK_NAME).ok().flatten())
            .and_then(|timeouts| timeouts.string(operation.name()).ok().flatten())
            .and_then(|text| parse(text).ok());
        given.unwrap_or(match operation {
            Operation::Create => self.create,
            Operation::Read => self.read,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
        })
    }
}

/// The block `timeouts { … }` with an optional text for each of `operations`.
pub fn block(operations: impl IntoIterator<Item = Operation>) -> NestedBlock {
    let attributes = operations.into_iter().map(|operation| {
        Attribute::string(operation.name())
            .optional()
            .description(format!(
                "How long {} may take, such as `90s`, `20m` or `1h30m`.",
                operation.name()
            ))
            .validate(validate::text(|text| {
                parse(text).map(|_| ()).map_err(|error| error.to_string())
            }))
    });
    NestedBlock::single(BLOCK_NAME, Block::new(attributes))
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is not numbers with units.
    #[error(
        "Expected a duration such as \"90s\", \"20m\" or \"1h30m\" (units h, m, s, ms, us, ns), \
         got {0:?}."
    )]
    Malformed(String),
    /// Waiting for no time, or for longer than makes sense.
    #[error("Expected a duration above zero and of at most {LIMIT_HOURS_MAX} hours, got {0:?}.")]
    OutOfRange(String),
}

/// Reads a duration as Go writes it: `1h30m`, `10s`, `1.5h`, `300ms`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(malformed());
    }
    if rest == "0" || rest.starts_with('-') {
        return Err(out_of_range());
    }
    let mut total_nanos = 0_u128;
    while !rest.is_empty() {
        let digits_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(malformed)?;
        let (amount, after) = rest.split_at(digits_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_nanos = unit_nanos(unit).ok_or_else(malformed)?;
        let nanos = scaled(amount, unit_nanos).ok_or_else(malformed)?;
        total_nanos = total_nanos.saturating_add(nanos);
        rest = after;
    }
    let limit_nanos = u128::from(LIMIT_HOURS_MAX) * 3_600_000_000_000;
    if total_nanos == 0 || total_nanos > limit_nanos {
        return Err(out_of_range());
    }
    u64::try_from(total_nanos)
        .map(Duration::from_nanos)
        .map_err(|_| out_of_range())
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

/// `amount` units, as whole nanoseconds; none when the amount is no decimal of sane length.
fn scaled(amount: &str, unit_nanos: u128) -> Option<u128> {
    const DIGITS_MAX: usize = 18;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(DIGITS_MAX)];
    let whole = if whole.is_empty() { "0" } else { whole };
    // More digits than fit name a time that is out of range anyway.
    let whole = whole
        .parse::<u64>()
        .map_or(u128::from(u64::MAX), u128::from);
    let part = if fraction.is_empty() { "0" } else { fraction };
    let part = part.parse::<u128>().ok()? * unit_nanos / 10_u128.pow(fraction.len() as u32);
    Some(whole.saturating_mul(unit_nanos).saturating_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, millis) in [
            ("1h30m", 5_400_000),
            ("10s", 10_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("1m0.25s", 60_250),
            ("+2s", 2_000),
            ("1500us", 1),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "10", "s", "1 h", "1d", "1h-3m", "1..5s", ".s", "ten", "１s",
        ] {
            assert_eq!(parse(text), Err(DurationError::Malformed(text.into())));
        }
        for text in ["0", "0s", "-1s", "100000h", "99999999999999999999999h"] {
            assert_eq!(parse(text), Err(DurationError::OutOfRange(text.into())));
        }
    }

    #[test]
    fn a_limit_comes_from_the_block_or_else_from_the_resource() {
        let defaults = Timeouts::default();
        let object = Object::new([(
            "timeouts",
            Value::object([("create", Value::from("90s")), ("delete", Value::Null)]),
        )]);
        let limit = |operation| defaults.limit(operation, Some(&object));
        assert_eq!(limit(Operation::Create), Duration::from_secs(90));
        assert_eq!(limit(Operation::Delete), defaults.delete);
        assert_eq!(limit(Operation::Update), defaults.update);
        assert_eq!(defaults.limit(Operation::Read, None), defaults.read);
    }
}
