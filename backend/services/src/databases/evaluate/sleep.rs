//! When it sleeps, and what its project may have.

use super::{Base, Evaluator};
use crate::databases::facts::ProjectFact;
use crate::databases::planned::PlannedDatabase;
use crate::note::counted;
use crate::projects::{PlannedQuota, sleep_after_minutes};
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
        if matches!(planned.sleep_after_minutes, Maybe::Known(Some(minutes)) if minutes > 0)
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
        let quota = match self.facts.quota_planned {
            Some(planned) => planned,
            None => Maybe::Known(project.quota.map(PlannedQuota::from)),
        };
        // What is not known yet is looked at when it is applied.
        let Maybe::Known(Some(quota)) = quota else {
            return;
        };
        let name = project.name.clone();
        let (has, planned_before) = (self.facts.project_use, self.facts.project_planned);
        let stays = match self.base {
            Base::Row(row) if row.project_id == project.id => Some(row.storage_gb),
            _ => None,
        };
        if let Maybe::Known(Some(most)) = quota.databases
            && stays.is_none()
            && has.databases + planned_before.databases >= most
        {
            let others = match planned_before.databases {
                0 => String::new(),
                more => format!(", and this plan makes {more} more before this one"),
            };
            self.refuse_as(
                Code::QuotaExceeded,
                "project_id",
                format!(
                    "{name} may have {} and has {}{others}: destroy one, or raise quota.databases of the project",
                    counted(most.into(), "database"),
                    has.databases
                ),
            );
        }
        if let (Maybe::Known(Some(most)), Maybe::Known(wanted)) =
            (quota.storage_gb, planned.storage_gb)
            && stays.is_none_or(|before| wanted > before)
            && has.storage_gb + planned_before.storage_gb + u64::from(wanted) > u64::from(most)
        {
            let others = match planned_before.storage_gb {
                0 => String::new(),
                more => format!(", and this plan takes {more} GB before this one"),
            };
            self.refuse_as(
                Code::QuotaExceeded,
                "storage_gb",
                format!(
                    "{wanted} GB do not fit: {name} may have {most} GB, and its other databases have {}{others}; take less, or raise quota.storage_gb of the project",
                    has.storage_gb
                ),
            );
        }
    }
}
