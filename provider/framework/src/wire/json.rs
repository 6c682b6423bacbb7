//! JSON, in which states are stored, and in which authors talk to servers.

use serde_json::{Map, Value as Json};

use crate::object::Object;
use crate::path::{Path, Step};
use crate::types::{DEPTH_MAX, ObjectType, Type, TypeError};
use crate::value::{Set, Typed, Value};

/// Why JSON is not a value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read the stored value{}: {problem}", place(.path))]
pub struct JsonError {
    /// Where in the value reading stopped.
    pub path: Path,
    /// What is wrong there.
    pub problem: JsonProblem,
}

/// What is wrong with JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// The bytes are not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// There is another kind of value than the type asks for.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What the type asks for.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// An object with an attribute that is not in its type.
    #[error("there is no attribute {0:?} in the schema")]
    Attribute(String),
    /// The type of a dynamic value cannot be read.
    #[error("{0}")]
    Type(TypeError),
    /// A value nested too deep.
    #[error("it nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

fn place(path: &Path) -> String {
    if path.is_root() {
        String::new()
    } else {
        format!(" at {path}")
    }
}

/// What happens to attributes the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    Refuse,
    Drop,
}

/// Reads a value of type `ty`. Missing attributes are null, attributes the type does not
/// have are an error.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, JsonError> {
    read_bytes(bytes, ty, Extra::Refuse)
}

/// As [`decode`], but attributes the type does not have are left out.
pub fn decode_lenient(bytes: &[u8], ty: &Type) -> Result<Value, JsonError> {
    read_bytes(bytes, ty, Extra::Drop)
}

/// Reads a value of type `ty` from JSON that is parsed already, as [`decode`] does.
pub fn from_json(json: &Json, ty: &Type) -> Result<Value, JsonError> {
    read(json, ty, Extra::Refuse, 0).map_err(Failure::into_error)
}

fn read_bytes(bytes: &[u8], ty: &Type, extra: Extra) -> Result<Value, JsonError> {
    let json: Json = serde_json::from_slice(bytes)
        .map_err(|_| Failure::from(JsonProblem::NotJson).into_error())?;
    read(&json, ty, extra, 0).map_err(Failure::into_error)
}

struct Failure {
    steps: Vec<Step>,
    problem: JsonProblem,
}

impl From<JsonProblem> for Failure {
    fn from(problem: JsonProblem) -> Self {
        Self {
            steps: Vec::new(),
            problem,
        }
    }
}

impl Failure {
    fn below(mut self, step: impl FnOnce() -> Step) -> Self {
        self.steps.push(step());
        self
    }

    fn into_error(self) -> JsonError {
        JsonError {
            path: self.steps.into_iter().rev().collect(),
            problem: self.problem,
        }
    }
}

fn read(json: &Json, ty: &Type, extra: Extra, depth: usize) -> Result<Value, Failure> {
    if depth > DEPTH_MAX {
        return Err(JsonProblem::TooDeep.into());
    }
    let mismatch = |expected| {
        let found = kind(json);
        Failure::from(JsonProblem::Mismatch { expected, found })
    };
    Ok(match (ty, json) {
        (_, Json::Null) => Value::Null,
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::Bool, Json::String(text)) if text == "true" => Value::Bool(true),
        (Type::Bool, Json::String(text)) if text == "false" => Value::Bool(false),
        (Type::Bool, _) => return Err(mismatch("a bool")),
        (Type::Number, Json::Number(number)) => match number.as_str().parse() {
            Ok(number) => Value::Number(number),
            Err(_) => return Err(mismatch("a number of bearable size")),
        },
        (Type::Number, Json::String(text)) => match text.parse() {
            Ok(number) => Value::Number(number),
            Err(_) => return Err(mismatch("a number")),
        },
        (Type::Number, _) => return Err(mismatch("a number")),
        (Type::String, Json::String(text)) => Value::String(text.clone()),
        (Type::String, Json::Number(number)) => Value::String(number.as_str().to_owned()),
        (Type::String, Json::Bool(value)) => Value::String(value.to_string()),
        (Type::String, _) => return Err(mismatch("a string")),
        (Type::List(ty), Json::Array(array)) => Value::List(elements(array, ty, extra, depth)?),
        (Type::Set(ty), Json::Array(array)) => {
            Value::Set(Set::new(elements(array, ty, extra, depth)?))
        }
        (Type::List(_) | Type::Set(_), _) => return Err(mismatch("an array")),
        (Type::Map(ty), Json::Object(map)) => map
            .iter()
            .map(|(key, json)| match read(json, ty, extra, depth + 1) {
                Ok(value) => Ok((key.clone(), value)),
                Err(failure) => Err(failure.below(|| Step::Key(key.clone()))),
            })
            .collect::<Result<_, _>>()
            .map(Value::Map)?,
        (Type::Object(ty), Json::Object(map)) => Value::Object(object(map, ty, extra, depth)?),
        (Type::Map(_) | Type::Object(_), _) => return Err(mismatch("an object")),
        (Type::Tuple(types), Json::Array(array)) if array.len() == types.len() => {
            let pairs = array.iter().zip(types).enumerate();
            let read = pairs.map(|(index, (json, ty))| {
                read(json, ty, extra, depth + 1).map_err(|f| f.below(|| Step::Index(index)))
            });
            Value::Tuple(read.collect::<Result<_, _>>()?)
        }
        (Type::Tuple(_), _) => return Err(mismatch("an array of the tuple's length")),
        (Type::Dynamic, Json::Object(map)) => dynamic(map, extra, depth)?,
        (Type::Dynamic, _) => return Err(mismatch("an object with type and value")),
    })
}

fn elements(array: &[Json], ty: &Type, extra: Extra, depth: usize) -> Result<Vec<Value>, Failure> {
    let read = |(index, json)| {
        read(json, ty, extra, depth + 1).map_err(|failure| failure.below(|| Step::Index(index)))
    };
    array.iter().enumerate().map(read).collect()
}

fn object(
    map: &Map<String, Json>,
    ty: &ObjectType,
    extra: Extra,
    depth: usize,
) -> Result<Object, Failure> {
    if extra == Extra::Refuse
        && let Some(name) = map.keys().find(|name| ty.position(name).is_none())
    {
        return Err(JsonProblem::Attribute(name.clone()).into());
    }
    let read = |(name, ty): (&str, &Type)| match map.get(name) {
        Some(json) => read(json, ty, extra, depth + 1)
            .map_err(|failure| failure.below(|| Step::Attribute(name.to_owned()))),
        None => Ok(Value::Null),
    };
    let values = ty.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Object::from_parts(ty.names().clone(), values))
}

fn dynamic(map: &Map<String, Json>, extra: Extra, depth: usize) -> Result<Value, Failure> {
    let (Some(ty), Some(value)) = (map.get("type"), map.get("value")) else {
        return Err(JsonProblem::Mismatch {
            expected: "an object with type and value",
            found: "another object",
        }
        .into());
    };
    let ty = Type::from_json_bytes(ty.to_string().as_bytes()).map_err(JsonProblem::Type)?;
    let value = read(value, &ty, extra, depth + 1)?;
    Ok(match ty {
        Type::Dynamic => value,
        ty => Value::Dynamic(Box::new(Typed { ty, value })),
    })
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// The value as JSON, with null in every unknown place; [`unknown_paths`] tells those.
/// Numbers keep their digits. A dynamic value stands with its type beside it.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Unknown(_) => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => match number.to_i64() {
            Some(integer) => integer.into(),
            None => number
                .to_string()
                .parse::<serde_json::Number>()
                .map_or(Json::Null, Json::Number),
        },
        Value::String(text) => Json::String(text.clone()),
        Value::List(elements) | Value::Tuple(elements) => {
            Json::Array(elements.iter().map(to_json).collect())
        }
        Value::Set(set) => Json::Array(set.iter().map(to_json).collect()),
        Value::Map(map) => {
            let members = map.iter().map(|(key, value)| (key.clone(), to_json(value)));
            Json::Object(members.collect())
        }
        Value::Object(object) => object_to_json(object),
        Value::Dynamic(typed) => {
            let mut members = Map::new();
            members.insert("type".to_owned(), typed.ty.to_json());
            members.insert("value".to_owned(), to_json(&typed.value));
            Json::Object(members)
        }
    }
}

/// The object as JSON, as [`to_json`] has it.
pub fn object_to_json(object: &Object) -> Json {
    let members = object
        .iter()
        .map(|(name, value)| (name.to_owned(), to_json(value)));
    Json::Object(members.collect())
}

/// Where in the object values are unknown. A set with an unknown element is named itself.
pub fn unknown_paths(object: &Object) -> Vec<Path> {
    let mut paths = Vec::new();
    for (name, value) in object.iter().filter(|(_, value)| !value.is_wholly_known()) {
        collect_unknown(value, &Path::root().attribute(name), &mut paths);
    }
    paths.dedup();
    paths
}

fn collect_unknown(value: &Value, path: &Path, paths: &mut Vec<Path>) {
    match value {
        value if value.is_unknown() => paths.push(path.clone()),
        Value::List(elements) | Value::Tuple(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect_unknown(element, &path.index(index), paths);
            }
        }
        Value::Set(set) if set.iter().any(|element| !element.is_wholly_known()) => {
            paths.push(path.clone());
        }
        Value::Map(map) => {
            for (key, element) in map {
                collect_unknown(element, &path.key(key), paths);
            }
        }
        Value::Object(object) => {
            for (name, value) in object.iter() {
                collect_unknown(value, &path.attribute(name), paths);
            }
        }
        Value::Dynamic(typed) => collect_unknown(&typed.value, path, paths),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_type() -> Type {
        Type::object([
            ("name", Type::String),
            ("size", Type::Number),
            ("tags", Type::map(Type::String)),
            ("zones", Type::set(Type::String)),
            ("anything", Type::Dynamic),
        ])
    }

    #[test]
    fn a_stored_state_is_read_with_all_its_digits() {
        let text = br#"{
            "name": "orders", "size": 9007199254740993, "zones": ["b", "a"],
            "anything": {"type": "number", "value": 3.141592653589793238}
        }"#;
        let pi = Value::Number("3.141592653589793238".parse().unwrap());
        let expected = Value::object([
            ("name", Value::from("orders")),
            ("size", Value::from(9_007_199_254_740_993_i64)),
            ("tags", Value::Null),
            ("zones", Value::set(["a", "b"])),
            ("anything", Value::dynamic(Type::Number, pi)),
        ]);
        let value = decode(text, &state_type()).unwrap();
        assert_eq!(value, expected);
        let back = from_json(&to_json(&value), &state_type()).unwrap();
        assert_eq!(back, expected);
    }

    #[test]
    fn an_attribute_that_is_gone_is_refused_or_dropped() {
        let text = br#"{"name": "orders", "colour": "red"}"#;
        let error = decode(text, &state_type()).unwrap_err();
        assert_eq!(error.problem, JsonProblem::Attribute("colour".into()));
        assert!(decode_lenient(text, &state_type()).is_ok());
    }

    #[test]
    fn primitives_are_converted_as_the_host_does() {
        let text = br#"{"name": 5, "size": "1e30"}"#;
        let value = decode(text, &state_type()).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.string("name"), Ok(Some("5")));
        assert_eq!(
            object.number("size").unwrap(),
            Some(&"1e30".parse().unwrap())
        );
        let error = decode(br#"{"size": "large"}"#, &state_type()).unwrap_err();
        assert_eq!(error.path.to_string(), "size");
    }

    #[test]
    fn unknown_places_are_told() {
        let object = Object::new([
            ("id", Value::unknown()),
            ("zones", Value::set([Value::unknown()])),
            (
                "rules",
                Value::list([Value::object([("a", Value::unknown())])]),
            ),
        ]);
        let paths: Vec<_> = unknown_paths(&object)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(paths, ["id", "rules[0].a", "zones"]);
    }
}
