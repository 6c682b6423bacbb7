//! What variables were before they were replaced or removed: kept for a while, so that whoever
//! holds a pipeline's token cannot lose what people typed in.

use super::own::Put;
use crate::databases::Authority;
use crate::error::Doing;
use crate::services::{Answered, Begun, Keyed, Writing};
use crate::view::View;
use crate::{Caller, Code, Error, Services};
use berth_domain::{ENDED_VALUE_DAYS, EnvName, EnvVariable, Timestamp};
use berth_store::{EnvVersion, EnvVersionUse, Page};

/// The most values of a project that are kept after they ended.
pub const VERSIONS_MAX: u64 = 1000;
/// The most bytes that these take, sealed.
pub const VERSIONS_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Services {
    /// A page of what the variables of a project were before they were replaced or removed, the
    /// last that ended first, without the values.
    pub async fn variable_versions(
        &self,
        caller: &Caller,
        project: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Page<EnvVersion>, Error> {
        let mut view = View::Store(&self.store);
        let project = self.project_row(&mut view, caller, project).await?;
        self.store
            .env_versions_page(&project.id, after, limit)
            .await
            .doing("list what variables were")
    }

    /// Gives a variable the value again that it had: the last one that ended, or the one of that
    /// number. What it replaces is kept in turn.
    pub async fn restore_variable(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        version: Option<i64>,
        keyed: Option<Keyed<'_, Put>>,
    ) -> Result<Answered<Put>, Error> {
        let name = EnvName::parse(name).map_err(|_| no_such_version())?;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let row = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_row(&mut view, caller, project).await?
        };
        let version = match version {
            Some(version) => Some(version),
            None => {
                let latest = writing.tx.latest_env_version(&row.id, &name).await;
                latest.doing("look for what a variable was")?
            }
        };
        let version = version.ok_or_else(no_such_version)?;
        let value = writing.tx.env_version(&row.id, version).await;
        let value = value.doing("open what a variable was")?;
        let value = value.filter(|value| value.name == name);
        let value = value.ok_or_else(no_such_version)?;
        let sensitive = Some(value.sensitive);
        self.put_in(
            writing,
            caller,
            row.id.as_str(),
            name,
            value.value,
            sensitive,
        )
        .await
    }

    /// Until when a value is kept that ended at that moment; newer ones that need its room may
    /// push it out before, once it is older than the recovery floor.
    pub fn value_kept_until(&self, ended_at: Timestamp) -> Timestamp {
        let days = ENDED_VALUE_DAYS.max(self.rules.limits.recovery_floor_days);
        ended_at.plus_days(i64::from(days))
    }

    /// Keeps what a variable is, because it ends with this transaction. Where there is no room,
    /// the oldest make some that are older than the floor; for a caller who may make data
    /// unrecoverable the oldest at all.
    pub(super) async fn keep_value<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        variable: &EnvVariable,
    ) -> Result<(), Error> {
        let now = writing.now;
        let floor = i64::from(self.rules.limits.recovery_floor_days.max(1));
        let may_go = match caller.authority_in(Some(&variable.project_id)) {
            Authority::Unprotects => now.plus_millis(1),
            Authority::Writes | Authority::Plans => now.plus_days(-floor),
        };
        loop {
            let kept = writing.tx.env_version_use(&variable.project_id).await;
            if has_room(kept.doing("count what is kept of variables")?) {
                break;
            }
            // Each turn leaves one less.
            let forgotten = writing
                .tx
                .forget_oldest_env_version(&variable.project_id, may_go)
                .await;
            if !forgotten.doing("forget what a variable was")? {
                return Err(Error::refused(
                    Code::EnvironmentFull,
                    format!(
                        "The variables of this project were changed too often: {VERSIONS_MAX} earlier values ({VERSIONS_BYTES_MAX} bytes) are kept until they are older than the recovery floor. Wait, or use a token with the scope \"unprotect\""
                    ),
                ));
            }
        }
        let kept = writing.tx.keep_env_version(variable, now).await;
        kept.doing("keep what a variable was").map(drop)
    }
}

fn has_room(kept: EnvVersionUse) -> bool {
    kept.versions < VERSIONS_MAX && kept.bytes < VERSIONS_BYTES_MAX
}

fn no_such_version() -> Error {
    Error::refused(
        Code::VariableNotFound,
        "No earlier value of this variable is kept",
    )
}
