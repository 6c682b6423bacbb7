//! What is checked of every value that crosses, in either direction.

use std::collections::BTreeMap;

use super::{Action, Failure, Step};
use crate::core_rules::Violation;
use crate::object::Object;
use crate::path::Path;
use crate::schema::{Block, Nesting, Schema};
use crate::server::ResourceEntry;
use crate::types::Type;
use crate::value::Value;
use crate::wire::{json, msgpack};

/// A value as the provider receives it: written and read again.
pub(super) fn sent(object: Option<&Object>, ty: &Type) -> Step<Value> {
    let value = object.cloned().map_or(Value::Null, Value::Object);
    through("request", &value, ty)
}

/// A value as the host receives it; anything that cannot be written or read costs the answer.
pub(super) fn received(what: &'static str, value: Value, ty: &Type) -> Step<Option<Object>> {
    match through(what, &value, ty)? {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        other => Err(Failure::broken(what, format!("is {}", other.kind()))),
    }
}

pub(super) fn through(what: &'static str, value: &Value, ty: &Type) -> Step<Value> {
    let bytes = msgpack::encode(value, ty).map_err(|e| Failure::broken(what, e.to_string()))?;
    msgpack::decode(&bytes, ty).map_err(|e| Failure::broken(what, e.to_string()))
}

/// A state as it may be stored: nothing unknown, nothing write-only.
pub(super) fn storable(what: &'static str, block: &Block, state: &Object) -> Step {
    all_known(what, state)?;
    write_only_null(what, block, state)
}

pub(super) fn all_known(what: &'static str, state: &Object) -> Step {
    let unknown = json::unknown_paths(state);
    let violations: Vec<_> = unknown
        .iter()
        .map(|path| Violation::new(path, "is unknown"))
        .collect();
    super::rules(what, violations)
}

pub(super) fn write_only_null(what: &'static str, block: &Block, state: &Object) -> Step {
    let mut violations = Vec::new();
    collect_write_only(block, state, &Path::root(), &mut violations);
    super::rules(what, violations)
}

fn collect_write_only(block: &Block, object: &Object, path: &Path, out: &mut Vec<Violation>) {
    for attribute in block.attributes() {
        let Ok(value) = object.get(attribute.name()) else {
            continue;
        };
        let path = path.attribute(attribute.name());
        if attribute.is_write_only() && *value != Value::Null {
            out.push(Violation::new(&path, "is write-only and has a value"));
        } else if let crate::schema::AttributeKind::Nested(_, inner) = attribute.kind() {
            for object in objects_in(value) {
                collect_write_only(inner, object, &path, out);
            }
        }
    }
    for nested in block.blocks() {
        if let Ok(value) = object.get(nested.name()) {
            let path = path.attribute(nested.name());
            for object in objects_in(value) {
                collect_write_only(nested.content(), object, &path, out);
            }
        }
    }
}

fn objects_in(value: &Value) -> Vec<&Object> {
    match value {
        Value::Object(object) => vec![object],
        other => other.children().filter_map(Value::as_object).collect(),
    }
}

/// A stored identity: there, known, and of its type.
pub(super) fn identity(entry: &ResourceEntry, identity: Option<&Value>) -> Step {
    let Some(schema) = &entry.identity else {
        return Ok(());
    };
    match identity {
        None => Err(Failure::broken("identity", "is missing")),
        Some(value) if !value.is_wholly_known() || value.is_null() => {
            Err(Failure::broken("identity", "is not known"))
        }
        Some(value) => through("identity", value, &schema.ty()).map(|_| ()),
    }
}

pub(super) fn planned_identity(
    entry: &ResourceEntry,
    action: Action,
    identity: Option<&Value>,
) -> Step {
    let (Some(schema), Some(value)) = (&entry.identity, identity) else {
        return Ok(());
    };
    let new = matches!(action, Action::Create | Action::Replace);
    if !new && !value.is_wholly_known() {
        return Err(Failure::broken("planned identity", "is not known"));
    }
    through("planned identity", value, &schema.ty()).map(|_| ())
}

/// An object of the schema, with null in what is left out and no blocks where none are given;
/// nested objects are completed too, and lists become sets where the schema has sets.
pub fn completed<'a>(
    schema: &Schema,
    attributes: impl IntoIterator<Item = (&'a str, Value)>,
) -> Step<Object> {
    let mut object = Object::null(schema.object_type());
    for nested in schema.root().blocks() {
        let empty = match nested.nesting() {
            Nesting::Single => Value::Null,
            Nesting::List => Value::List(Vec::new()),
            Nesting::Set => Value::Set(Default::default()),
            Nesting::Map => Value::Map(BTreeMap::new()),
        };
        set(&mut object, nested.name(), empty)?;
    }
    for (name, value) in attributes {
        let Some(ty) = schema.object_type().get(name) else {
            let problem = format!("has no attribute {name}");
            return Err(Failure::broken("configuration", problem));
        };
        set(&mut object, name, shaped(value, ty))?;
    }
    Ok(object)
}

fn set(object: &mut Object, name: &str, value: Value) -> Step {
    let done = object.set(name, value);
    done.map_err(|error| Failure::broken("configuration", error.to_string()))
}

fn shaped(value: Value, ty: &Type) -> Value {
    match (value, ty) {
        (Value::Object(given), Type::Object(ty)) => {
            let value = |name: &str, ty: &Type| match given.get(name) {
                Ok(value) => shaped(value.clone(), ty),
                Err(_) => Value::Null,
            };
            Value::object(ty.iter().map(|(name, ty)| (name, value(name, ty))))
        }
        (Value::List(elements), Type::List(ty)) => {
            Value::List(elements.into_iter().map(|e| shaped(e, ty)).collect())
        }
        (Value::List(elements), Type::Set(ty)) => {
            Value::Set(elements.into_iter().map(|e| shaped(e, ty)).collect())
        }
        (Value::Set(set), Type::Set(ty)) => {
            Value::Set(set.into_iter().map(|e| shaped(e, ty)).collect())
        }
        (Value::Map(map), Type::Map(ty)) => {
            let shaped = map.into_iter().map(|(key, e)| (key, shaped(e, ty)));
            Value::Map(shaped.collect())
        }
        (value, _) => value,
    }
}
