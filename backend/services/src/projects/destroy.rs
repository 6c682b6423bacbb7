//! Taking projects away.

use super::contents::Contents;
use crate::audit;
use crate::databases::{protected, unkeyed};
use crate::error::Doing;
use crate::note::days_text;
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
        let contents = Contents::of(&mut view, caller, &row.id, &BTreeSet::new()).await?;
        if let Some(error) = refusal(&row, &contents, emptiness) {
            return Err(error);
        }
        for database in contents.databases {
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
        caller: &Caller,
        row: &Project,
        going: &BTreeSet<DatabaseId>,
    ) -> Result<(Vec<Note>, Vec<FieldError>), Error> {
        let staying = Contents::of(view, caller, &row.id, going).await?;
        if staying.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let held = staying.text();
        let refuses = row.on_destroy == OnDestroy::Refuse;
        // Nothing that is applied before it takes a variable away.
        if staying.holds_variables() && (row.deletion_protection || refuses) {
            return Ok((Vec::new(), vec![stays(row, &held)]));
        }
        if row.deletion_protection || (refuses && staying.holds_data()) {
            let note = Note::warning(
                None,
                format!("{} is not empty", row.name),
                format!(
                    "It holds {held}. Unless they are taken away before it, the apply is refused."
                ),
            );
            return Ok((vec![note], Vec::new()));
        }
        let errors = staying
            .databases
            .iter()
            .filter(|d| d.deletion_protection)
            .map(protected)
            .collect();
        let days = days_text(self.project_kept_days());
        let note = Note::warning(
            None,
            format!("{} will be destroyed with everything in it", row.name),
            format!(
                "It holds {held}. Each database is kept in the trash for its own recovery window. The project, its variables and its members are kept for {days} and come back with: berthd trash restore {} (POST /v1/projects/{}/undelete).",
                row.id, row.id
            ),
        );
        Ok((vec![note], errors))
    }
}

fn refusal(row: &Project, contents: &Contents, emptiness: Emptiness) -> Option<Error> {
    if contents.is_empty() {
        return None;
    }
    let held = contents.text();
    if emptiness == Emptiness::Required && contents.holds_data() {
        return Some(Error::refused(
            Code::ProjectNotEmpty,
            format!(
                "{} holds {held}: take them away first, or set on_destroy = \"cascade\"",
                row.name
            ),
        ));
    }
    if row.deletion_protection {
        return Some(Error::fields(vec![stays(row, &held)]));
    }
    let held: Vec<_> = contents
        .databases
        .iter()
        .filter(|d| d.deletion_protection)
        .map(protected)
        .collect();
    (!held.is_empty()).then(|| Error::fields(held))
}

/// Why a project stays that holds something.
fn stays(row: &Project, held: &str) -> FieldError {
    if row.deletion_protection {
        return FieldError::of(
            Code::Protected,
            "deletion_protection",
            format!(
                "{} is protected and holds {held}: set deletion_protection = false first, which needs the scope \"unprotect\"",
                row.name
            ),
        );
    }
    FieldError::of(
        Code::ProjectNotEmpty,
        "on_destroy",
        format!(
            "{} holds {held}: take them away first (DELETE /v1/projects/{}/env/NAME), or set on_destroy = \"cascade\"",
            row.name, row.id
        ),
    )
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
