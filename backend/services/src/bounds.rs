//! What numbers may be, where that does not depend on anything else: said once, so that whoever
//! reads a field and whoever judges it name the same bounds.

/// The least and the most of a field.
pub(crate) type Bounds = (u32, u32);

/// Minutes before what nobody uses sleeps: 0 is never, thirty days the most.
pub(crate) const SLEEP_AFTER_MINUTES: Bounds = (0, 43_200);
/// Databases that a quota names.
pub(crate) const QUOTA_DATABASES: Bounds = (0, 100_000);
/// Storage that a quota names, in GB.
pub(crate) const QUOTA_STORAGE_GB: Bounds = (0, 10_000_000);
/// Storage of one database in GB, whatever its plan.
pub(crate) const STORAGE_GB: Bounds = (1, 16_384);
/// Days for which a destroyed database is kept.
pub(crate) const RECOVERY_WINDOW_DAYS: Bounds = (0, 90);

/// The least and the most that the field of that path may say; none where that depends on
/// something else.
pub fn number_bounds(path: &str) -> Option<(u32, u32)> {
    match path {
        "sleep_after_minutes" => Some(SLEEP_AFTER_MINUTES),
        "quota.databases" => Some(QUOTA_DATABASES),
        "quota.storage_gb" => Some(QUOTA_STORAGE_GB),
        "storage_gb" => Some(STORAGE_GB),
        "recovery_window_days" => Some(RECOVERY_WINDOW_DAYS),
        _ => None,
    }
}

/// Why a number is refused that is not within them.
pub(crate) fn outside(value: u32, (least, most): Bounds) -> String {
    format!("is {value}: use a whole number from {least} to {most}")
}
