//! Projects to the wire.

use super::{Gaps, map_without};
use berth_domain::{Claim, Project, Timestamp};
use berth_services::Maybe;
use berth_services::databases::Rules;
use berth_services::projects::{PlannedProject, PlannedQuota};
use serde_json::{Map, Value};

/// Fields that only time brings.
const VOLATILE: [&str; 2] = ["claimed", "updated_at"];

/// A project as it is.
pub(crate) fn project(row: &Project, rules: &Rules) -> berth_api::Project {
    let mut shown = attributes(&PlannedProject::of(row), rules, &mut Gaps::default());
    shown.claimed = row.claim == Claim::Claimed;
    shown.updated_at = row.updated_at.to_string();
    shown
}

/// A destroyed project; none for one that lives.
pub(crate) fn destroyed_project(
    row: &Project,
    kept_until: Timestamp,
) -> Option<berth_api::DestroyedProject> {
    Some(berth_api::DestroyedProject {
        id: row.id.to_string(),
        name: row.name.to_string(),
        created_at: row.created_at.to_string(),
        destroyed_at: row.destroyed_at?.to_string(),
        recoverable_until: kept_until.to_string(),
    })
}

/// What a project will be: the fields that are known, and the names of the others.
pub(crate) fn planned_project(
    planned: &PlannedProject,
    rules: &Rules,
) -> (Option<Map<String, Value>>, Vec<String>) {
    let mut gaps = Gaps::default();
    let shown = attributes(planned, rules, &mut gaps);
    (map_without(&shown, &VOLATILE, &gaps), gaps.0)
}

fn attributes(planned: &PlannedProject, rules: &Rules, gaps: &mut Gaps) -> berth_api::Project {
    berth_api::Project {
        id: gaps.text("id", &planned.id),
        name: gaps.text("name", &planned.name),
        slug: gaps.text("slug", &planned.slug),
        description: gaps.clone("description", &planned.description),
        default_region: gaps.clone("default_region", &planned.default_region),
        deletion_protection: gaps.copy("deletion_protection", &planned.deletion_protection),
        on_destroy: gaps.take("on_destroy", &planned.on_destroy, |o| o.as_str().to_owned()),
        network_name: gaps.text("network_name", &planned.network_name(rules)),
        sleep_after_minutes: gaps.copy("sleep_after_minutes", &planned.sleep_after_minutes),
        quota: quota(&planned.quota, gaps),
        env_dir: gaps.text("env_dir", &planned.env_dir(rules)),
        tags: gaps.clone("tags", &planned.tags),
        auto_provision: gaps.copy("auto_provision", &planned.auto_provision),
        claimed: false,
        created_at: gaps.text("created_at", &planned.created_at),
        updated_at: String::new(),
    }
}

fn quota(planned: &Maybe<Option<PlannedQuota>>, gaps: &mut Gaps) -> Option<berth_api::Quota> {
    match planned {
        Maybe::Unknown => {
            gaps.0.push("quota".to_owned());
            None
        }
        Maybe::Known(None) => None,
        Maybe::Known(Some(quota)) => Some(berth_api::Quota {
            databases: gaps.copy("quota.databases", &quota.databases),
            storage_gb: gaps.copy("quota.storage_gb", &quota.storage_gb),
        }),
    }
}
