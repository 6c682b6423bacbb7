//! Domain to wire and back: the only place where both kinds of type are known.

mod config;
mod database;
mod dialects;
mod env;
mod people;
mod plan;
mod project;
mod rest;
mod shown;

pub(crate) use config::{database_config, given, project_config};
pub(crate) use database::{database, planned_database};
pub(crate) use dialects::{addon_providers, plain_credentials, plain_database, project_database};
pub(crate) use env::{environment, variable, variable_version};
pub(crate) use people::{event, member, token, user, user_config};
pub(crate) use plan::{planned_items, wish};
pub(crate) use project::{destroyed_project, planned_project, project};
pub(crate) use rest::{catalogue, credentials, operation, server};
pub(crate) use shown::{tell, told_envelope, told_list, told_snapshot};

use berth_services::Maybe;
use std::fmt::Display;

/// Collects which fields are not known yet, while an object is filled with stand-ins for them.
#[derive(Default)]
pub(crate) struct Gaps(Vec<String>);

impl Gaps {
    /// The value, or a stand-in and a note that the field is a gap.
    fn take<T, U: Default>(
        &mut self,
        field: &str,
        value: &Maybe<T>,
        show: impl FnOnce(&T) -> U,
    ) -> U {
        match value {
            Maybe::Known(value) => show(value),
            Maybe::Unknown => {
                self.0.push(field.to_owned());
                U::default()
            }
        }
    }

    fn text<T: Display>(&mut self, field: &str, value: &Maybe<T>) -> String {
        self.take(field, value, ToString::to_string)
    }

    fn copy<T: Copy + Default>(&mut self, field: &str, value: &Maybe<T>) -> T {
        self.take(field, value, |value| *value)
    }

    fn clone<T: Clone + Default>(&mut self, field: &str, value: &Maybe<T>) -> T {
        self.take(field, value, Clone::clone)
    }
}

/// An object of the wire as a map, without the fields that nobody plans and those that are gaps.
fn map_without(
    object: &impl serde::Serialize,
    volatile: &[&str],
    gaps: &Gaps,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let Ok(serde_json::Value::Object(mut map)) = serde_json::to_value(object) else {
        return None;
    };
    for field in volatile {
        map.remove(*field);
    }
    for path in &gaps.0 {
        match path.split_once('.') {
            None => {
                map.remove(path);
            }
            Some((outer, inner)) => {
                if let Some(serde_json::Value::Object(object)) = map.get_mut(outer) {
                    object.remove(inner);
                }
            }
        }
    }
    Some(map)
}
