//! What becomes of an answer.

use berth_api::PlannedItem;
use berth_plugin::object::Object;
use berth_plugin::types::Type;
use berth_plugin::value::Value;

use crate::convert::{Mismatch, value_of};

/// Where the value of an attribute comes from that is not configured.
pub(super) enum Source<'a> {
    /// The state.
    There(&'a Value),
    /// The backend; without an answer everything is open.
    Answer(Option<&'a PlannedItem>, &'a Type),
}

impl Source<'_> {
    /// The value of the attribute `name`.
    pub(super) fn value(&self, name: &str) -> Result<Value, Mismatch> {
        Ok(match self {
            Self::There(value) => (*value).clone(),
            Self::Answer(answer, ty) => {
                let Some((answer, fields)) =
                    answer.and_then(|answer| answer.planned.as_ref().map(|p| (answer, p)))
                else {
                    return Ok(Value::unknown());
                };
                if answer.unknown.iter().any(|path| path == name) {
                    return Ok(Value::unknown());
                }
                let value = match fields.get(name) {
                    Some(json) => value_of(name, json, ty)?,
                    None => Value::Null,
                };
                // An object of which something is open is filled where it is known.
                let prefix = format!("{name}.");
                match value {
                    Value::Object(object) => object
                        .map_values(|inner, value| {
                            let open = |path: &String| path.strip_prefix(&prefix) == Some(inner);
                            match answer.unknown.iter().any(open) {
                                true => Value::unknown(),
                                false => value,
                            }
                        })
                        .into(),
                    value => value,
                }
            }
        })
    }
}

/// A nested object with the values that its configuration leaves out.
pub(super) fn fill(name: &str, given: &Object, source: &Source<'_>) -> Result<Value, Mismatch> {
    let rest = source.value(name)?;
    let filled = given
        .clone()
        .map_values(|inner, written| match (written, &rest) {
            (Value::Null, Value::Object(rest)) => rest.get(inner).cloned().unwrap_or(Value::Null),
            (Value::Null, Value::Unknown(_)) => Value::unknown(),
            (written, _) => written,
        });
    Ok(filled.into())
}
