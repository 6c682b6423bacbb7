//! Finding databases as their callers name them.

use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{DatabaseId, EngineName, Name, ProjectId, Timestamp};
use berth_store::{DatabaseFilter, DatabaseRecord, Lifetime, Page, Tell, Told};
use std::sync::Arc;

/// How long a purged database still says that it is destroyed.
const PURGED_VISIBLE_DAYS: i64 = 30;

/// Which databases to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseList {
    /// Those of one project, by id or name.
    pub project: Option<String>,
    /// Those of one engine, by any of its words.
    pub engine: Option<String>,
    /// Those of one name.
    pub name: Option<String>,
}

/// What belongs to a project, until some time after it was purged.
trait Owned {
    fn owned(&self) -> (&ProjectId, Option<Timestamp>);
}

impl Owned for DatabaseRecord {
    fn owned(&self) -> (&ProjectId, Option<Timestamp>) {
        (&self.database.project_id, self.database.purged_at)
    }
}

impl Owned for Arc<Told> {
    fn owned(&self) -> (&ProjectId, Option<Timestamp>) {
        (&self.project, self.purged_at)
    }
}

impl Services {
    /// One database, by its id or its name. By id a destroyed one says so until thirty days
    /// after its purge; by name there are the living only.
    pub async fn database(
        &self,
        caller: &Caller,
        reference: &str,
        project: Option<&str>,
    ) -> Result<DatabaseRecord, Error> {
        let mut view = View::Store(&self.store);
        self.find(&mut view, caller, reference, project).await
    }

    /// What is told of the same database.
    pub async fn told_database(
        &self,
        caller: &Caller,
        reference: &str,
        project: Option<&str>,
        tell: &Tell<'_>,
    ) -> Result<Arc<Told>, Error> {
        let mut view = View::Store(&self.store);
        let project = self.narrowed(&mut view, caller, project).await?;
        let id = find_id(&mut view, caller, reference, project.as_ref()).await?;
        let found = self.store.told_database(&id, tell).await;
        self.admitted(caller, project.as_ref(), found.doing("read a database")?)
    }

    pub(crate) async fn find(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        reference: &str,
        project: Option<&str>,
    ) -> Result<DatabaseRecord, Error> {
        let project = self.narrowed(view, caller, project).await?;
        let id = find_id(view, caller, reference, project.as_ref()).await?;
        let found = view.database_record(&id).await.doing("read a database")?;
        self.admitted(caller, project.as_ref(), found)
    }

    /// What was found, if it exists for the caller and the request may be about it.
    fn admitted<R: Owned>(
        &self,
        caller: &Caller,
        project: Option<&ProjectId>,
        found: Option<R>,
    ) -> Result<R, Error> {
        let found = found.ok_or_else(not_found)?;
        let (owner, purged_at) = found.owned();
        if !caller.sees(owner)
            || project.is_some_and(|project| project != owner)
            || is_forgotten(purged_at, self.clock.now())
        {
            return Err(not_found());
        }
        caller.admitted(owner)?;
        Ok(found)
    }

    /// The project that narrows a question; a project that does not exist narrows it to nothing.
    async fn narrowed(
        &self,
        view: &mut View<'_>,
        caller: &Caller,
        project: Option<&str>,
    ) -> Result<Option<ProjectId>, Error> {
        match project {
            None => Ok(None),
            Some(reference) => self
                .project_row(view, caller, reference)
                .await
                .map(|p| Some(p.id)),
        }
    }

    /// A page of the living databases that the caller sees, oldest first.
    pub async fn databases(
        &self,
        caller: &Caller,
        list: &DatabaseList,
        after: Option<&DatabaseId>,
        limit: u32,
    ) -> Result<Page<DatabaseRecord>, Error> {
        let filter = self.filter(caller, list).await?;
        let found = self.store.databases_page(&filter, after, limit).await;
        found.doing("list databases")
    }

    /// What is told of the same databases.
    pub async fn told_databases(
        &self,
        caller: &Caller,
        list: &DatabaseList,
        after: Option<&DatabaseId>,
        limit: u32,
        tell: &Tell<'_>,
    ) -> Result<Page<Arc<Told>>, Error> {
        let filter = self.filter(caller, list).await?;
        self.store
            .told_databases_page(&filter, after, limit, tell)
            .await
            .doing("list databases")
    }

    /// The living databases that a list shows the caller.
    async fn filter(&self, caller: &Caller, list: &DatabaseList) -> Result<DatabaseFilter, Error> {
        let mut view = View::Store(&self.store);
        let project = self
            .narrowed(&mut view, caller, list.project.as_deref())
            .await?;
        let invalid = |field, reason| Error::fields(vec![FieldError::invalid(field, reason)]);
        let engine = list.engine.as_deref().map(|word| {
            let engine = self.rules.engines.find(word);
            engine.map_err(|error| invalid("engine", error.to_string()))
        });
        let name = list.name.as_deref().map(|text| {
            let name = Name::parse(text);
            name.map_err(|error| invalid("name", error.to_string()))
        });
        let reach = caller.reach_within(project);
        Ok(DatabaseFilter {
            project: reach.project,
            member: reach.member,
            engine: engine.transpose()?.map(|e| EngineName::new(e.name())),
            name: name.transpose()?,
            lifetime: Lifetime::Living,
        })
    }
}

/// Which database a reference means: its id, or the name of a living one that the caller sees.
async fn find_id(
    view: &mut View<'_>,
    caller: &Caller,
    reference: &str,
    project: Option<&ProjectId>,
) -> Result<DatabaseId, Error> {
    if let Ok(id) = DatabaseId::parse(reference) {
        return Ok(id);
    }
    let name = Name::parse(reference).map_err(|_| not_found())?;
    let named = view
        .databases_by_name(&name, project.or(caller.project.as_ref()))
        .await
        .doing("look for a database by name")?;
    let mut seen = named.into_iter().filter(|row| caller.sees(&row.project_id));
    let first = seen.next().ok_or_else(not_found)?;
    let others: Vec<_> = seen.collect();
    if others.is_empty() {
        return Ok(first.id);
    }
    Err(ambiguous(&name, std::iter::once(&first).chain(&others)))
}

/// Whether a purged database is not spoken of any more.
fn is_forgotten(purged_at: Option<Timestamp>, now: Timestamp) -> bool {
    purged_at.is_some_and(|at| at.plus_days(PURGED_VISIBLE_DAYS) <= now)
}

/// There is no such database, for this caller.
pub(crate) fn not_found() -> Error {
    Error::refused(Code::DatabaseNotFound, "Database not found")
}

fn ambiguous<'a>(name: &Name, found: impl Iterator<Item = &'a berth_domain::Database>) -> Error {
    let details = found
        .map(|row| {
            FieldError::of(
                Code::NameAmbiguous,
                "id",
                format!("{} in project {}", row.id, row.project_id),
            )
        })
        .collect();
    Error::Refused {
        code: Code::NameAmbiguous,
        message: format!("Several databases are named {name}: use an id, or narrow by project_id"),
        details,
    }
}
