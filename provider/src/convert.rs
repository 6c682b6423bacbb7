//! Between the API's JSON and the host's values.
//!
//! Attributes bear the names that the API's fields have, so that one table of types, the
//! schema's, is enough to convert either way.

use berth_plugin::diagnostics::{Diagnostic, Diagnostics};
use berth_plugin::number::Number;
use berth_plugin::object::Object;
use berth_plugin::types::{ObjectType, Type};
use berth_plugin::value::Value;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// The JSON of an object that the API answered; empty for what is no object.
pub fn fields_of(answer: &impl Serialize) -> Result<Map<String, Json>, serde_json::Error> {
    Ok(match serde_json::to_value(answer)? {
        Json::Object(fields) => fields,
        _ => Map::new(),
    })
}

/// An answer has something else in a field than the API promises. The value is not told: it may
/// be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} in berthd's answer is {found}, where {expected} is expected")]
pub struct Mismatch {
    /// The field, with those around it.
    field: String,
    /// What the JSON is.
    found: &'static str,
    /// What the schema says.
    expected: &'static str,
}

impl Mismatch {
    fn new(field: &str, json: &Json, ty: &Type) -> Self {
        let found = match json {
            Json::Null => "null",
            Json::Bool(_) => "true or false",
            Json::Number(_) => "a number",
            Json::String(_) => "a text",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        };
        let expected = match ty {
            Type::Bool => "true or false",
            Type::Number => "a number",
            Type::String => "a text",
            Type::List(_) | Type::Set(_) | Type::Tuple(_) => "a list",
            Type::Map(_) | Type::Object(_) | Type::Dynamic => "an object",
        };
        Self {
            field: field.to_owned(),
            found,
            expected,
        }
    }
}

impl From<Mismatch> for Diagnostics {
    fn from(mismatch: Mismatch) -> Self {
        let advice = "Do berthd and this provider have versions that fit together?";
        Diagnostic::error("Answer cannot be read", format!("{mismatch}. {advice}")).into()
    }
}

/// The value of type `ty` that the JSON of `field` says.
pub fn value_of(field: &str, json: &Json, ty: &Type) -> Result<Value, Mismatch> {
    let elements = |elements: &[Json], ty: &Type| -> Result<Vec<Value>, Mismatch> {
        let values = elements.iter().map(|json| value_of(field, json, ty));
        values.collect()
    };
    Ok(match (ty, json) {
        (_, Json::Null) => Value::Null,
        (Type::Bool, Json::Bool(value)) => Value::from(*value),
        (Type::String, Json::String(text)) => Value::from(text),
        (Type::Number, Json::Number(number)) => number
            .to_string()
            .parse::<Number>()
            .map(Value::from)
            .map_err(|_| Mismatch::new(field, json, ty))?,
        (Type::List(element), Json::Array(list)) => Value::list(elements(list, element)?),
        (Type::Set(element), Json::Array(list)) => Value::set(elements(list, element)?),
        (Type::Map(element), Json::Object(fields)) => {
            let pairs = fields
                .iter()
                .map(|(key, json)| Ok((key.as_str(), value_of(field, json, element)?)));
            Value::map(pairs.collect::<Result<Vec<_>, _>>()?)
        }
        (Type::Object(ty), Json::Object(fields)) => {
            let inner = object_of(fields, ty).map_err(|mismatch| Mismatch {
                field: format!("{field}.{}", mismatch.field),
                ..mismatch
            });
            inner?.into()
        }
        _ => return Err(Mismatch::new(field, json, ty)),
    })
}

/// The object of type `ty` whose attributes are the fields of the same names.
pub fn object_of(fields: &Map<String, Json>, ty: &ObjectType) -> Result<Object, Mismatch> {
    object_without(&[], fields, ty)
}

/// The same, with null in the attributes that are not looked for.
fn object_without(
    left_out: &[&str],
    fields: &Map<String, Json>,
    ty: &ObjectType,
) -> Result<Object, Mismatch> {
    let values = ty.iter().map(|(name, ty)| match fields.get(name) {
        Some(json) if !left_out.contains(&name) => Ok((name, value_of(name, json, ty)?)),
        _ => Ok((name, Value::Null)),
    });
    Ok(Object::new(values.collect::<Result<Vec<_>, _>>()?))
}

/// The JSON of `value`; none when something in it is unknown.
pub fn json_of(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Unknown(_) => return None,
        Value::Bool(value) => Json::from(*value),
        Value::Number(number) => serde_json::from_str(&number.to_string()).ok()?,
        Value::String(text) => Json::from(text.as_str()),
        Value::List(elements) | Value::Tuple(elements) => {
            Json::Array(elements.iter().map(json_of).collect::<Option<_>>()?)
        }
        Value::Set(set) => Json::Array(set.iter().map(json_of).collect::<Option<_>>()?),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| Some((key.clone(), json_of(value)?)))
                .collect::<Option<_>>()?,
        ),
        Value::Object(object) => Json::Object(
            object
                .iter()
                .map(|(name, value)| Some((name.to_owned(), json_of(value)?)))
                .collect::<Option<_>>()?,
        ),
        Value::Dynamic(typed) => json_of(&typed.value)?,
    })
}

/// The state that an answer makes of `template`.
///
/// `own` names the attributes that the API knows nothing of: they stay as in the template.
/// Where the API says empty and the template says nothing, nothing is kept, since that is how
/// the user wrote it.
pub fn state_of(
    fields: &Map<String, Json>,
    template: &Object,
    ty: &ObjectType,
    own: &[&str],
) -> Result<Object, Mismatch> {
    let answered = object_without(own, fields, ty)?;
    let mut state = template.clone().map_values(|name, value| {
        if own.contains(&name) {
            return value;
        }
        let answered = answered.get(name).cloned().unwrap_or(Value::Null);
        match (&value, is_empty(&answered)) {
            (Value::Null, true) => Value::Null,
            // The other way round too: "" was written and null is answered.
            (written, _) if answered.is_null() && is_empty(written) => value,
            _ => answered,
        }
    });
    // What is kept of the template may still be a plan's.
    if !state.iter().all(|(_, value)| value.is_wholly_known()) {
        state = state.map_values(|_, value| value.unknown_to_null());
    }
    Ok(state)
}

/// Whether there is nothing in it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Map(map) => map.is_empty(),
        value => value.as_elements().is_some_and(<[Value]>::is_empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ty() -> ObjectType {
        ObjectType::new([
            ("id", Type::String),
            ("port", Type::Number),
            ("allow_list", Type::set(Type::String)),
            ("tags", Type::map(Type::String)),
            ("description", Type::String),
            ("pooler", Type::object([("mode", Type::String)])),
            ("timeouts", Type::String),
        ])
    }

    fn answer() -> Map<String, Json> {
        let json = json!({
            "id": "db_1", "port": 5432, "allow_list": [], "tags": {}, "description": null,
            "pooler": {"mode": "session", "enabled": true}, "unheard_of": 1,
        });
        json.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_answered_goes_there_and_back() {
        let object = object_of(&answer(), &ty()).unwrap();
        assert_eq!(object.string("id"), Ok(Some("db_1")));
        assert_eq!(object.integer("port"), Ok(Some(5432)));
        let back = json_of(&object.into()).unwrap();
        assert_eq!(back["pooler"], json!({"mode": "session"}));
        assert_eq!(back["port"], json!(5432));
    }

    #[test]
    fn unset_stays_unset_and_empty_stays_empty() {
        let unset = state_of(&answer(), &Object::null(&ty()), &ty(), &["timeouts"]).unwrap();
        assert!(unset.is_null("tags").unwrap() && unset.is_null("allow_list").unwrap());

        let mut written = Object::null(&ty());
        written.set("tags", Value::map([("", ""); 0])).unwrap();
        written.set("description", "").unwrap();
        written.set("timeouts", "kept").unwrap();
        let state = state_of(&answer(), &written, &ty(), &["timeouts"]).unwrap();
        assert_eq!(state.get("tags"), written.get("tags"));
        assert_eq!(state.string("description"), Ok(Some("")));
        assert_eq!(state.string("timeouts"), Ok(Some("kept")));
    }

    #[test]
    fn what_does_not_fit_is_told_and_its_value_is_not() {
        let wrong = |field: &str, json: Json| {
            let mut fields = answer();
            fields.insert(field.to_owned(), json);
            let told = state_of(&fields, &Object::null(&ty()), &ty(), &["timeouts"]);
            told.map_err(|mismatch| mismatch.to_string())
        };
        assert_eq!(
            wrong("id", json!(5)).unwrap_err(),
            "id in berthd's answer is a number, where a text is expected"
        );
        assert_eq!(
            wrong("pooler", json!({"mode": ["hunter2"]})).unwrap_err(),
            "pooler.mode in berthd's answer is a list, where a text is expected"
        );
        for (field, json) in [
            ("port", json!("5432")),
            ("allow_list", json!([1])),
            ("allow_list", json!({})),
            ("tags", json!({"a": false})),
        ] {
            assert!(wrong(field, json).is_err(), "{field}");
        }
        assert!(
            wrong("timeouts", json!(1)).is_ok(),
            "it is the provider's own"
        );
    }

    #[test]
    fn what_is_unknown_has_no_json() {
        assert_eq!(json_of(&Value::map([("a", Value::unknown())])), None);
    }
}
