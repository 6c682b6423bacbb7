//! The types a value can have, and their JSON spelling.

use std::sync::Arc;

use serde_json::Value as Json;

/// How deep types and values may nest. Both sides walk them by recursion.
pub const DEPTH_MAX: usize = 64;

/// The type of a value. Values do not describe themselves, so every decoding names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Any type: the value carries its own.
    Dynamic,
    /// True or false.
    Bool,
    /// A number of any size.
    Number,
    /// Unicode text.
    String,
    /// Elements in an order.
    List(Box<Type>),
    /// Elements without an order, each once.
    Set(Box<Type>),
    /// Elements under names the author of the configuration chooses.
    Map(Box<Type>),
    /// Attributes under names the schema chooses.
    Object(ObjectType),
    /// A fixed number of elements, each with its own type.
    Tuple(Vec<Type>),
}

/// The names of an object's attributes, sorted, and shared by all values of the type.
pub type Names = Arc<[Box<str>]>;

/// The attributes of an object type, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectType {
    names: Names,
    types: Arc<[Type]>,
}

/// Why a JSON text does not describe a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// The text is not JSON.
    #[error("the type expression is not JSON")]
    NotJson,
    /// The JSON is none of the known forms.
    #[error("the type expression {0} is none that is known")]
    Unknown(String),
    /// The expression nests deeper than is accepted.
    #[error("the type expression nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

impl ObjectType {
    /// An object type with these attributes; of a name given twice the last one counts.
    pub fn new<N: Into<Box<str>>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Self {
        let sorted: std::collections::BTreeMap<Box<str>, Type> = attributes
            .into_iter()
            .map(|(name, ty)| (name.into(), ty))
            .collect();
        let (names, types): (Vec<_>, Vec<_>) = sorted.into_iter().unzip();
        Self {
            names: names.into(),
            types: types.into(),
        }
    }

    /// The attribute names in order.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The types, in the order of [`ObjectType::names`].
    pub fn types(&self) -> &[Type] {
        &self.types
    }

    /// The type of the attribute `name`.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.position(name).map(|at| &self.types[at])
    }

    /// Where `name` stands among the names.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|have| (**have).cmp(name)).ok()
    }

    /// The attributes in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Type)> {
        self.names.iter().map(|name| &**name).zip(self.types.iter())
    }
}

impl Type {
    /// The type of lists of `element`.
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// The type of sets of `element`.
    pub fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// The type of maps of `element`.
    pub fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// The type of objects with these attributes.
    pub fn object<N: Into<Box<str>>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Self {
        Self::Object(ObjectType::new(attributes))
    }

    /// Whether values of this type may carry a type of their own anywhere inside.
    pub fn contains_dynamic(&self) -> bool {
        match self {
            Self::Dynamic => true,
            Self::Bool | Self::Number | Self::String => false,
            Self::List(element) | Self::Set(element) | Self::Map(element) => {
                element.contains_dynamic()
            }
            Self::Object(object) => object.types.iter().any(Self::contains_dynamic),
            Self::Tuple(types) => types.iter().any(Self::contains_dynamic),
        }
    }

    /// The type expression, as schemas and dynamic values carry it.
    pub fn to_json(&self) -> Json {
        let pair = |word: &str, inner: Json| Json::Array(vec![word.into(), inner]);
        match self {
            Self::Dynamic => "dynamic".into(),
            Self::Bool => "bool".into(),
            Self::Number => "number".into(),
            Self::String => "string".into(),
            Self::List(element) => pair("list", element.to_json()),
            Self::Set(element) => pair("set", element.to_json()),
            Self::Map(element) => pair("map", element.to_json()),
            Self::Object(object) => pair(
                "object",
                Json::Object(
                    object
                        .iter()
                        .map(|(name, ty)| (name.to_owned(), ty.to_json()))
                        .collect(),
                ),
            ),
            Self::Tuple(types) => pair(
                "tuple",
                Json::Array(types.iter().map(Self::to_json).collect()),
            ),
        }
    }

    /// The type expression as bytes.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads a type expression.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, TypeError> {
        let json: Json = serde_json::from_slice(bytes).map_err(|_| TypeError::NotJson)?;
        Self::from_json(&json, 0)
    }

    fn from_json(json: &Json, depth: usize) -> Result<Self, TypeError> {
        if depth > DEPTH_MAX {
            return Err(TypeError::TooDeep);
        }
        let unknown = || TypeError::Unknown(json.to_string());
        let inner = |json: &Json| Self::from_json(json, depth + 1);
        match json {
            Json::String(word) => match word.as_str() {
                "dynamic" => Ok(Self::Dynamic),
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "string" => Ok(Self::String),
                _ => Err(unknown()),
            },
            Json::Array(parts) => match parts.as_slice() {
                [Json::String(word), element] if word == "list" => Ok(Self::list(inner(element)?)),
                [Json::String(word), element] if word == "set" => Ok(Self::set(inner(element)?)),
                [Json::String(word), element] if word == "map" => Ok(Self::map(inner(element)?)),
                [Json::String(word), Json::Array(types)] if word == "tuple" => Ok(Self::Tuple(
                    types.iter().map(inner).collect::<Result<_, _>>()?,
                )),
                [Json::String(word), Json::Object(attributes), ..] if word == "object" => {
                    let attributes = attributes
                        .iter()
                        .map(|(name, ty)| Ok((name.as_str(), inner(ty)?)))
                        .collect::<Result<Vec<_>, TypeError>>()?;
                    Ok(Self::object(attributes))
                }
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_survives_its_expression() {
        let ty = Type::object([
            ("tags", Type::map(Type::String)),
            ("rules", Type::list(Type::object([("id", Type::Number)]))),
            ("anything", Type::Dynamic),
            (
                "pair",
                Type::Tuple(vec![Type::Bool, Type::set(Type::String)]),
            ),
        ]);
        assert_eq!(Type::from_json_bytes(&ty.to_json_bytes()), Ok(ty));
    }

    #[test]
    fn nonsense_is_not_a_type() {
        for text in [
            "",
            "5",
            "\"text\"",
            "[\"list\"]",
            "[\"list\",\"string\",1]",
            "{}",
        ] {
            assert!(Type::from_json_bytes(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}\"string\"{}", "[\"list\",".repeat(100), "]".repeat(100));
        assert_eq!(
            Type::from_json_bytes(deep.as_bytes()),
            Err(TypeError::TooDeep)
        );
    }
}
