//! Taking projects away.

use crate::audit;
use crate::databases::{protected, unkeyed};
use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Note, Services};
use berth_domain::{Database, DatabaseId, OnDestroy, Project, ProjectId};
use berth_store::DatabaseFilter;
use std::collections::BTreeSet;

/// Databases that one page reads.
const PAGE: u32 = 1000;

/// Whether a project may have something in it when it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptiness {
    /// It goes with everything in it, each through its recovery window.
    Cascade,
    /// It goes only when nothing is in it.
    Required,
}

impl Services {
    /// Takes a project away. Everything in it goes too, unless something in it is protected or
    /// the project has to be empty.
    pub async fn destroy_project(
        &self,
        caller: &Caller,
        reference: &str,
        emptiness: Emptiness,
    ) -> Result<(), Error> {
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let mut view = View::Tx(&mut writing.tx);
        let mut row = self.project_row(&mut view, caller, reference).await?;
        if row.id == ProjectId::default_project() {
            return Err(Error::refused(
                Code::Protected,
                "The default project stays: every installation has it",
            ));
        }
        let living = living_in(&mut view, &row.id).await?;
        if let Some(error) = refusal(&row, &living, emptiness) {
            return Err(error);
        }
        for database in living {
            self.destroy_row(&mut writing.tx, caller, database, now)
                .await?;
        }
        let before = audit::project(&row);
        row.destroyed_at = Some(now);
        row.updated_at = now;
        row.generation += 1;
        writing
            .tx
            .update_project(&row)
            .await
            .doing("mark a project as destroyed")?;
        journal_changes(
            &mut writing.tx,
            &caller.actor,
            now,
            Happened {
                kind: "project.destroyed",
                project: Some(&row.id),
                database: None,
                operation: None,
                message: format!("project {} was destroyed", row.name),
            },
            audit::changes(&before, &audit::project(&row)),
        )
        .await?;
        match self.commit(writing, ()).await? {
            Answered::Fresh(()) => Ok(()),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }

    /// What the destruction of a project means, before it is agreed to. `going` are databases
    /// that the same plan destroys; others may still go before the project's turn comes.
    pub(crate) async fn project_destroy_plan(
        &self,
        view: &mut View<'_>,
        row: &Project,
        going: &BTreeSet<DatabaseId>,
    ) -> Result<(Vec<Note>, Vec<FieldError>), Error> {
        let mut staying = living_in(view, &row.id).await?;
        staying.retain(|database| !going.contains(&database.id));
        if staying.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let names = names_of(&staying);
        let cascades = row.on_destroy == OnDestroy::Cascade && !row.deletion_protection;
        if !cascades {
            let note = Note::warning(
                None,
                format!("{} is not empty", row.name),
                format!(
                    "It holds {names}. Unless they are destroyed before it, the apply is refused."
                ),
            );
            return Ok((vec![note], Vec::new()));
        }
        let errors = staying
            .iter()
            .filter(|d| d.deletion_protection)
            .map(protected)
            .collect();
        let note = Note::warning(
            None,
            format!("{} will be destroyed with everything in it", row.name),
            format!("It holds {names}; each is kept in the trash for its own recovery window."),
        );
        Ok((vec![note], errors))
    }
}

fn refusal(row: &Project, living: &[Database], emptiness: Emptiness) -> Option<Error> {
    if living.is_empty() {
        return None;
    }
    let names = names_of(living);
    if emptiness == Emptiness::Required {
        return Some(Error::refused(
            Code::ProjectNotEmpty,
            format!(
                "{} holds {names}: destroy them first, or set on_destroy = \"cascade\"",
                row.name
            ),
        ));
    }
    if row.deletion_protection {
        return Some(Error::fields(vec![FieldError::of(
            Code::Protected,
            "deletion_protection",
            format!(
                "{} is protected and holds {names}: set deletion_protection = false first",
                row.name
            ),
        )]));
    }
    let held: Vec<_> = living
        .iter()
        .filter(|d| d.deletion_protection)
        .map(protected)
        .collect();
    (!held.is_empty()).then(|| Error::fields(held))
}

fn names_of(databases: &[Database]) -> String {
    const SHOWN_MAX: usize = 10;
    let shown: Vec<_> = databases
        .iter()
        .take(SHOWN_MAX)
        .map(|d| d.name.as_str())
        .collect();
    let more = databases.len().saturating_sub(SHOWN_MAX);
    let what = if databases.len() == 1 {
        "database"
    } else {
        "databases"
    };
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{} {what} ({}{rest})", databases.len(), shown.join(", "))
}

/// All living databases of a project.
pub(super) async fn living_in(
    view: &mut View<'_>,
    project: &ProjectId,
) -> Result<Vec<Database>, Error> {
    let filter = DatabaseFilter {
        project: Some(project.clone()),
        ..DatabaseFilter::default()
    };
    let mut all: Vec<Database> = Vec::new();
    loop {
        let after = all.last().map(|row| row.id.clone());
        let page = view
            .databases_page(&filter, after.as_ref(), PAGE)
            .await
            .doing("list databases")?;
        all.extend(page.rows.into_iter().map(|record| record.database));
        if !page.more {
            return Ok(all);
        }
    }
}
