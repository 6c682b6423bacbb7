//! The variables that users give.

use super::read::{Source, Values, Variable};
use super::vantage::Vantage;
use crate::error::Doing;
use crate::services::{Answered, Begun, Happened, Writing, journal_changes};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{ENV_VALUE_BYTES_MAX, EnvName, EnvVariable, FieldChange, Project, Secret};

/// The most variables of a project that users gave.
pub const VARIABLES_MAX: usize = 1000;
/// The most bytes of their names and values in all: what fits into the environment of a process
/// on Linux beside its arguments.
pub const VARIABLES_BYTES_MAX: usize = 1024 * 1024;

/// Why a variable that is well named is refused all the same.
pub(crate) const STEERS: &str = "tells shells, loaders or interpreters what to do, also those that others run with this environment: set it where the application is started";

/// What became of a variable that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The variable, without its value where that is sensitive.
    pub variable: Variable,
    /// Whether there was none of that name before.
    pub is_new: bool,
}

impl Services {
    /// Gives a project a variable, or another value to the one of that name. Where it is not
    /// said whether the value is sensitive, it stays what it was, and a new one is.
    pub async fn put_variable(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        value: Secret,
        sensitive: Option<bool>,
    ) -> Result<Put, Error> {
        let name = parsed(name)?;
        let Begun::Write(writing) = self.begin::<Put>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let put = self.put_in(writing, caller, project, name, value, sensitive);
        match put.await? {
            Answered::Fresh(put) => Ok(put),
            Answered::Replayed(_) => Err(crate::databases::unkeyed()),
        }
    }

    /// The same in a transaction that was begun.
    pub(super) async fn put_in(
        &self,
        mut writing: Writing<'_, Put>,
        caller: &Caller,
        project: &str,
        name: EnvName,
        value: Secret,
        sensitive: Option<bool>,
    ) -> Result<Answered<Put>, Error> {
        check_name(&name)?;
        check_value(&value)?;
        let (project, own) = self.own(&mut writing, caller, project, &name).await?;
        let before = own.iter().find(|variable| variable.name == name);
        let variable = EnvVariable {
            project_id: project.id.clone(),
            sensitive: sensitive.unwrap_or_else(|| before.is_none_or(|found| found.sensitive)),
            created_at: before.map_or(writing.now, |found| found.created_at),
            updated_at: writing.now,
            name,
            value,
        };
        check_room(&own, &variable)?;
        let put = Put {
            is_new: before.is_none(),
            variable: Variable {
                name: variable.name.clone(),
                value: (!variable.sensitive).then(|| variable.value.clone()),
                sensitive: variable.sensitive,
                source: Source::User,
            },
        };
        let is_same = before.is_some_and(|found| {
            found.value == variable.value && found.sensitive == variable.sensitive
        });
        if !is_same {
            if let Some(before) = before {
                self.keep_value(&mut writing, caller, before).await?;
            }
            self.store_variable(&mut writing, caller, &project, &variable)
                .await?;
        }
        self.commit(writing, put).await
    }

    async fn store_variable<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        project: &Project,
        variable: &EnvVariable,
    ) -> Result<(), Error> {
        let (tx, now) = (&mut writing.tx, writing.now);
        tx.put_env_variable(variable)
            .await
            .doing("seal a variable")?;
        let happened = Happened {
            kind: "env.changed",
            project: Some(&project.id),
            database: None,
            operation: None,
            message: format!("{} of {} was set", variable.name, project.name),
        };
        let changes = vec![FieldChange::secret(variable.name.as_str())];
        journal_changes(tx, &caller.actor, now, happened, changes).await
    }

    /// Takes a variable away that a user gave. What it was is kept for a while.
    pub async fn remove_variable(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
    ) -> Result<(), Error> {
        let name = parsed(name).map_err(|_| no_such_variable())?;
        let Begun::Write(mut writing) = self.begin::<()>(caller, None).await? else {
            return Err(crate::databases::unkeyed());
        };
        let project = {
            let mut view = View::Tx(&mut writing.tx);
            self.project_row(&mut view, caller, project).await?
        };
        let own = writing.tx.env_variables(&project.id).await;
        let own = own.doing("open the variables of a project")?;
        // One that a managed one hides may go; the managed one stays.
        let Some(before) = own.iter().find(|variable| variable.name == name) else {
            let mut view = View::Tx(&mut writing.tx);
            self.refuse_managed(&mut view, &project, &name).await?;
            return Err(no_such_variable());
        };
        self.keep_value(&mut writing, caller, before).await?;
        let removed = writing.tx.remove_env_variable(&project.id, &name).await;
        removed.doing("remove a variable")?;
        let (tx, now) = (&mut writing.tx, writing.now);
        let happened = Happened {
            kind: "env.removed",
            project: Some(&project.id),
            database: None,
            operation: None,
            message: format!("{name} of {} was removed", project.name),
        };
        let changes = vec![FieldChange::secret(name.as_str())];
        journal_changes(tx, &caller.actor, now, happened, changes).await?;
        self.commit(writing, ()).await.map(drop)
    }

    /// The project and its own variables, of which `name` may be one.
    async fn own<T>(
        &self,
        writing: &mut Writing<'_, T>,
        caller: &Caller,
        project: &str,
        name: &EnvName,
    ) -> Result<(Project, Vec<EnvVariable>), Error> {
        let mut view = View::Tx(&mut writing.tx);
        let project = self.project_row(&mut view, caller, project).await?;
        self.refuse_managed(&mut view, &project, name).await?;
        let own = view
            .env_variables(&project.id)
            .await
            .doing("open the variables of a project")?;
        Ok((project, own))
    }

    async fn refuse_managed(
        &self,
        view: &mut View<'_>,
        project: &Project,
        name: &EnvName,
    ) -> Result<(), Error> {
        let environment = self
            .environment_of(view, project, Vantage::Project, Values::Hidden)
            .await?;
        let managed = environment
            .variables
            .iter()
            .any(|variable| variable.name == *name && variable.is_managed());
        if managed {
            return Err(Error::refused(
                Code::ManagedVariable,
                format!(
                    "berth manages {name}: choose another name, or give the database's variable another one with inject_env"
                ),
            ));
        }
        Ok(())
    }
}

fn parsed(name: &str) -> Result<EnvName, Error> {
    EnvName::parse(name)
        .map_err(|error| Error::fields(vec![FieldError::invalid("name", error.to_string())]))
}

/// One that is there from before may still be removed.
fn check_name(name: &EnvName) -> Result<(), Error> {
    if name.steers_programs() {
        return Err(Error::fields(vec![FieldError::invalid(
            "name",
            format!("{name} {STEERS}"),
        )]));
    }
    Ok(())
}

fn check_value(value: &Secret) -> Result<(), Error> {
    let refused = |message: String| Err(Error::fields(vec![FieldError::invalid("value", message)]));
    let text = value.reveal();
    if text.len() > ENV_VALUE_BYTES_MAX {
        return refused(format!(
            "has {} bytes: use at most {ENV_VALUE_BYTES_MAX}",
            text.len()
        ));
    }
    if text.contains('\0') {
        return refused("has a zero byte in it, which no environment can hold".to_owned());
    }
    Ok(())
}

/// Refuses what would make the environment larger than a process can have.
fn check_room(own: &[EnvVariable], new: &EnvVariable) -> Result<(), Error> {
    let others = || own.iter().filter(|variable| variable.name != new.name);
    let bytes: usize = others()
        .chain([new])
        .map(|variable| variable.name.as_str().len() + variable.value.reveal().len() + 2)
        .sum();
    if others().count() >= VARIABLES_MAX || bytes > VARIABLES_BYTES_MAX {
        return Err(Error::refused(
            Code::EnvironmentFull,
            format!(
                "A project has at most {VARIABLES_MAX} variables of its own, with {VARIABLES_BYTES_MAX} bytes in all: remove some first"
            ),
        ));
    }
    Ok(())
}

fn no_such_variable() -> Error {
    Error::refused(Code::VariableNotFound, "Variable not found")
}
