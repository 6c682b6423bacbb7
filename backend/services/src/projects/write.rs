//! Reading, making and changing projects.

use super::evaluate::{Forsaken, ProjectConfig, ProjectFacts, ProjectHolder, evaluate_project};
use crate::audit;
use crate::databases::{ClaimManner, claim_of, find_project, unkeyed};
use crate::error::Doing;
use crate::expected::tag_of_project;
use crate::services::{Answered, Begun, Happened, Keyed, Writing, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, Expected, Given, Maybe, Services, random};
use berth_domain::{Claim, Name, OnDestroy, Project, ProjectId, Slug, Timestamp};
use berth_store::{Page, ProjectUse, Tx};
use std::collections::BTreeMap;

impl Services {
    /// Makes what every installation has: its administrator and the default project. May be
    /// said again.
    pub async fn prepare(&self) -> Result<(), Error> {
        let mut tx = self.store.begin().await.doing("begin to write")?;
        self.prepare_administrator(&mut tx).await?;
        self.prepare_project(&mut tx).await?;
        tx.commit().await.doing("prepare the installation")?;
        Ok(())
    }

    async fn prepare_project(&self, tx: &mut Tx) -> Result<(), Error> {
        let id = ProjectId::default_project();
        if tx
            .project_by_id(&id)
            .await
            .doing("read the default project")?
            .is_some()
        {
            return Ok(());
        }
        let name = Name::parse("default").map_err(|e| Error::Inconsistent {
            act: "name the default project",
            reason: e.to_string(),
        })?;
        let now = self.clock.now();
        let project = Project {
            id,
            slug: Slug::of(&name),
            name,
            description: Some("Everything that names no project".to_owned()),
            default_region: self.rules.default_region().map(str::to_owned),
            deletion_protection: false,
            on_destroy: OnDestroy::Refuse,
            sleep_after_minutes: None,
            quota: None,
            tags: BTreeMap::new(),
            auto_provision: false,
            claim: Claim::Claimed,
            generation: 1,
            created_at: now,
            updated_at: now,
            destroyed_at: None,
        };
        tx.insert_project(&project)
            .await
            .doing("store the default project")
    }

    /// One living project, by its id or its name.
    pub async fn project(&self, caller: &Caller, reference: &str) -> Result<Project, Error> {
        let mut view = View::Store(&self.store);
        self.project_row(&mut view, caller, reference).await
    }

    pub(crate) async fn project_row(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        reference: &str,
    ) -> Result<Project, Error> {
        let found = find_project(view, reference)
            .await?
            .filter(|project| caller.sees(&project.id))
            .ok_or_else(project_not_found)?;
        caller.admitted(&found.id)?;
        Ok(found)
    }

    /// A page of the projects that the caller sees, oldest first.
    pub async fn projects(
        &self,
        caller: &Caller,
        after: Option<&ProjectId>,
        limit: u32,
    ) -> Result<Page<Project>, Error> {
        self.store
            .projects_page(&caller.reach(), after, limit)
            .await
            .doing("list projects")
    }

    /// Makes a project, or resumes one that was begun by the same token with an equal request.
    pub async fn create_project(
        &self,
        caller: &Caller,
        config: &ProjectConfig,
        manner: ClaimManner,
        keyed: Option<Keyed<'_, Project>>,
    ) -> Result<Answered<Project>, Error> {
        if caller.project.is_some() {
            return Err(Error::refused(
                Code::ProjectForbidden,
                "This token is bound to one project and cannot make another",
            ));
        }
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let facts = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_facts(&mut view, caller, None, None, config)
                .await?
        };
        let evaluation = evaluate_project(None, config, &facts, &self.rules);
        if !evaluation.errors.is_empty() {
            return Err(Error::fields(evaluation.errors));
        }
        if let (Some(_), Some(held)) = (&evaluation.resumes, facts.resumable) {
            return self.commit(writing, *held).await;
        }
        let now = writing.now;
        let id = ProjectId::from_entropy(random(&*self.entropy));
        let mut row = blank(id, &evaluation.planned.name, now)?;
        row.claim = claim_of(manner, caller, evaluation.fingerprint);
        evaluation.planned.write_into(&mut row)?;
        writing
            .tx
            .insert_project(&row)
            .await
            .doing("store a project")?;
        journal_changes(
            &mut writing.tx,
            &caller.actor,
            now,
            Happened {
                kind: "project.created",
                project: Some(&row.id),
                database: None,
                operation: None,
                message: format!("project {} was made", row.name),
            },
            audit::made(&audit::project(&row)),
        )
        .await?;
        self.first_owner(&mut writing.tx, caller, &row.id, now)
            .await?;
        self.commit(writing, row).await
    }

    /// Changes what `config` names and nothing else.
    pub async fn update_project(
        &self,
        caller: &Caller,
        reference: &str,
        config: &ProjectConfig,
        expected: &Expected,
    ) -> Result<Project, Error> {
        let Begun::Write(mut writing) = self.begin::<Project>(caller, None).await? else {
            return Err(unkeyed());
        };
        let now = writing.now;
        let mut row = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_row(&mut view, caller, reference).await?
        };
        expected.check(|| tag_of_project(&row))?;
        // Whoever changes a project has it: the request that ordered it must not resume it.
        if row.claim != Claim::Claimed {
            take_project_over(&mut writing, caller, &mut row).await?;
        }
        let config = config.clone().over(&row);
        let facts = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_facts(&mut view, caller, Some(&row), None, &config)
                .await?
        };
        let mut evaluation = evaluate_project(Some(&row), &config, &facts, &self.rules);
        evaluation.errors.append(&mut evaluation.in_the_way);
        if !evaluation.errors.is_empty() {
            return Err(Error::fields(evaluation.errors));
        }
        let mut changed = row.clone();
        evaluation.planned.write_into(&mut changed)?;
        if changed != row {
            changed.generation += 1;
            changed.updated_at = now;
            writing
                .tx
                .update_project(&changed)
                .await
                .doing("store a changed project")?;
            let changes = audit::changes(&audit::project(&row), &audit::project(&changed));
            let fields: Vec<_> = changes.iter().map(|c| c.field.as_str()).collect();
            let message = format!("project {}: {} changed", changed.name, fields.join(", "));
            journal_changes(
                &mut writing.tx,
                &caller.actor,
                now,
                Happened {
                    kind: "project.changed",
                    project: Some(&changed.id),
                    database: None,
                    operation: None,
                    message,
                },
                changes,
            )
            .await?;
        }
        match self.commit(writing, changed).await? {
            Answered::Fresh(project) => Ok(project),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }

    /// The client that created it has taken it over. May be said again.
    pub async fn claim_project(
        &self,
        caller: &Caller,
        reference: &str,
        keyed: Option<Keyed<'_, Project>>,
    ) -> Result<Answered<Project>, Error> {
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let mut row = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_row(&mut view, caller, reference).await?
        };
        if let Claim::Unclaimed { token, .. } = &row.claim {
            if caller.token().is_some_and(|own| own != token) {
                return Err(Error::refused(
                    Code::ClaimRefused,
                    format!("{} is being created by another token", row.name),
                ));
            }
            take_project_over(&mut writing, caller, &mut row).await?;
        }
        self.commit(writing, row).await
    }

    /// The facts for `config`, for a change of `row` or a create.
    pub(crate) async fn project_facts(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        row: Option<&Project>,
        replaces: Option<&str>,
        config: &ProjectConfig,
    ) -> Result<ProjectFacts, Error> {
        let mut facts = ProjectFacts {
            authority: caller.authority_in(row.map(|row| &row.id)),
            name_holder: None,
            slug_holder: None,
            resumable: None,
            in_use: ProjectUse::default(),
            forsaken: None,
        };
        if let Some(row) = row {
            let in_use = view.project_use(&row.id).await;
            facts.in_use = in_use.doing("add up what a project has")?;
        }
        let name = match &config.name {
            Given::Value(text) => Name::parse(text).ok(),
            Given::Absent | Given::Null | Given::Unknown => None,
        };
        let Some(name) = name else { return Ok(facts) };
        // What goes in the same plan holds nothing.
        let own = |found: &Project| {
            row.is_some_and(|row| row.id == found.id) || replaces == Some(found.id.as_str())
        };
        let named = view
            .project_by_name(&name)
            .await
            .doing("look for a project")?;
        if let Some(found) = named.filter(|found| !own(found)) {
            let ours = matches!(&found.claim, Claim::Unclaimed { token, .. } if Some(token) == caller.token());
            if ours && row.is_none() {
                facts.resumable = Some(Box::new(found));
            } else {
                facts.name_holder = Some(holder(caller, found.id));
            }
        }
        let slugged = view
            .living_project_by_slug(&Slug::of(&name))
            .await
            .doing("look for a project")?;
        facts.slug_holder = slugged
            .filter(|found| !own(found))
            .filter(|found| {
                facts
                    .resumable
                    .as_ref()
                    .is_none_or(|held| held.id != found.id)
            })
            .map(|found| holder(caller, found.id));
        if row.is_none() && facts.name_holder.is_none() && facts.resumable.is_none() {
            facts.forsaken = forsaken(view, caller, &name).await?;
        }
        Ok(facts)
    }
}

/// The destroyed project that somebody may have meant who makes one of that name.
async fn forsaken(
    view: &mut View<'_>,
    caller: &Caller,
    name: &Name,
) -> Result<Option<Forsaken>, Error> {
    let found = view.destroyed_project_by_name(name).await;
    let found = found.doing("look for a destroyed project")?;
    let Some(found) = found.filter(|found| caller.sees(&found.id)) else {
        return Ok(None);
    };
    let variables = view.env_variables(&found.id).await;
    let variables = variables.doing("open the variables of a project")?.len();
    Ok((variables > 0).then_some(Forsaken {
        id: found.id,
        variables,
    }))
}

fn holder(caller: &Caller, id: ProjectId) -> ProjectHolder {
    if caller.sees(&id) {
        ProjectHolder::Seen(id)
    } else {
        ProjectHolder::Unseen
    }
}

/// Its client has it from now on.
async fn take_project_over<T>(
    writing: &mut Writing<'_, T>,
    caller: &Caller,
    row: &mut Project,
) -> Result<(), Error> {
    writing
        .tx
        .claim_project(&row.id)
        .await
        .doing("claim a project")?;
    row.claim = Claim::Claimed;
    let now = writing.now;
    journal_changes(
        &mut writing.tx,
        &caller.actor,
        now,
        Happened {
            kind: "project.claimed",
            project: Some(&row.id),
            database: None,
            operation: None,
            message: format!("project {} was taken over", row.name),
        },
        vec![audit::field("claimed", false.into(), true.into())],
    )
    .await
}

/// There is no such project, for this caller.
pub(crate) fn project_not_found() -> Error {
    Error::refused(Code::ProjectNotFound, "Project not found")
}

fn blank(id: ProjectId, name: &Maybe<Name>, now: Timestamp) -> Result<Project, Error> {
    let Maybe::Known(name) = name.clone() else {
        return Err(Error::Inconsistent {
            act: "create a project",
            reason: "its name is unknown".to_owned(),
        });
    };
    Ok(Project {
        id,
        slug: Slug::of(&name),
        name,
        description: None,
        default_region: None,
        deletion_protection: false,
        on_destroy: OnDestroy::Refuse,
        sleep_after_minutes: None,
        quota: None,
        tags: BTreeMap::new(),
        auto_provision: false,
        claim: Claim::Claimed,
        generation: 1,
        created_at: now,
        updated_at: now,
        destroyed_at: None,
    })
}
