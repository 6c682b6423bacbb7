//! Dry runs of several resources at once. They write, reserve and draw nothing.

use crate::databases::{
    DatabaseConfig, Evaluation, Gatherer, PlannedDatabase, Taken, evaluate, is_shielded, protected,
};
use crate::error::Doing;
use crate::projects::{
    PlannedProject, PlannedQuota, ProjectConfig, evaluate_project, planned_quota, unless_it_goes,
};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Maybe, Note, Services};
use berth_domain::{Database, DatabaseId, Name, ProjectId, Slug};
use std::collections::{BTreeMap, BTreeSet};

/// The most resources of one plan.
pub const PLAN_RESOURCES_MAX: usize = 1000;

/// One resource of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A project is made or changed.
    Project {
        /// The one that is changed.
        id: Option<String>,
        /// The one whose place a new one takes.
        replaces: Option<String>,
        /// What is wanted, whole.
        config: ProjectConfig,
    },
    /// A project goes.
    DestroyProject {
        /// Which one.
        id: String,
    },
    /// A database is made or changed.
    Database {
        /// The one that is changed.
        id: Option<String>,
        /// The one whose place a new one takes.
        replaces: Option<String>,
        /// What is wanted, whole.
        config: Box<DatabaseConfig>,
    },
    /// A database goes.
    DestroyDatabase {
        /// Which one.
        id: String,
    },
    /// What was sent cannot be read as a wish.
    Unreadable(Vec<FieldError>),
}

/// What one resource will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedResource {
    /// A project.
    Project(Box<PlannedProject>),
    /// A database.
    Database(Box<PlannedDatabase>),
    /// Nothing: it goes, or it is refused.
    None,
}

/// The outcome for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it will be.
    pub planned: PlannedResource,
    /// What the user should know.
    pub notes: Vec<Note>,
    /// Why it is refused.
    pub errors: Vec<FieldError>,
}

impl Outcome {
    fn refused(errors: Vec<FieldError>) -> Self {
        Self {
            planned: PlannedResource::None,
            notes: Vec::new(),
            errors,
        }
    }
}

/// What the resources before this one take.
#[derive(Default)]
struct Before {
    taken: Taken,
    names: BTreeSet<(ProjectId, Name)>,
    slugs: BTreeSet<(ProjectId, Slug)>,
    project_names: BTreeSet<Name>,
    project_slugs: BTreeSet<Slug>,
}

impl Services {
    /// What becomes of each wish, in order; rules over several of them refuse the later one.
    pub async fn plan(&self, caller: &Caller, wishes: &[Wish]) -> Result<Vec<Outcome>, Error> {
        if wishes.len() > PLAN_RESOURCES_MAX {
            return Err(Error::fields(vec![FieldError::invalid(
                "resources",
                format!(
                    "are {}: send at most {PLAN_RESOURCES_MAX} at a time",
                    wishes.len()
                ),
            )]));
        }
        let world = self.world().await;
        let going: BTreeSet<DatabaseId> = wishes
            .iter()
            .filter_map(|wish| match wish {
                Wish::DestroyDatabase { id } => DatabaseId::parse(id).ok(),
                _ => None,
            })
            .collect();
        let mut before = Before::default();
        before.taken.quotas = quotas_of(wishes);
        let mut outcomes = Vec::with_capacity(wishes.len());
        for wish in wishes {
            outcomes.push(match wish {
                Wish::Project {
                    id,
                    replaces,
                    config,
                } => {
                    let (id, replaces) = (id.as_deref(), replaces.as_deref());
                    self.plan_project(caller, id, replaces, config, &mut before)
                        .await?
                }
                Wish::DestroyProject { id } => {
                    self.plan_project_destroy(caller, id, &going).await?
                }
                Wish::Database {
                    id,
                    replaces,
                    config,
                } => {
                    let mut view = View::Store(&self.store);
                    let row = self.named(&mut view, caller, id.as_deref()).await?;
                    let replaced = self.named(&mut view, caller, replaces.as_deref()).await?;
                    match (row, replaced) {
                        (Ok(row), Ok(replaces)) => {
                            let gatherer = Gatherer {
                                services: self,
                                view: &mut view,
                                caller,
                                world: &world,
                                taken: &before.taken,
                                replaces,
                                now: self.clock.now(),
                            };
                            let facts = gatherer.facts(row.as_ref(), config).await?;
                            let found = evaluate(row.as_ref(), config, &facts, &self.rules);
                            self.plan_database(row.as_ref(), found, &mut before)
                        }
                        (Err(error), _) | (_, Err(error)) => Outcome::refused(vec![error]),
                    }
                }
                Wish::DestroyDatabase { id } => self.plan_database_destroy(caller, id).await?,
                Wish::Unreadable(errors) => Outcome::refused(errors.clone()),
            });
        }
        Ok(outcomes)
    }

    /// The living database of an id; a refusal when there is none for the caller.
    async fn named(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        id: Option<&str>,
    ) -> Result<Result<Option<Database>, FieldError>, Error> {
        let Some(text) = id else { return Ok(Ok(None)) };
        let found = match DatabaseId::parse(text) {
            Ok(id) => view.database_by_id(&id).await.doing("read a database")?,
            Err(_) => None,
        };
        Ok(found
            .filter(|row| row.is_living() && caller.sees(&row.project_id))
            .map(Some)
            .ok_or_else(|| gone(Code::DatabaseNotFound, "database", text)))
    }

    fn plan_database(
        &self,
        row: Option<&Database>,
        found: Evaluation,
        before: &mut Before,
    ) -> Outcome {
        let Evaluation {
            planned,
            notes,
            mut errors,
            resumes,
            ..
        } = found;
        if let (Maybe::Known(project), Maybe::Known(name), Maybe::Known(slug)) =
            (&planned.project_id, &planned.name, &planned.slug)
        {
            let name_taken = !before.names.insert((project.clone(), name.clone()));
            let slug_taken = !before.slugs.insert((project.clone(), slug.clone()));
            if name_taken {
                errors.push(twice(Code::NameTaken, &format!("the name \"{name}\"")));
            } else if slug_taken {
                errors.push(twice(Code::SlugTaken, &format!("the slug \"{slug}\"")));
            }
        }
        // What is refused takes nothing: one complaint is enough.
        if errors.is_empty() && resumes.is_none() {
            before.taken.add(row, &planned, &self.rules);
        }
        if errors.is_empty() {
            Outcome {
                planned: PlannedResource::Database(Box::new(planned)),
                notes,
                errors,
            }
        } else {
            Outcome {
                planned: PlannedResource::None,
                notes,
                errors,
            }
        }
    }

    async fn plan_database_destroy(&self, caller: &Caller, id: &str) -> Result<Outcome, Error> {
        let mut view = View::Store(&self.store);
        let row = match self.named(&mut view, caller, Some(id)).await? {
            Ok(Some(row)) => row,
            // What is not there need not go.
            Ok(None) | Err(_) => return Ok(Outcome::refused(Vec::new())),
        };
        let observation = view
            .observation(&row.id)
            .await
            .doing("read an observation")?;
        let mut errors = Vec::new();
        if is_shielded(&row, caller) {
            errors.push(protected(&row));
        }
        Ok(Outcome {
            planned: PlannedResource::None,
            notes: self.destroy_notes(
                &row,
                observation.as_ref(),
                caller.authority_in(Some(&row.project_id)),
            ),
            errors,
        })
    }

    async fn plan_project(
        &self,
        caller: &Caller,
        id: Option<&str>,
        replaces: Option<&str>,
        config: &ProjectConfig,
        before: &mut Before,
    ) -> Result<Outcome, Error> {
        let mut view = View::Store(&self.store);
        let row = match id {
            None => None,
            Some(text) => match self.project_row(&mut view, caller, text).await {
                Ok(row) => Some(row),
                Err(Error::Refused { .. }) => {
                    let error = gone(Code::ProjectNotFound, "project", text);
                    return Ok(Outcome::refused(vec![error]));
                }
                Err(other) => return Err(other),
            },
        };
        if row.is_none() && caller.project.is_some() {
            let error = FieldError::of(
                Code::ProjectForbidden,
                "name",
                "this token is bound to one project and cannot make another",
            );
            return Ok(Outcome::refused(vec![error]));
        }
        let facts = self
            .project_facts(&mut view, caller, row.as_ref(), replaces, config)
            .await?;
        let found = evaluate_project(row.as_ref(), config, &facts, &self.rules);
        let mut errors = found.errors;
        let mut notes = found.notes;
        if let Some(row) = &row {
            let told = found.in_the_way.iter();
            notes.extend(told.map(|wrong| unless_it_goes(&row.name, wrong)));
        }
        if let (Maybe::Known(name), Maybe::Known(slug)) = (&found.planned.name, &found.planned.slug)
        {
            let name_taken = !before.project_names.insert(name.clone());
            let slug_taken = !before.project_slugs.insert(slug.clone());
            if name_taken {
                errors.push(twice(Code::NameTaken, &format!("the name \"{name}\"")));
            } else if slug_taken {
                errors.push(twice(Code::SlugTaken, &format!("the slug \"{slug}\"")));
            }
        }
        let planned = if errors.is_empty() {
            PlannedResource::Project(Box::new(found.planned))
        } else {
            PlannedResource::None
        };
        Ok(Outcome {
            planned,
            notes,
            errors,
        })
    }

    async fn plan_project_destroy(
        &self,
        caller: &Caller,
        id: &str,
        going: &BTreeSet<DatabaseId>,
    ) -> Result<Outcome, Error> {
        let mut view = View::Store(&self.store);
        let row = match self.project_row(&mut view, caller, id).await {
            Ok(row) => row,
            Err(Error::Refused { .. }) => return Ok(Outcome::refused(Vec::new())),
            Err(other) => return Err(other),
        };
        let (notes, errors) = self
            .project_destroy_plan(&mut view, caller, &row, going)
            .await?;
        Ok(Outcome {
            planned: PlannedResource::None,
            notes,
            errors,
        })
    }
}

/// The quotas that the projects of a plan get. What is applied first is the project, to which
/// its databases refer; so it is this one that they have to fit into.
fn quotas_of(wishes: &[Wish]) -> BTreeMap<ProjectId, Maybe<Option<PlannedQuota>>> {
    let of = |wish: &Wish| match wish {
        Wish::Project {
            id: Some(id),
            config,
            ..
        } => {
            let (quota, wrong) = planned_quota(&config.quota);
            let id = ProjectId::parse(id).ok().filter(|_| wrong.is_empty());
            id.map(|id| (id, quota))
        }
        _ => None,
    };
    wishes.iter().filter_map(of).collect()
}

fn gone(code: Code, what: &str, id: &str) -> FieldError {
    let shown: String = id.chars().take(64).collect();
    FieldError::of(
        code,
        "id",
        format!("there is no {what} \"{shown}\" any more: refresh the state"),
    )
}

fn twice(code: Code, what: &str) -> FieldError {
    FieldError::of(
        code,
        "name",
        format!("another resource of this plan has {what} too: each needs its own"),
    )
}
