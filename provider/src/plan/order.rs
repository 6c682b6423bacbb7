//! What is ordered of the backend.

use std::collections::BTreeSet;

use berth_plugin::object::Object;
use berth_plugin::value::Value;
use serde_json::{Map, Value as Json};

use crate::backend::Backend;
use crate::convert::json_of;

/// An order as the API takes it: the values that are known, and the paths of the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// Fields with known values.
    pub config: Map<String, Json>,
    /// Paths of the fields whose values will be known later.
    pub unknown: Vec<String>,
    /// The fields whose values are the provider's own word.
    pub preset: Vec<&'static str>,
}

impl Order {
    pub(super) fn add(&mut self, name: &str, value: &Value) {
        match (value, json_of(value)) {
            (_, Some(json)) => {
                self.config.insert(name.to_owned(), json);
            }
            // A nested object may be known in part; a map or a list is known or not.
            (Value::Object(object), None) => {
                let mut known = Map::new();
                for (inner, value) in object.iter() {
                    match json_of(value) {
                        Some(json) => {
                            known.insert(inner.to_owned(), json);
                        }
                        None => self.unknown.push(format!("{name}.{inner}")),
                    }
                }
                self.config.insert(name.to_owned(), Json::Object(known));
            }
            (_, None) => self.unknown.push(name.to_owned()),
        }
    }

    /// Adds the provider's own word on a field that neither configuration nor state has.
    pub(super) fn add_preset(&mut self, name: &'static str, backend: &Backend) {
        let word = match name {
            "project_id" => Value::from(backend.project.clone()),
            "region" => Value::from(backend.region.clone()),
            _ => Value::Null,
        };
        if !word.is_null() {
            self.preset.push(name);
        }
        self.add(name, &word);
    }

    /// Drops what is null, as a create may leave it out.
    pub(super) fn without_nulls(mut self) -> Self {
        self.config.retain(|_, json| !json.is_null());
        for json in self.config.values_mut() {
            if let Json::Object(inner) = json {
                inner.retain(|_, json| !json.is_null());
            }
        }
        self
    }

    /// Whether the order asks for something else than `state` is.
    pub(super) fn differs_from(&self, state: &Object) -> bool {
        let same = |name: &String, json: &Json| {
            state.get(name).ok().and_then(json_of).as_ref() == Some(json)
        };
        !self.unknown.is_empty() || !self.config.iter().all(|(name, json)| same(name, json))
    }
}

/// Whether it says of itself that it is switched off.
fn is_off(object: &Object) -> bool {
    object.boolean("enabled") == Ok(Some(false))
}

/// The order for an adopted attribute that is there: what is given, what is there, or, where
/// something was given before, nothing.
pub(super) fn adopted(
    name: &str,
    given: &Value,
    there: &Value,
    configured: &BTreeSet<String>,
) -> Value {
    match (given, there) {
        // What others said of something that goes is taken with it, and refused beside that.
        (Value::Object(off), Value::Object(on)) if is_off(off) && !is_off(on) => off.clone().into(),
        (Value::Object(given), Value::Object(there)) => given
            .clone()
            .map_values(|inner, given| {
                let there = there.get(inner).unwrap_or(&Value::Null);
                adopted(&format!("{name}.{inner}"), &given, there, configured)
            })
            .into(),
        (Value::Null, _) if configured.contains(name) => Value::Null,
        (Value::Null, there) => there.clone(),
        (given, _) => given.clone(),
    }
}
