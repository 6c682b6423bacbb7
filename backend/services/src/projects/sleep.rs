//! Sending the databases of a project to sleep, and waking them.

use super::destroy::living_in;
use crate::audit;
use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, Keyed, journal, journal_changes};
use crate::view::View;
use crate::{Caller, Error, Services};
use berth_domain::{Intent, OperationKind, Project};

/// What is wanted of everything in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// What runs sleeps.
    Asleep,
    /// What sleeps runs.
    Awake,
}

impl Rest {
    fn turns(self) -> (Intent, Intent) {
        match self {
            Self::Asleep => (Intent::Run, Intent::Sleep),
            Self::Awake => (Intent::Sleep, Intent::Run),
        }
    }

    fn operation(self) -> OperationKind {
        match self {
            Self::Asleep => OperationKind::Sleep,
            Self::Awake => OperationKind::Wake,
        }
    }

    fn kinds(self) -> (&'static str, &'static str) {
        match self {
            Self::Asleep => ("project.sleep_ordered", "database.sleep_ordered"),
            Self::Awake => ("project.wake_ordered", "database.wake_ordered"),
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Asleep => "sleeps",
            Self::Awake => "wakes",
        }
    }
}

impl Services {
    /// Sends every database of a project that runs to sleep, or wakes every one that sleeps.
    /// What a user stopped stays stopped either way. May be said again.
    pub async fn rest_project(
        &self,
        caller: &Caller,
        reference: &str,
        rest: Rest,
        keyed: Option<Keyed<'_, Project>>,
    ) -> Result<Answered<Project>, Error> {
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let now = writing.now;
        let (project, living) = {
            let mut view = View::Tx(&mut writing.tx);
            let project = self.project_row(&mut view, caller, reference).await?;
            let living = living_in(&mut view, &project.id).await?;
            (project, living)
        };
        let ((from, to), (project_kind, database_kind)) = (rest.turns(), rest.kinds());
        let mut turned = 0;
        for mut row in living.into_iter().filter(|row| row.intent == from) {
            turned += 1;
            row.intent = to;
            row.generation += 1;
            row.updated_at = now;
            let tx = &mut writing.tx;
            tx.update_database(&row)
                .await
                .doing("store a changed database")?;
            let operation = self.order(tx, &row, rest.operation(), now).await?;
            journal_changes(
                tx,
                &caller.actor,
                now,
                Happened {
                    kind: database_kind,
                    project: Some(&row.project_id),
                    database: Some(&row.id),
                    operation: Some(&operation.id),
                    message: format!("{} {} with its project", row.name, rest.verb()),
                },
                vec![audit::field("stop_reason", reason(from), reason(to))],
            )
            .await?;
        }
        if turned > 0 {
            journal(
                &mut writing.tx,
                &caller.actor,
                now,
                Happened {
                    kind: project_kind,
                    project: Some(&project.id),
                    database: None,
                    operation: None,
                    message: format!(
                        "project {} {}: {turned} databases",
                        project.name,
                        rest.verb()
                    ),
                },
            )
            .await?;
        }
        self.commit(writing, project).await
    }
}

/// What the API says of a database that is wanted like that.
fn reason(intent: Intent) -> serde_json::Value {
    match intent {
        Intent::Sleep => "sleep".into(),
        Intent::Run | Intent::Stop | Intent::Destroy => serde_json::Value::Null,
    }
}
