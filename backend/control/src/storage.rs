//! What a database's size means for it: a warning first, then read-only, then relief.

use berth_domain::{Condition, Timestamp, Truth};

/// The condition that tells how full a database is.
pub const DISK_PRESSURE: &str = "DiskPressure";

/// Share of the bound, in percent, from which on the condition holds.
const WARN_PERCENT: u64 = 80;
/// Share of the bound, in percent, from which on the database is read-only.
const READ_ONLY_PERCENT: u64 = 100;
/// Share of the bound, in percent, below which a read-only database is writable again. It is
/// lower than the bound itself, so that a database at its limit does not flap.
const LIFT_PERCENT: u64 = 90;

/// Bytes in the gigabyte of `storage_gb`. The larger of the two customs, so that nobody gets
/// less than was ordered.
const GIGABYTE: u64 = 1 << 30;

/// How full a database is, as far as anything follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// Nothing follows.
    None,
    /// Most of what was ordered is used.
    Near,
    /// All of it is used, or it was and not enough was freed: writes are refused.
    Full,
}

impl Pressure {
    /// Judges `used_bytes` against `storage_gb`; `before` is the last judgement.
    pub fn judge(used_bytes: u64, storage_gb: u32, before: Self) -> Self {
        let bound = u128::from(storage_gb) * u128::from(GIGABYTE);
        let reaches = |percent: u64| u128::from(used_bytes) * 100 >= bound * u128::from(percent);
        if reaches(READ_ONLY_PERCENT) || (before == Self::Full && reaches(LIFT_PERCENT)) {
            Self::Full
        } else if reaches(WARN_PERCENT) {
            Self::Near
        } else {
            Self::None
        }
    }

    /// The last judgement, as the stored conditions tell it.
    pub fn of(conditions: &[Condition]) -> Self {
        conditions
            .iter()
            .find(|c| c.kind == DISK_PRESSURE && c.truth == Truth::True)
            .map_or(Self::None, |c| {
                if c.reason == "StorageFull" {
                    Self::Full
                } else {
                    Self::Near
                }
            })
    }

    /// The condition that says so; none while there is nothing to say.
    pub fn condition(
        self,
        used_bytes: u64,
        storage_gb: u32,
        since: Timestamp,
    ) -> Option<Condition> {
        let used = format!(
            "{:.1} of {storage_gb} GB",
            used_bytes as f64 / GIGABYTE as f64
        );
        let (reason, message) = match self {
            Self::None => return None,
            Self::Near => (
                "StorageNearlyFull",
                format!(
                    "{used} are used; at {READ_ONLY_PERCENT} % the database becomes read-only. Raise storage_gb or remove data"
                ),
            ),
            Self::Full => (
                "StorageFull",
                format!(
                    "{used} are used and the database is read-only until less than {LIFT_PERCENT} % are. Raise storage_gb or remove data"
                ),
            ),
        };
        Some(Condition {
            kind: DISK_PRESSURE.to_owned(),
            truth: Truth::True,
            reason: reason.to_owned(),
            message,
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(percent: u64, before: Pressure) -> Pressure {
        Pressure::judge(GIGABYTE * 10 * percent / 100, 10, before)
    }

    #[test]
    fn writes_stop_at_the_bound_and_come_back_below_nine_tenths() {
        assert_eq!(judge(79, Pressure::None), Pressure::None);
        assert_eq!(judge(80, Pressure::None), Pressure::Near);
        assert_eq!(judge(99, Pressure::Near), Pressure::Near);
        assert_eq!(judge(100, Pressure::Near), Pressure::Full);
        assert_eq!(judge(90, Pressure::Full), Pressure::Full);
        assert_eq!(judge(89, Pressure::Full), Pressure::Near);
        assert_eq!(judge(10, Pressure::Full), Pressure::None);
        assert_eq!(
            Pressure::judge(u64::MAX, u32::MAX, Pressure::None),
            Pressure::Full
        );
    }

    #[test]
    fn the_judgement_survives_in_its_condition() {
        let at = Timestamp::from_millis(0);
        for pressure in [Pressure::None, Pressure::Near, Pressure::Full] {
            let told: Vec<Condition> = pressure.condition(GIGABYTE, 1, at).into_iter().collect();
            assert_eq!(Pressure::of(&told), pressure);
        }
    }
}
