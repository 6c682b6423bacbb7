//! What is in a project, for whoever is about to destroy it.

use super::destroy::living_in;
use crate::error::Doing;
use crate::note::counted;
use crate::view::View;
use crate::{Caller, Error};
use berth_domain::{Database, DatabaseId, EnvName, ProjectId};
use std::collections::BTreeSet;

/// Names of each kind that are told.
const SHOWN_MAX: usize = 10;
/// Members that are counted; more are told as that many.
const MEMBERS_MAX: u32 = 1000;

/// What goes with a project.
pub(super) struct Contents {
    /// Its living databases.
    pub(super) databases: Vec<Database>,
    /// The variables that people gave it.
    variables: Vec<EnvName>,
    /// Who is in it beside the one who asks.
    members: usize,
}

impl Contents {
    /// What is in `project`, without the databases that the same plan destroys.
    pub(super) async fn of(
        view: &mut View<'_>,
        caller: &Caller,
        project: &ProjectId,
        going: &BTreeSet<DatabaseId>,
    ) -> Result<Self, Error> {
        let mut databases = living_in(view, project).await?;
        databases.retain(|database| !going.contains(&database.id));
        let variables = view.env_variables(project).await;
        let variables = variables.doing("open the variables of a project")?;
        let members = view.members_page(project, None, MEMBERS_MAX).await;
        let members = members.doing("list members")?.rows;
        // Whoever makes a project is in it from the start; that alone is nothing to lose.
        let members = members
            .iter()
            .filter(|one| one.user_id != caller.user())
            .count();
        Ok(Self {
            databases,
            variables: variables.into_iter().map(|one| one.name).collect(),
            members,
        })
    }

    /// Whether nothing would go with the project.
    pub(super) fn is_empty(&self) -> bool {
        !self.holds_data() && self.members == 0
    }

    /// Whether there is something in it that somebody put there.
    pub(super) fn holds_data(&self) -> bool {
        !self.databases.is_empty() || self.holds_variables()
    }

    /// Whether people gave it variables, which no configuration of Terraform takes away.
    pub(super) fn holds_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    /// All of it in a sentence.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.databases.is_empty() {
            let names = shown(self.databases.iter().map(|one| one.name.as_str()));
            let count = counted(self.databases.len() as u64, "database");
            parts.push(format!("{count} ({names})"));
        }
        if self.holds_variables() {
            let names = shown(self.variables.iter().map(EnvName::as_str));
            let count = counted(self.variables.len() as u64, "variable");
            // How long they are stays untold: of a single one it would be the length of a secret.
            parts.push(format!("{count} of its own ({names})"));
        }
        if self.members > 0 {
            parts.push(counted(self.members as u64, "further member"));
        }
        match parts.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        }
    }
}

/// The first names, and how many others there are.
fn shown<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(SHOWN_MAX);
    let first: Vec<_> = names.take(SHOWN_MAX).collect();
    let first = first.join(", ");
    match more {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
