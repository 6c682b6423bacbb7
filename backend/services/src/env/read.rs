//! Reading a project's environment.

use super::format::Format;
use super::managed::{Access, Managed};
use super::vantage::Vantage;
use crate::error::Doing;
use crate::services::{Happened, journal};
use crate::view::View;
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{Database, DatabaseId, EnvName, Project, Scope, Secret};
use berth_store::{CredentialState, DatabaseFilter};

/// Databases that are read at a time.
const PAGE: u32 = 500;

/// Where a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A user gave it.
    User,
    /// berth manages it for this database.
    Database(DatabaseId),
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name that an application reads.
    pub name: EnvName,
    /// The value; none when the caller may not have it.
    pub value: Option<Secret>,
    /// Whether the value is for those alone who may read credentials.
    pub sensitive: bool,
    /// Where it comes from.
    pub source: Source,
}

impl Variable {
    /// Whether berth manages it.
    pub fn is_managed(&self) -> bool {
        self.source != Source::User
    }
}

/// All that an application of a project finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variables by name, each name once.
    pub variables: Vec<Variable>,
    /// What there is to say of variables that one might miss.
    pub notes: Vec<String>,
}

/// Whether sensitive values are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    Shown,
    Hidden,
}

/// Whether a reading may make the first database of a project that wants that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstUse {
    /// It is one by an application, or for one.
    Provisions,
    /// It only looks, as a plan does.
    Leaves,
}

impl Services {
    /// What applications of a project find in their environment, as seen from `vantage`.
    ///
    /// # Guarantees
    /// Sensitive values are there only for callers with the scope `credentials`, and that they
    /// were read is in the journal before anybody has them. Only with that scope does a first
    /// use make a database; without it nothing is written.
    pub async fn environment(
        &self,
        caller: &Caller,
        project: &str,
        vantage: Vantage,
        first_use: FirstUse,
    ) -> Result<Environment, Error> {
        let mut view = View::Store(&self.store);
        let project = self.project_row(&mut view, caller, project).await?;
        if caller.allows_in(&project.id, Scope::Credentials) {
            return self.used(caller, &project, vantage, first_use).await;
        }
        self.environment_of(&mut view, &project, vantage, Values::Hidden)
            .await
    }

    /// The same as a text, for those alone who may read all of it: one with holes would be taken
    /// for the whole.
    pub async fn environment_text(
        &self,
        caller: &Caller,
        project: &str,
        vantage: Vantage,
        first_use: FirstUse,
        format: Format,
    ) -> Result<Secret, Error> {
        let mut view = View::Store(&self.store);
        let project = self.project_row(&mut view, caller, project).await?;
        caller.need_in(&project.id, Scope::Credentials)?;
        let environment = self.used(caller, &project, vantage, first_use).await?;
        format.write(&environment.variables).map_err(|unwritable| {
            let message = format!(
                "cannot stand in an env file of Docker: {}; the formats json and dotenv hold it",
                unwritable.reason
            );
            let name = unwritable.name.to_string();
            Error::fields(vec![FieldError::of(
                Code::UnwritableVariable,
                name,
                message,
            )])
        })
    }

    /// The whole environment of a project, which is used with that.
    async fn used(
        &self,
        caller: &Caller,
        project: &Project,
        vantage: Vantage,
        first_use: FirstUse,
    ) -> Result<Environment, Error> {
        if first_use == FirstUse::Provisions {
            self.provision_on_first_use(caller, project).await?;
        }
        let mut view = View::Store(&self.store);
        let environment = self
            .environment_of(&mut view, project, vantage, Values::Shown)
            .await?;
        if environment.variables.iter().any(|v| v.sensitive) {
            self.tell_reading(caller, project).await?;
        }
        Ok(environment)
    }

    pub(super) async fn environment_of(
        &self,
        view: &mut View<'_>,
        project: &Project,
        vantage: Vantage,
        values: Values,
    ) -> Result<Environment, Error> {
        let databases = self.accesses(view, project, vantage, values).await?;
        let managed = Managed::of_databases(&databases, self.first_of(&databases));
        let Managed {
            mut variables,
            mut notes,
        } = managed.map_err(|e| Error::Inconsistent {
            act: "name the variables of a project",
            reason: e.to_string(),
        })?;
        let own = view
            .env_variables(&project.id)
            .await
            .doing("open the variables of a project")?;
        for variable in own {
            if variables.iter().any(|other| other.name == variable.name) {
                notes.push(format!(
                    "the project's own {} is hidden: berth manages a variable of that name",
                    variable.name
                ));
                continue;
            }
            let is_told = values == Values::Shown || !variable.sensitive;
            variables.push(Variable {
                name: variable.name,
                value: is_told.then_some(variable.value),
                sensitive: variable.sensitive,
                source: Source::User,
            });
        }
        // Only now: a name that leads nowhere from here is still no other variable's.
        leave_out_of_reach(&databases, &mut variables, &mut notes);
        variables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Environment { variables, notes })
    }

    /// The living databases of a project, the oldest first.
    async fn accesses(
        &self,
        view: &mut View<'_>,
        project: &Project,
        vantage: Vantage,
        values: Values,
    ) -> Result<Vec<Access>, Error> {
        let filter = DatabaseFilter {
            project: Some(project.id.clone()),
            ..DatabaseFilter::default()
        };
        let mut accesses = Vec::new();
        let mut after = None;
        loop {
            let page = view
                .databases_page(&filter, after.as_ref(), PAGE)
                .await
                .doing("list the databases of a project")?;
            after = page.rows.last().map(|record| record.database.id.clone());
            for record in page.rows {
                accesses.push(self.access(view, record.database, vantage, values).await?);
            }
            if !page.more {
                return Ok(accesses);
            }
        }
    }

    async fn access(
        &self,
        view: &mut View<'_>,
        database: Database,
        vantage: Vantage,
        values: Values,
    ) -> Result<Access, Error> {
        let network = vantage.network_to(&database);
        let Some(network) = network.filter(|_| values == Values::Shown) else {
            return Ok(Access {
                is_reached: network.is_some(),
                database,
                pooled: None,
                direct: None,
            });
        };
        let found = view
            .credentials(&database.id)
            .await
            .doing("open a password")?;
        let current = found
            .into_iter()
            .find(|credential| credential.state == CredentialState::Current)
            .ok_or_else(|| Error::Inconsistent {
                act: "say how to log in",
                reason: format!("{} has no password", database.id),
            })?;
        let ways = self.with_password(&database, network, None, current.password)?;
        Ok(Access {
            is_reached: true,
            database,
            pooled: Some(ways.pooled_uri),
            direct: Some(ways.uri),
        })
    }

    /// Which of them has the short names: the oldest of the engine that projects have, else the
    /// oldest.
    fn first_of(&self, databases: &[Access]) -> Option<usize> {
        let usual = self.rules.engines.of_projects().name();
        databases
            .iter()
            .position(|access| access.database.engine.as_str() == usual)
            .or_else(|| (!databases.is_empty()).then_some(0))
    }

    async fn tell_reading(&self, caller: &Caller, project: &Project) -> Result<(), Error> {
        let mut tx = self.store.begin().await.doing("begin to write")?;
        let happened = Happened {
            kind: "env.read",
            project: Some(&project.id),
            database: None,
            operation: None,
            message: format!("the environment of {} was read", project.name),
        };
        journal(&mut tx, &caller.actor, self.clock.now(), happened).await?;
        tx.commit().await.doing("write the journal")?;
        Ok(())
    }
}

/// Takes the variables of databases out that are not reached from where the environment is used,
/// and says so.
fn leave_out_of_reach(
    databases: &[Access],
    variables: &mut Vec<Variable>,
    notes: &mut Vec<String>,
) {
    for access in databases.iter().filter(|access| !access.is_reached) {
        let source = Source::Database(access.database.id.clone());
        variables.retain(|variable| variable.source != source);
        notes.push(format!(
            "the variables of {} are left out: it is not exposed, so that it has no public address",
            access.database.name
        ));
    }
}
