//! The variables that berth manages: which there are, and under which names.

use super::read::{Source, Variable};
use berth_domain::{Database, EnvName, InvalidEnvName, Secret, Slug};
use std::collections::BTreeSet;

/// The project's first database, through its pooler.
pub(crate) const DATABASE_URL: &str = "DATABASE_URL";
/// The project's first database, past its pooler.
pub(crate) const DIRECT_URL: &str = "DIRECT_URL";

/// The variable that a database of that slug has for itself.
pub(crate) fn own_variable(slug: &Slug) -> String {
    format!(
        "{}_URL",
        slug.as_str().to_ascii_uppercase().replace('-', "_")
    )
}

/// The ways into a database; without values for those who may not have them.
pub(super) struct Access {
    pub(super) database: Database,
    /// Whether there are any from where the environment is used.
    pub(super) is_reached: bool,
    pub(super) pooled: Option<Secret>,
    pub(super) direct: Option<Secret>,
}

/// Variables, and what there is to say of those that are missing.
#[derive(Default)]
pub(super) struct Managed {
    pub(super) variables: Vec<Variable>,
    pub(super) notes: Vec<String>,
}

impl Managed {
    /// The variables of databases, the oldest first; `first` is the one that has the short
    /// names. Where two would have one name, the older database has it.
    pub(super) fn of_databases(
        databases: &[Access],
        first: Option<usize>,
    ) -> Result<Self, InvalidEnvName> {
        let mut managed = Self::default();
        let mut taken = BTreeSet::new();
        if let Some(first) = first.and_then(|at| databases.get(at)) {
            managed.add(first, DATABASE_URL, &first.pooled, &mut taken)?;
            managed.add(first, DIRECT_URL, &first.direct, &mut taken)?;
        }
        for access in databases {
            let own = own_variable(&access.database.slug);
            if own == DATABASE_URL || own == DIRECT_URL {
                managed.notes.push(format!(
                    "{} has no variable of its own: it would be {own}, which is the name of the project's first database",
                    access.database.name
                ));
                continue;
            }
            managed.add(access, &own, &access.pooled, &mut taken)?;
        }
        managed
            .variables
            .sort_by(|one, other| one.name.cmp(&other.name));
        Ok(managed)
    }

    fn add(
        &mut self,
        access: &Access,
        ours: &str,
        value: &Option<Secret>,
        taken: &mut BTreeSet<EnvName>,
    ) -> Result<(), InvalidEnvName> {
        let database = &access.database;
        let name = match database.inject_env.get(ours) {
            Some(theirs) => theirs.clone(),
            None => EnvName::parse(ours)?,
        };
        if taken.insert(name.clone()) {
            self.variables.push(Variable {
                name,
                value: value.clone(),
                sensitive: true,
                source: Source::Database(database.id.clone()),
            });
        } else {
            self.notes.push(format!(
                "{ours} of {} is left out: another database has {name} already; give it another name with inject_env",
                database.name
            ));
        }
        Ok(())
    }
}
