//! Whether the networks have an address left for each process.

use super::Evaluator;
use crate::databases::facts::ProjectFact;
use crate::databases::planned::{PlannedDatabase, PlannedPooler};
use crate::{Code, Maybe};
use berth_domain::Database;

/// The addresses that a database takes: in its project's network one for the engine and one for
/// the pooler, and one on which it is published.
pub(crate) fn addresses_of(row: &Database) -> (u32, u32) {
    (1 + u32::from(row.pooler.is_some()), u32::from(row.expose))
}

/// The same of one that is planned. What is not known yet counts as nothing: it may still come,
/// and then it counts.
pub(crate) fn addresses_planned(
    pooler: &Maybe<Option<PlannedPooler>>,
    expose: Maybe<bool>,
) -> (u32, u32) {
    (
        1 + u32::from(matches!(pooler, Maybe::Known(Some(_)))),
        u32::from(expose == Maybe::Known(true)),
    )
}

impl Evaluator<'_> {
    /// Refuses what would not get an address any more. What is there already is not refused for
    /// an edit of something else.
    pub(super) fn room(&mut self, planned: &PlannedDatabase) {
        let had = match self.base {
            super::Base::Row(row) => addresses_of(row),
            _ => (0, 0),
        };
        let wanted = addresses_planned(&planned.pooler, planned.expose);
        let (limits, used) = (&self.rules.limits, self.facts.addresses_used);
        let project_full =
            wanted.0 > had.0 && used.in_project + wanted.0 > limits.project_addresses;
        let public_full = wanted.1 > had.1 && used.in_public + wanted.1 > limits.public_addresses;
        if project_full && let ProjectFact::Found(project) = &self.facts.project {
            let field = if had.0 == 0 { "project_id" } else { "pooler" };
            let message = format!(
                "the network of project {} has {} addresses for engines and poolers, {} are taken and this needs {}: take another project, leave out a pooler (pooler = {{ enabled = false }}), or destroy something",
                project.name, limits.project_addresses, used.in_project, wanted.0
            );
            self.refuse_as(Code::NetworkFull, field, message);
        }
        if public_full {
            let message = format!(
                "the network on which databases are published has {} addresses, and all are taken: stop exposing another database first",
                limits.public_addresses
            );
            self.refuse_as(Code::NetworkFull, "expose", message);
        }
    }
}
