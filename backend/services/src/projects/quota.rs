//! How much a project may have, and when its databases sleep: what may be said of both.

use crate::{FieldError, Given, Maybe};
use berth_domain::Quota;
use serde::Serialize;

/// The longest wait before what nobody uses sleeps: thirty days.
const SLEEP_AFTER_MINUTES_MAX: u32 = 43_200;
/// The most databases that a quota may name.
const QUOTA_DATABASES_MAX: u32 = 100_000;
/// The most storage that a quota may name, in GB.
const QUOTA_STORAGE_GB_MAX: u32 = 10_000_000;

/// What may be said of a quota. An object is said whole: what is left out is not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct QuotaConfig {
    /// Living databases.
    pub databases: Given<u32>,
    /// Their storage in GB.
    pub storage_gb: Given<u32>,
}

impl QuotaConfig {
    /// The words that order exactly this quota.
    pub fn of(quota: Quota) -> Self {
        Self {
            databases: quota.databases.into(),
            storage_gb: quota.storage_gb.into(),
        }
    }
}

/// A quota, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedQuota {
    /// Living databases.
    pub databases: Maybe<Option<u32>>,
    /// Their storage in GB.
    pub storage_gb: Maybe<Option<u32>>,
}

impl From<Quota> for PlannedQuota {
    fn from(quota: Quota) -> Self {
        Self {
            databases: Maybe::Known(quota.databases),
            storage_gb: Maybe::Known(quota.storage_gb),
        }
    }
}

impl PlannedQuota {
    /// The quota, when all of it is known.
    pub fn known(self) -> Option<Quota> {
        Some(Quota {
            databases: self.databases.known()?,
            storage_gb: self.storage_gb.known()?,
        })
    }
}

/// A number within bounds, none where none was given.
fn bounded(
    given: &Given<u32>,
    field: &str,
    least: u32,
    most: u32,
) -> (Maybe<Option<u32>>, Option<FieldError>) {
    match given {
        Given::Unknown => (Maybe::Unknown, None),
        Given::Absent | Given::Null => (Maybe::Known(None), None),
        Given::Value(value) if (least..=most).contains(value) => (Maybe::Known(Some(*value)), None),
        Given::Value(value) => (
            Maybe::Unknown,
            Some(FieldError::invalid(
                field,
                format!("is {value}: use {least} to {most}"),
            )),
        ),
    }
}

/// When what nobody uses sleeps; none is never.
pub(crate) fn sleep_after_minutes(given: &Given<u32>) -> (Maybe<Option<u32>>, Option<FieldError>) {
    bounded(given, "sleep_after_minutes", 1, SLEEP_AFTER_MINUTES_MAX)
}

/// What a wish for a quota amounts to.
pub(super) fn planned_quota(
    given: &Given<QuotaConfig>,
) -> (Maybe<Option<PlannedQuota>>, Vec<FieldError>) {
    let config = match given {
        Given::Unknown => return (Maybe::Unknown, Vec::new()),
        Given::Absent | Given::Null => return (Maybe::Known(None), Vec::new()),
        Given::Value(config) => config,
    };
    let (databases, first) = bounded(&config.databases, "quota.databases", 0, QUOTA_DATABASES_MAX);
    let (storage_gb, second) = bounded(
        &config.storage_gb,
        "quota.storage_gb",
        0,
        QUOTA_STORAGE_GB_MAX,
    );
    let planned = PlannedQuota {
        databases,
        storage_gb,
    };
    (
        Maybe::Known(Some(planned)),
        first.into_iter().chain(second).collect(),
    )
}
