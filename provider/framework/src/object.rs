//! Objects: values by attribute name, read and written with types.

use std::collections::BTreeMap;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::number::Number;
use crate::path::{Path, Step};
use crate::types::{Names, ObjectType};
use crate::value::Value;

/// The attributes of a configuration, a state or a nested object.
///
/// The names are fixed by the type and shared between all its values; asking for a name
/// that is not among them is an error, never a default.
#[derive(Debug, Clone)]
pub struct Object {
    names: Names,
    values: Vec<Value>,
}

/// Why an attribute cannot be read or written as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The type has no attribute of that name.
    #[error("there is no attribute {name}")]
    NoSuchAttribute {
        /// The name asked for.
        name: String,
    },
    /// The value is not known yet, and the reader has no use for an unknown one.
    #[error("the value of {name} is not known yet")]
    Unknown {
        /// The attribute asked for.
        name: String,
    },
    /// The value is of another type than the reader expects.
    #[error("{name} is {found}, where {expected} is read")]
    Kind {
        /// The attribute asked for.
        name: String,
        /// What the reader wanted.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The number has a fraction or is too large for the reader.
    #[error("{name} does not fit into a whole number of 64 bits")]
    Range {
        /// The attribute asked for.
        name: String,
    },
    /// The attribute is null and the reader needs a value.
    #[error("{name} has no value")]
    Missing {
        /// The attribute asked for.
        name: String,
    },
}

impl AccessError {
    /// The attribute that could not be read or written.
    pub fn name(&self) -> &str {
        match self {
            Self::NoSuchAttribute { name }
            | Self::Unknown { name }
            | Self::Kind { name, .. }
            | Self::Range { name }
            | Self::Missing { name } => name,
        }
    }
}

impl From<AccessError> for Diagnostic {
    fn from(error: AccessError) -> Self {
        let summary = match error {
            AccessError::Unknown { .. } => "Value not known yet",
            AccessError::Range { .. } => "Number out of range",
            AccessError::Missing { .. } => "Missing value",
            AccessError::NoSuchAttribute { .. } | AccessError::Kind { .. } => {
                "Provider does not fit its schema"
            }
        };
        let path = Path::root().attribute(error.name());
        Diagnostic::error(summary, format!("{error}.")).at(path)
    }
}

impl From<AccessError> for Diagnostics {
    fn from(error: AccessError) -> Self {
        Diagnostic::from(error).into()
    }
}

impl Object {
    /// An object with these attributes; of a name given twice the last one counts.
    pub fn new<N: Into<Box<str>>, V: Into<Value>>(
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let sorted: BTreeMap<Box<str>, Value> = attributes
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let (names, values): (Vec<_>, Vec<_>) = sorted.into_iter().unzip();
        Self {
            names: names.into(),
            values,
        }
    }

    /// An object of type `ty` with null in every attribute.
    pub fn null(ty: &ObjectType) -> Self {
        Self::from_parts(ty.names().clone(), vec![Value::Null; ty.names().len()])
    }

    /// `values` must be as many as `names`, in their order; what is short is null.
    pub(crate) fn from_parts(names: Names, mut values: Vec<Value>) -> Self {
        values.resize(names.len(), Value::Null);
        Self { names, values }
    }

    /// The attribute names, sorted.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The values in the order of [`Object::names`].
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The attributes in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.names.iter().map(|name| &**name).zip(&self.values)
    }

    /// The object with every value replaced by what `change` makes of it.
    #[must_use]
    pub fn map_values(mut self, mut change: impl FnMut(&str, Value) -> Value) -> Self {
        for (name, value) in self.names.iter().zip(&mut self.values) {
            *value = change(name, std::mem::replace(value, Value::Null));
        }
        self
    }

    fn position(&self, name: &str) -> Result<usize, AccessError> {
        self.names
            .binary_search_by(|have| (**have).cmp(name))
            .map_err(|_| AccessError::NoSuchAttribute { name: name.into() })
    }

    /// The value of `name`, whatever it is.
    pub fn get(&self, name: &str) -> Result<&Value, AccessError> {
        self.position(name).map(|at| &self.values[at])
    }

    /// The value of `name`, to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Value, AccessError> {
        self.position(name).map(|at| &mut self.values[at])
    }

    /// Gives `name` a value.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<(), AccessError> {
        *self.get_mut(name)? = value.into();
        Ok(())
    }

    /// Whether `name` is null.
    pub fn is_null(&self, name: &str) -> Result<bool, AccessError> {
        self.get(name).map(Value::is_null)
    }

    /// Whether `name` is unknown as a whole.
    pub fn is_unknown(&self, name: &str) -> Result<bool, AccessError> {
        self.get(name).map(Value::is_unknown)
    }

    /// The value at `path`; none when the path leads nowhere, or to something unknown or null
    /// before its end. A path into a set ends at the set.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        let (first, rest) = path.steps().split_first()?;
        let Step::Attribute(name) = first else {
            return None;
        };
        rest.iter()
            .try_fold(self.get(name).ok()?, |value, step| match (value, step) {
                (Value::Object(object), Step::Attribute(name)) => object.get(name).ok(),
                (Value::List(list) | Value::Tuple(list), Step::Index(index)) => list.get(*index),
                (Value::Map(map), Step::Key(key)) => map.get(key),
                _ => None,
            })
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, AccessError> {
        let value = self.get(name)?;
        let name = || name.to_owned();
        if value.is_null() {
            return Ok(None);
        }
        if value.is_unknown() {
            return Err(AccessError::Unknown { name: name() });
        }
        let found = value.kind();
        read(value).map(Some).ok_or_else(|| AccessError::Kind {
            name: name(),
            expected,
            found,
        })
    }

    /// The text of `name`; none when null.
    pub fn string(&self, name: &str) -> Result<Option<&str>, AccessError> {
        self.read(name, "a string", Value::as_str)
    }

    /// The truth value of `name`; none when null.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, AccessError> {
        self.read(name, "a bool", Value::as_bool)
    }

    /// The number of `name`; none when null.
    pub fn number(&self, name: &str) -> Result<Option<&Number>, AccessError> {
        self.read(name, "a number", Value::as_number)
    }

    /// The whole number of `name`; none when null, an error when it is no `i64`.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, AccessError> {
        self.number(name)?
            .map(|number| {
                number
                    .to_i64()
                    .ok_or_else(|| AccessError::Range { name: name.into() })
            })
            .transpose()
    }

    /// The nested object of `name`; none when null.
    pub fn object(&self, name: &str) -> Result<Option<&Object>, AccessError> {
        self.read(name, "an object", Value::as_object)
    }

    /// The elements of the list or set `name`; none when null.
    pub fn elements(&self, name: &str) -> Result<Option<&[Value]>, AccessError> {
        self.read(name, "a list or set", Value::as_elements)
    }

    /// The elements of the map `name`; none when null.
    pub fn map(&self, name: &str) -> Result<Option<&BTreeMap<String, Value>>, AccessError> {
        self.read(name, "a map", Value::as_map)
    }

    /// The texts in the list or set `name`; none when null, an error when one is unknown.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<&str>>, AccessError> {
        let Some(elements) = self.elements(name)? else {
            return Ok(None);
        };
        let texts = elements.iter().map(|element| text(name, element));
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The text of `name`, which must be there.
    pub fn require_string(&self, name: &str) -> Result<&str, AccessError> {
        self.string(name)?
            .ok_or_else(|| AccessError::Missing { name: name.into() })
    }
}

fn text<'a>(name: &str, element: &'a Value) -> Result<&'a str, AccessError> {
    match element {
        Value::String(text) => Ok(text),
        other if other.is_unknown() => Err(AccessError::Unknown { name: name.into() }),
        other => Err(AccessError::Kind {
            name: name.into(),
            expected: "a string",
            found: other.kind(),
        }),
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let same_names =
            std::sync::Arc::ptr_eq(&self.names, &other.names) || self.names == other.names;
        same_names && self.values == other.values
    }
}

impl Eq for Object {}

impl Ord for Object {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.names
            .cmp(&other.names)
            .then_with(|| self.values.cmp(&other.values))
    }
}

impl PartialOrd for Object {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Object {
        Object::new([
            ("name", Value::from("orders")),
            ("storage_gb", Value::from(10)),
            ("id", Value::unknown()),
            ("region", Value::Null),
            ("tags", Value::map([("team", "shop")])),
            ("pooler", Value::object([("mode", "session")])),
        ])
    }

    #[test]
    fn attributes_are_read_with_their_types() {
        let database = database();
        assert_eq!(database.string("name"), Ok(Some("orders")));
        assert_eq!(database.string("region"), Ok(None));
        assert_eq!(database.integer("storage_gb"), Ok(Some(10)));
        let mode = database.at(&Path::from("pooler.mode"));
        assert_eq!(mode, Some(&Value::from("session")));
        let tag = database.at(&Path::from("tags").key("team"));
        assert_eq!(tag, Some(&Value::from("shop")));
    }

    #[test]
    fn unknown_is_never_read_as_empty() {
        let unknown = Err(AccessError::Unknown { name: "id".into() });
        assert_eq!(database().string("id"), unknown);
    }

    #[test]
    fn a_name_the_schema_does_not_have_is_an_error() {
        let mut database = database();
        let error = AccessError::NoSuchAttribute {
            name: "sise".into(),
        };
        assert_eq!(database.get("sise"), Err(error.clone()));
        assert_eq!(database.set("sise", 3), Err(error));
    }

    #[test]
    fn a_fraction_is_not_a_whole_number() {
        let object = Object::new([("n", Value::Number("1.5".parse().unwrap()))]);
        assert_eq!(
            object.integer("n"),
            Err(AccessError::Range { name: "n".into() })
        );
    }
}
