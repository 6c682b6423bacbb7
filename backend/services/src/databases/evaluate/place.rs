//! Where a database is and what it is called.

use super::{Base, Evaluator};
use crate::databases::facts::{Holder, ProjectFact, RestoreFact};
use crate::{Code, Maybe, Note};
use berth_domain::{Name, ProjectId, Slug};
use berth_engines::Description;

impl<'a> Evaluator<'a> {
    /// Whether what is to be restored can be.
    pub(super) fn restored(&mut self) {
        let field = "restore_from.deleted_database_id";
        match &self.facts.restore {
            RestoreFact::NotAsked | RestoreFact::Unknown => {}
            RestoreFact::Missing { asked } => {
                self.refuse_as(
                    Code::DatabaseNotFound,
                    field,
                    format!("there is no destroyed database \"{asked}\": berthd trash list (GET /v1/trash) shows those that can be restored"),
                );
            }
            RestoreFact::Living(id) => self.refuse_as(
                Code::NotDestroyed,
                field,
                format!("{id} is not destroyed, so there is nothing to restore"),
            ),
            RestoreFact::Purged(id) => self.refuse_as(
                Code::Purged,
                field,
                format!("the recovery window of {id} is over: its data was removed for good"),
            ),
            RestoreFact::Found(row) => self.notes.push(Note::info(
                "restore_from",
                "A destroyed database is brought back",
                format!(
                    "{} returns with its data, its login and its password.",
                    row.id
                ),
            )),
        }
    }

    pub(super) fn project(&mut self) -> Maybe<ProjectId> {
        match &self.facts.project {
            ProjectFact::Unknown => Maybe::Unknown,
            ProjectFact::Missing { asked, nearest } => {
                let hint = nearest
                    .as_ref()
                    .map(|near| format!(" (did you mean \"{near}\"?)"))
                    .unwrap_or_default();
                self.refuse_as(
                    Code::ProjectNotFound,
                    "project_id",
                    format!("there is no project \"{asked}\"{hint}"),
                );
                Maybe::Unknown
            }
            ProjectFact::Found(project) => {
                let project_id = project.id.clone();
                if let Some(row) = self.base.row()
                    && row.project_id != project_id
                {
                    let message = match self.base {
                        Base::Trash(_) => format!(
                            "{} returns into its own project {}: write that one",
                            row.id, row.project_id
                        ),
                        _ => format!(
                            "moving a database to another project is not offered yet: keep {}, or create a new database in {project_id} and copy the data",
                            row.project_id
                        ),
                    };
                    self.refuse("project_id", message);
                    return Maybe::Unknown;
                }
                Maybe::Known(project_id)
            }
        }
    }

    pub(super) fn name(&mut self) -> Maybe<Name> {
        let name = self.settle(
            &self.config.name,
            |row| row.name.clone(),
            |this| this.facts.free_name.clone().into(),
            |this, text| match Name::parse(text) {
                Ok(name) => Maybe::Known(name),
                Err(error) => {
                    this.refuse("name", error.to_string());
                    Maybe::Unknown
                }
            },
        );
        if !name.is_unknown()
            && let Some(holder) = self.facts.name_holder.clone()
        {
            self.name_taken(&holder);
        }
        name
    }

    pub(super) fn name_taken(&mut self, holder: &Holder) {
        let message = match self.base {
            Base::Trash(_) => format!(
                "{} has the name \"{}\" by now: choose another name for the restored database",
                holder.id, holder.name
            ),
            _ => format!(
                "{} exists already as {}. Choose another name, or take the existing one over: terraform import berth_database.NAME {}",
                holder.name, holder.id, holder.id
            ),
        };
        self.refuse_as(Code::NameTaken, "name", message);
    }

    pub(super) fn slug(&mut self, name: &Maybe<Name>) -> Maybe<Slug> {
        let held = self.facts.slug_holder.clone();
        match self.base {
            Base::Row(row) => Maybe::Known(row.slug.clone()),
            Base::Unknown => Maybe::Unknown,
            Base::New => {
                let slug = name.as_ref().map(Slug::of);
                if let (Maybe::Known(slug), Some(holder)) = (&slug, &held) {
                    self.slug_taken(slug, holder);
                }
                slug
            }
            // Its hosts follow the new name where somebody else answers to the old ones, and
            // nobody looked for that one while it was not known where or as what it comes back.
            Base::Trash(_)
                if name.is_unknown() || matches!(self.facts.project, ProjectFact::Unknown) =>
            {
                Maybe::Unknown
            }
            Base::Trash(row) if held.is_none() => Maybe::Known(row.slug.clone()),
            Base::Trash(_) => {
                let slug = name.as_ref().map(Slug::of);
                if let (Maybe::Known(slug), Some(holder)) =
                    (&slug, self.facts.new_slug_holder.clone())
                {
                    self.slug_taken(slug, &holder);
                }
                slug
            }
        }
    }

    fn slug_taken(&mut self, slug: &Slug, holder: &Holder) {
        // A taken name says the same in better words.
        if self.errors.iter().any(|e| e.code == Code::NameTaken) {
            return;
        }
        self.refuse_as(
            Code::SlugTaken,
            "name",
            format!(
                "hosts and login would be named after \"{slug}\", which {} (now named \"{}\") has for life: choose another name",
                holder.id, holder.name
            ),
        );
    }

    pub(super) fn database_name(
        &mut self,
        engine: &Maybe<&'a dyn Description>,
        slug: &Maybe<Slug>,
    ) -> Maybe<String> {
        let (engine, slug) = (*engine, slug.clone());
        self.settle(
            &self.config.database_name,
            |row| row.database_name.clone(),
            |_| {
                engine
                    .zip(slug)
                    .map(|(e, slug)| e.default_database_name(&slug))
            },
            |this, name| {
                let name = name.clone();
                let row = this.base.row();
                this.fixed(
                    "database_name",
                    &name,
                    row.map(|row| row.database_name.as_str()),
                    engine,
                    |e| e.check_database_name(&name),
                )
            },
        )
    }

    pub(super) fn username(
        &mut self,
        engine: &Maybe<&'a dyn Description>,
        slug: &Maybe<Slug>,
    ) -> Maybe<String> {
        let (engine, slug) = (*engine, slug.clone());
        self.settle(
            &self.config.username,
            |row| row.username.clone(),
            |_| engine.zip(slug).map(|(e, slug)| e.default_username(&slug)),
            |this, name| {
                let name = name.clone();
                let row = this.base.row();
                this.fixed(
                    "username",
                    &name,
                    row.map(|row| row.username.as_str()),
                    engine,
                    |e| e.check_username(&name),
                )
            },
        )
    }

    /// A name inside the engine, which is chosen once.
    fn fixed(
        &mut self,
        field: &'static str,
        name: &str,
        existing: Option<&str>,
        engine: Maybe<&'a dyn Description>,
        check: impl FnOnce(&dyn Description) -> Result<(), berth_engines::InvalidIdentifier>,
    ) -> Maybe<String> {
        if let Some(existing) = existing {
            if existing != name {
                self.refuse(
                    field,
                    format!("cannot change: it is \"{existing}\" since the database was made; keep it, or create a further one inside the database"),
                );
                return Maybe::Unknown;
            }
            return Maybe::Known(name.to_owned());
        }
        if let Maybe::Known(engine) = engine
            && let Err(error) = check(engine)
        {
            self.refuse(field, error.to_string());
            return Maybe::Unknown;
        }
        Maybe::Known(name.to_owned())
    }
}
