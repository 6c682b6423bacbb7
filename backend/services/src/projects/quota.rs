//! How much a project may have, and when its databases sleep: what may be said of both.

use crate::bounds::{Bounds, QUOTA_DATABASES, QUOTA_STORAGE_GB, SLEEP_AFTER_MINUTES, outside};
use crate::note::counted;
use crate::{Code, FieldError, Given, Maybe, Note};
use berth_domain::{Name, Quota};
use berth_store::ProjectUse;
use serde::Serialize;

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

/// What a plan says of a quota that is not kept yet. What the same configuration takes out of the
/// project is destroyed before the project is changed, and may be planned in another request.
pub(crate) fn unless_it_goes(project: &Name, wrong: &FieldError) -> Note {
    let text = format!(
        "{} of {project} {}. Unless it goes before that, the apply is refused.",
        wrong.field, wrong.message
    );
    Note::warning(
        Some("quota"),
        format!("{project} has more than its quota will allow"),
        text,
    )
}

/// A number within bounds, none where none was given.
fn bounded(
    given: &Given<u32>,
    field: &str,
    bounds: Bounds,
) -> (Maybe<Option<u32>>, Option<FieldError>) {
    match given {
        Given::Unknown => (Maybe::Unknown, None),
        Given::Absent | Given::Null => (Maybe::Known(None), None),
        Given::Value(value) if (bounds.0..=bounds.1).contains(value) => {
            (Maybe::Known(Some(*value)), None)
        }
        Given::Value(value) => (
            Maybe::Unknown,
            Some(FieldError::invalid(field, outside(*value, bounds))),
        ),
    }
}

/// When what nobody uses sleeps; 0 is never, and none is for the project to say.
pub(crate) fn sleep_after_minutes(given: &Given<u32>) -> (Maybe<Option<u32>>, Option<FieldError>) {
    bounded(given, "sleep_after_minutes", SLEEP_AFTER_MINUTES)
}

/// What a wish for a quota amounts to.
pub(crate) fn planned_quota(
    given: &Given<QuotaConfig>,
) -> (Maybe<Option<PlannedQuota>>, Vec<FieldError>) {
    let config = match given {
        Given::Unknown => return (Maybe::Unknown, Vec::new()),
        Given::Absent | Given::Null => return (Maybe::Known(None), Vec::new()),
        Given::Value(config) => config,
    };
    let (databases, first) = bounded(&config.databases, "quota.databases", QUOTA_DATABASES);
    let (storage_gb, second) = bounded(&config.storage_gb, "quota.storage_gb", QUOTA_STORAGE_GB);
    let planned = PlannedQuota {
        databases,
        storage_gb,
    };
    (
        Maybe::Known(Some(planned)),
        first.into_iter().chain(second).collect(),
    )
}

/// What a quota that is new to a project leaves no room for, though it is there already. What
/// was allowed before is not refused for an edit of something else.
pub(super) fn exceeded(
    planned: &PlannedQuota,
    before: Option<Quota>,
    in_use: ProjectUse,
) -> Vec<FieldError> {
    let before = before.unwrap_or_default();
    let databases = u64::from(in_use.databases);
    let gigabytes = |used: u64| format!("databases with {used} GB in all");
    [
        (
            "quota.databases",
            planned.databases,
            before.databases,
            databases,
            counted(databases, "database"),
        ),
        (
            "quota.storage_gb",
            planned.storage_gb,
            before.storage_gb,
            in_use.storage_gb,
            gigabytes(in_use.storage_gb),
        ),
    ]
    .into_iter()
    .filter_map(|(field, planned, before, used, there)| {
        let most = planned.known().flatten()?;
        (before != Some(most) && u64::from(most) < used).then(|| {
            FieldError::of(
                Code::QuotaExceeded,
                field,
                format!("is {most}, and the project has {there}: destroy what is too much first, or say {used} or more"),
            )
        })
    })
    .collect()
}
