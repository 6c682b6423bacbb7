//! Bringing destroyed projects back.

use super::write::project_not_found;
use crate::error::Doing;
use crate::services::{Answered, Begun, Keyed};
use crate::{Caller, Code, Error, Services};
use berth_domain::{Claim, DESTROYED_PROJECT_DAYS, Project, ProjectId, Timestamp};
use berth_store::Page;

impl Services {
    /// A page of the destroyed projects that the caller sees and that can still come back, in
    /// the order in which they were made.
    pub async fn destroyed_projects(
        &self,
        caller: &Caller,
        after: Option<&ProjectId>,
        limit: u32,
    ) -> Result<Page<Project>, Error> {
        self.store
            .destroyed_projects_page(&caller.reach(), after, limit)
            .await
            .doing("list destroyed projects")
    }

    /// Brings a destroyed project back with its variables and members, under its own name, or
    /// under the next free one with a number. Databases that went with it come back one by one.
    pub async fn undelete_project(
        &self,
        caller: &Caller,
        id: &str,
        keyed: Option<Keyed<'_, Project>>,
    ) -> Result<Answered<Project>, Error> {
        let id = ProjectId::parse(id).map_err(|_| project_not_found())?;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let now = writing.now;
        let found = writing
            .tx
            .project_by_id(&id)
            .await
            .doing("read a project")?;
        let mut row = found
            .filter(|row| caller.sees(&row.id))
            .ok_or_else(project_not_found)?;
        caller.admitted(&row.id)?;
        if row.destroyed_at.is_none() {
            return Err(Error::refused(
                Code::ProjectNotDestroyed,
                format!("{} is not destroyed", row.name),
            ));
        }
        // Whoever asks for it by its id has it.
        row.claim = Claim::Claimed;
        self.revive(&mut writing.tx, caller, &mut row, "name", now)
            .await?;
        self.commit(writing, row).await
    }

    /// Until when a destroyed project can come back, at least: what is in its trash may keep it
    /// for longer. None for one that lives.
    pub fn project_kept_until(&self, row: &Project) -> Option<Timestamp> {
        let days = i64::from(self.project_kept_days());
        row.destroyed_at.map(|at| at.plus_days(days))
    }

    pub(crate) fn project_kept_days(&self) -> u32 {
        DESTROYED_PROJECT_DAYS.max(self.rules.limits.recovery_floor_days)
    }
}
