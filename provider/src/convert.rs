//! Between the API's JSON and the host's values.
//!
//! Attributes bear the names that the API's fields have, so that one table of types, the
//! schema's, is enough to convert either way.

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

/// The value of type `ty` that the JSON says; null where it says something else.
pub fn value_of(json: &Json, ty: &Type) -> Value {
    match (ty, json) {
        (Type::Bool, Json::Bool(value)) => Value::from(*value),
        (Type::String, Json::String(text)) => Value::from(text),
        (Type::Number, Json::Number(number)) => number
            .to_string()
            .parse::<Number>()
            .map_or(Value::Null, Value::from),
        (Type::List(element), Json::Array(elements)) => {
            Value::list(elements.iter().map(|json| value_of(json, element)))
        }
        (Type::Set(element), Json::Array(elements)) => {
            Value::set(elements.iter().map(|json| value_of(json, element)))
        }
        (Type::Map(element), Json::Object(fields)) => Value::map(
            fields
                .iter()
                .map(|(key, json)| (key.as_str(), value_of(json, element))),
        ),
        (Type::Object(ty), Json::Object(fields)) => object_of(fields, ty).into(),
        _ => Value::Null,
    }
}

/// The object of type `ty` whose attributes are the fields of the same names.
pub fn object_of(fields: &Map<String, Json>, ty: &ObjectType) -> Object {
    Object::new(ty.iter().map(|(name, ty)| {
        let value = fields
            .get(name)
            .map_or(Value::Null, |json| value_of(json, ty));
        (name, value)
    }))
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
) -> Object {
    let mut state = template.clone().map_values(|name, value| {
        if own.contains(&name) {
            return value;
        }
        let (Some(ty), Some(json)) = (ty.get(name), fields.get(name)) else {
            return Value::Null;
        };
        let answered = value_of(json, ty);
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
    state
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
        let object = object_of(&answer(), &ty());
        assert_eq!(object.string("id"), Ok(Some("db_1")));
        assert_eq!(object.integer("port"), Ok(Some(5432)));
        let back = json_of(&object.into()).unwrap();
        assert_eq!(back["pooler"], json!({"mode": "session"}));
        assert_eq!(back["port"], json!(5432));
    }

    #[test]
    fn unset_stays_unset_and_empty_stays_empty() {
        let unset = state_of(&answer(), &Object::null(&ty()), &ty(), &["timeouts"]);
        assert!(unset.is_null("tags").unwrap() && unset.is_null("allow_list").unwrap());

        let mut written = Object::null(&ty());
        written.set("tags", Value::map([("", ""); 0])).unwrap();
        written.set("description", "").unwrap();
        written.set("timeouts", "kept").unwrap();
        let state = state_of(&answer(), &written, &ty(), &["timeouts"]);
        assert_eq!(state.get("tags"), written.get("tags"));
        assert_eq!(state.string("description"), Ok(Some("")));
        assert_eq!(state.string("timeouts"), Ok(Some("kept")));
    }

    #[test]
    fn what_is_unknown_has_no_json() {
        assert_eq!(json_of(&Value::map([("a", Value::unknown())])), None);
    }
}
