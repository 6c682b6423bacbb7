//! Under which names applications find the database.

use super::{Base, Evaluator};
use crate::env::{DATABASE_URL, DIRECT_URL, STEERS, own_variable};
use crate::{Given, Maybe, Note};
use berth_domain::{EnvName, Slug};
use std::collections::{BTreeMap, BTreeSet};

/// The most entries of `inject_env` that are looked at; a database has three variables.
const INJECTED_MAX: usize = 16;

impl Evaluator<'_> {
    pub(super) fn inject_env(&mut self, slug: &Maybe<Slug>) -> Maybe<BTreeMap<String, EnvName>> {
        self.nameless(slug);
        match (&self.config.inject_env, self.base) {
            (Given::Unknown, _) | (Given::Absent | Given::Null, Base::Unknown) => Maybe::Unknown,
            (Given::Absent | Given::Null, Base::Trash(row)) => Maybe::Known(row.inject_env.clone()),
            (Given::Absent | Given::Null, Base::New | Base::Row(_)) => {
                Maybe::Known(BTreeMap::new())
            }
            (Given::Value(map), _) => self.checked_names(map, slug),
        }
    }

    fn checked_names(
        &mut self,
        map: &BTreeMap<String, String>,
        slug: &Maybe<Slug>,
    ) -> Maybe<BTreeMap<String, EnvName>> {
        if map.len() > INJECTED_MAX {
            let message = format!("has {} entries: use at most {INJECTED_MAX}", map.len());
            self.refuse("inject_env", message);
            return Maybe::Unknown;
        }
        let mut names = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let errors = self.errors.len();
        for (ours, theirs) in map {
            let field = format!("inject_env.{}", shown(ours));
            if !self.is_ours(ours, slug) {
                let own = slug.as_ref().known().map(own_variable);
                let own = own.map(|own| format!(", {own}")).unwrap_or_default();
                self.refuse(
                    field,
                    format!(
                        "is no variable of this database: use {DATABASE_URL}, {DIRECT_URL}{own}"
                    ),
                );
                continue;
            }
            match EnvName::parse(theirs) {
                Ok(name) if name.steers_programs() || name.steers_interpreters() => {
                    self.refuse(field, format!("{name} {STEERS}"))
                }
                Ok(name) if taken.insert(name.clone()) => {
                    names.insert(ours.clone(), name);
                }
                Ok(name) => self.refuse(field, format!("gives the name {name} a second time")),
                Err(error) => self.refuse(field, error.to_string()),
            }
        }
        if self.errors.len() == errors {
            Maybe::Known(names)
        } else {
            Maybe::Unknown
        }
    }

    /// Whether a database of that slug has such a variable; any name may be one while the slug
    /// is not known.
    fn is_ours(&self, name: &str, slug: &Maybe<Slug>) -> bool {
        match slug {
            Maybe::Known(slug) => {
                name == DATABASE_URL || name == DIRECT_URL || name == own_variable(slug)
            }
            Maybe::Unknown => true,
        }
    }

    /// Says that the slug of a new database leaves it without a variable of its own.
    fn nameless(&mut self, slug: &Maybe<Slug>) {
        let (Maybe::Known(slug), Base::New) = (slug, self.base) else {
            return;
        };
        let own = own_variable(slug);
        if own == DATABASE_URL || own == DIRECT_URL {
            self.notes.push(Note::info(
                "name",
                format!("{slug} has no variable of its own"),
                format!(
                    "It would be {own}, which is the name of the project's first database in every environment."
                ),
            ));
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
