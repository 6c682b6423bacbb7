//! Values as the host knows them: null, unknown, or of some type.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::number::Number;
use crate::object::Object;
use crate::types::Type;

/// A value. Its type is known from the schema, not from the value.
///
/// Equality is the host's: sets have no order, and unknown values are all equal whatever is
/// promised about them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Absent.
    Null,
    /// There will be a value, or null, once apply has been there.
    Unknown(Unknown),
    /// True or false.
    Bool(bool),
    /// A number of any size.
    Number(Number),
    /// Unicode text.
    String(String),
    /// Elements in an order.
    List(Vec<Value>),
    /// Elements without an order.
    Set(Set),
    /// Elements under names the author of the configuration chose.
    Map(BTreeMap<String, Value>),
    /// Attributes under the schema's names.
    Object(Object),
    /// A fixed number of elements of different types.
    Tuple(Vec<Value>),
    /// A value together with its type, where the schema says "dynamic".
    Dynamic(Box<Typed>),
}

/// A value that carries its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Typed {
    /// The type of the value.
    pub ty: Type,
    /// The value; null and unknown are allowed, another dynamic value is not.
    pub value: Value,
}

/// What is known of a value that is not known yet.
#[derive(Debug, Clone, Default)]
pub struct Unknown {
    promise: Option<Box<Promise>>,
}

/// What a host promises about an unknown value: whatever it turns out to be, this will hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promise {
    /// The value will not be null.
    pub not_null: bool,
    /// The text will begin with this.
    pub prefix: Option<String>,
    /// The number will not be below this; true when it may be equal.
    pub lower: Option<(Number, bool)>,
    /// The number will not be above this; true when it may be equal.
    pub upper: Option<(Number, bool)>,
    /// The collection will have at least this many elements.
    pub length_min: Option<u64>,
    /// The collection will have at most this many elements.
    pub length_max: Option<u64>,
}

/// The elements of a set, held in one order of ours so that equal sets compare equal.
///
/// Elements that are known throughout occur once. Two that are unknown somewhere may yet
/// turn out different, so they are kept apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set(Vec<Value>);

impl Unknown {
    /// Something unknown of which this is promised.
    pub fn promising(promise: Promise) -> Self {
        Self {
            promise: (promise != Promise::default()).then(|| Box::new(promise)),
        }
    }

    /// What is promised; none when nothing is.
    pub fn promise(&self) -> Option<&Promise> {
        self.promise.as_deref()
    }
}

impl PartialEq for Unknown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Unknown {}

impl Ord for Unknown {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl PartialOrd for Unknown {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Set {
    /// The set of these elements.
    pub fn new(elements: impl IntoIterator<Item = Value>) -> Self {
        let mut sorted: Vec<Value> = elements.into_iter().collect();
        sorted.sort();
        sorted.dedup_by(|b, a| a == b && a.is_wholly_known());
        Self(sorted)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements, in an order that means nothing.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }

    /// The elements as a slice, in an order that means nothing.
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }
}

impl IntoIterator for Set {
    type Item = Value;
    type IntoIter = std::vec::IntoIter<Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Value> for Set {
    fn from_iter<I: IntoIterator<Item = Value>>(elements: I) -> Self {
        Self::new(elements)
    }
}

impl Value {
    /// An unknown value of which nothing is promised.
    pub fn unknown() -> Self {
        Self::Unknown(Unknown::default())
    }

    /// A list of these elements.
    pub fn list<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// A set of these elements.
    pub fn set<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::Set(elements.into_iter().map(Into::into).collect())
    }

    /// A map of these elements.
    pub fn map<K: Into<String>, V: Into<Value>>(
        elements: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::Map(
            elements
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// An object with these attributes.
    pub fn object<N: Into<Box<str>>, V: Into<Value>>(
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::Object(Object::new(attributes))
    }

    /// A value for an attribute of dynamic type.
    pub fn dynamic(ty: Type, value: impl Into<Value>) -> Self {
        Self::Dynamic(Box::new(Typed {
            ty,
            value: value.into(),
        }))
    }

    /// Whether the value is null, looking into a dynamic one.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Dynamic(typed) => typed.value.is_null(),
            _ => false,
        }
    }

    /// Whether the value as a whole is unknown, looking into a dynamic one.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Dynamic(typed) => typed.value.is_unknown(),
            _ => false,
        }
    }

    /// Whether there is a value here: neither null nor unknown as a whole.
    pub fn is_set(&self) -> bool {
        !self.is_null() && !self.is_unknown()
    }

    /// Whether nothing in it is unknown, at any depth.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
            _ => self.children().all(Self::is_wholly_known),
        }
    }

    /// The values directly inside.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match self {
            Self::List(elements) | Self::Tuple(elements) => Box::new(elements.iter()),
            Self::Set(set) => Box::new(set.iter()),
            Self::Map(map) => Box::new(map.values()),
            Self::Object(object) => Box::new(object.values().iter()),
            Self::Dynamic(typed) => Box::new(std::iter::once(&typed.value)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The same value with null in every unknown place: what can still be said of a state
    /// that was left half-way.
    #[must_use]
    pub fn unknown_to_null(self) -> Self {
        match self {
            Self::Unknown(_) => Self::Null,
            Self::List(elements) => {
                Self::List(elements.into_iter().map(Self::unknown_to_null).collect())
            }
            Self::Tuple(elements) => {
                Self::Tuple(elements.into_iter().map(Self::unknown_to_null).collect())
            }
            Self::Set(set) => Self::Set(set.into_iter().map(Self::unknown_to_null).collect()),
            Self::Map(map) => Self::Map(
                map.into_iter()
                    .map(|(key, value)| (key, value.unknown_to_null()))
                    .collect(),
            ),
            Self::Object(object) => Self::Object(object.map_values(|_, v| v.unknown_to_null())),
            Self::Dynamic(typed) => Self::Dynamic(Box::new(Typed {
                ty: typed.ty,
                value: typed.value.unknown_to_null(),
            })),
            known => known,
        }
    }

    /// The text; none when it is anything else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value; none when it is anything else.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number; none when it is anything else.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The object; none when it is anything else.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements of a list, a set or a tuple; none when it is anything else.
    pub fn as_elements(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) | Self::Tuple(elements) => Some(elements),
            Self::Set(set) => Some(set.as_slice()),
            _ => None,
        }
    }

    /// The map; none when it is anything else.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Says, in one word, what kind of value it is. For messages; never shows the value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown(_) => "unknown",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
            Self::Tuple(_) => "a tuple",
            Self::Dynamic(_) => "a dynamic value",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::String(text.clone())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Number(Number::from(value))
            }
        }
    )*};
}

from_integer!(i8, i16, i32, i64, u8, u16, u32, u64);

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_no_order_and_no_duplicates() {
        assert_eq!(Value::set(["b", "a", "b"]), Value::set(["a", "b"]));
        assert_ne!(Value::list(["b", "a"]), Value::list(["a", "b"]));
    }

    #[test]
    fn unknown_elements_of_a_set_stay_apart() {
        let set = Set::new([Value::unknown(), "a".into(), Value::unknown()]);
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn a_promise_does_not_make_unknown_values_differ() {
        let promised = Unknown::promising(Promise {
            not_null: true,
            ..Promise::default()
        });
        assert_eq!(Value::Unknown(promised), Value::unknown());
    }

    #[test]
    fn what_is_unknown_becomes_null_at_any_depth() {
        let half = Value::object([
            ("id", Value::from("db_1")),
            ("hosts", Value::list([Value::from("a"), Value::unknown()])),
        ]);
        let whole = Value::object([
            ("id", Value::from("db_1")),
            ("hosts", Value::list([Value::from("a"), Value::Null])),
        ]);
        assert_eq!(half.unknown_to_null(), whole);
    }
}
