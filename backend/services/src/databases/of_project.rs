//! A project's own database: its oldest living one of the engine that is meant where a request
//! names none, whoever made it.

use super::config::DatabaseConfig;
use super::create::ClaimManner;
use super::destroy::unkeyed;
use super::find::not_found;
use crate::error::Doing;
use crate::services::{Answered, Begun, Keyed};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Given, Services};
use berth_domain::{EngineName, Project, ProjectId};
use berth_store::{DatabaseFilter, DatabaseRecord};

impl Services {
    /// The project's own database, when it has one.
    pub async fn project_database(
        &self,
        caller: &Caller,
        project: &str,
    ) -> Result<DatabaseRecord, Error> {
        let mut view = View::Store(&self.store);
        let project = self.project_row(&mut view, caller, project).await?;
        let own = self.own_database(&mut view, &project.id).await?;
        own.ok_or_else(not_found)
    }

    /// Makes the project's own database, unless it has one. What `config` leaves out is as for
    /// any other database, and the engine may be left out too.
    pub async fn create_project_database(
        &self,
        caller: &Caller,
        project: &str,
        config: DatabaseConfig,
        manner: ClaimManner,
        keyed: Option<Keyed<'_, DatabaseRecord>>,
    ) -> Result<Answered<DatabaseRecord>, Error> {
        let world = self.world().await;
        let mut writing = match self.begin(caller, keyed).await? {
            Begun::Write(writing) => writing,
            Begun::Replay(replay) => return Ok(Answered::Replayed(replay)),
        };
        let mut view = View::Tx(&mut writing.tx);
        let project = self.project_row(&mut view, caller, project).await?;
        if let Some(own) = self.own_database(&mut view, &project.id).await? {
            return Err(Error::refused(
                Code::DatabaseExists,
                format!(
                    "{} has the database {} ({}) already: make a further one with POST /v1/databases",
                    project.name, own.database.name, own.database.id
                ),
            ));
        }
        let config = self.in_project(config, &project)?;
        self.create_in(writing, &world, caller, &config, manner)
            .await
    }

    /// Takes the project's own database away, into the trash as any other.
    pub async fn destroy_project_database(
        &self,
        caller: &Caller,
        project: &str,
    ) -> Result<DatabaseRecord, Error> {
        let Begun::Write(mut writing) = self.begin::<DatabaseRecord>(caller, None).await? else {
            return Err(unkeyed());
        };
        let mut view = View::Tx(&mut writing.tx);
        let project = self.project_row(&mut view, caller, project).await?;
        let own = self.own_database(&mut view, &project.id).await?;
        let row = own.ok_or_else(not_found)?.database;
        let (id, now) = (row.id.clone(), writing.now);
        self.destroy_row(&mut writing.tx, caller, row, now).await?;
        let record = self.reread(&mut writing.tx, &id).await?;
        match self.commit(writing, record).await? {
            Answered::Fresh(record) => Ok(record),
            Answered::Replayed(_) => Err(unkeyed()),
        }
    }

    /// The oldest living database of the project that is of the engine meant.
    async fn own_database(
        &self,
        view: &mut View<'_>,
        project: &ProjectId,
    ) -> Result<Option<DatabaseRecord>, Error> {
        let filter = DatabaseFilter {
            project: Some(project.clone()),
            engine: Some(EngineName::new(self.rules.engines.of_projects().name())),
            ..DatabaseFilter::default()
        };
        let page = view
            .databases_page(&filter, None, 1)
            .await
            .doing("look for a project's database")?;
        Ok(page.rows.into_iter().next())
    }

    /// The wish with its project and engine said, which may say neither or these.
    fn in_project(
        &self,
        mut config: DatabaseConfig,
        project: &Project,
    ) -> Result<DatabaseConfig, Error> {
        let engine = self.rules.engines.of_projects();
        let mut errors = Vec::new();
        if let Given::Value(asked) = &config.project
            && *asked != project.id.as_str()
            && *asked != project.name.as_str()
        {
            errors.push(FieldError::invalid(
                "project_id",
                format!(
                    "is not the project of the path, {}: leave it out",
                    project.id
                ),
            ));
        }
        if let Given::Value(word) = &config.engine {
            match self.rules.engines.find(word) {
                Ok(found) if found.name() == engine.name() => {}
                Ok(found) => errors.push(FieldError::invalid(
                    "engine",
                    format!(
                        "this route makes {} databases: order {} with POST /v1/databases",
                        engine.title(),
                        found.title()
                    ),
                )),
                Err(error) => errors.push(FieldError::invalid("engine", error.to_string())),
            }
        } else {
            config.engine = Given::Value(engine.name().to_owned());
        }
        if !errors.is_empty() {
            return Err(Error::fields(errors));
        }
        config.project = Given::Value(project.id.to_string());
        Ok(config)
    }
}
