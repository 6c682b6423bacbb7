//! When it sleeps, and what its project may have.

use super::{Base, Evaluator};
use crate::databases::facts::ProjectFact;
use crate::databases::planned::PlannedDatabase;
use crate::projects::sleep_after_minutes;
use crate::{Code, Given, Maybe};

impl Evaluator<'_> {
    pub(super) fn sleep_after_minutes(&mut self) -> Maybe<Option<u32>> {
        match (&self.config.sleep_after_minutes, self.base) {
            (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Absent | Given::Null, Base::Trash(row)) => {
                Maybe::Known(row.sleep_after_minutes)
            }
            (given, _) => {
                let (minutes, wrong) = sleep_after_minutes(given);
                self.errors.extend(wrong);
                minutes
            }
        }
    }

    /// It is the pooler that holds a client while what slept gets up.
    pub(super) fn sleep_needs_a_pooler(&mut self, planned: &PlannedDatabase) {
        if matches!(planned.sleep_after_minutes, Maybe::Known(Some(_)))
            && matches!(planned.pooler, Maybe::Known(None))
        {
            self.refuse(
                "sleep_after_minutes",
                "needs a pooler, which holds the first client until the engine is up: leave pooler.enabled on, or take this away",
            );
        }
    }

    /// What a project's quota leaves. What is there already is not refused for an edit of
    /// something else, and what was destroyed comes back whatever was made in its place.
    pub(super) fn quota(&mut self, planned: &PlannedDatabase) {
        if matches!(self.base, Base::Trash(_) | Base::Unknown) {
            return;
        }
        let ProjectFact::Found(project) = &self.facts.project else {
            return;
        };
        let Some(quota) = project.quota else { return };
        let (name, in_use) = (project.name.clone(), self.facts.project_use);
        let stays = match self.base {
            Base::Row(row) if row.project_id == project.id => Some(row.storage_gb),
            _ => None,
        };
        if let Some(most) = quota.databases
            && stays.is_none()
            && in_use.databases >= most
        {
            self.refuse_as(
                Code::QuotaExceeded,
                "project_id",
                format!(
                    "{name} may have {most} databases and has {}: destroy one, or raise quota.databases of the project",
                    in_use.databases
                ),
            );
        }
        if let (Some(most), Maybe::Known(wanted)) = (quota.storage_gb, planned.storage_gb)
            && stays.is_none_or(|before| wanted > before)
            && in_use.storage_gb + u64::from(wanted) > u64::from(most)
        {
            self.refuse_as(
                Code::QuotaExceeded,
                "storage_gb",
                format!(
                    "{wanted} GB do not fit: {name} may have {most} GB, and its other databases have {}; take less, or raise quota.storage_gb of the project",
                    in_use.storage_gb
                ),
            );
        }
    }
}
