use std::collections::BTreeMap;

use rmp::Marker;
use rmp::decode;

use super::place;
use crate::number::{Number, NumberError};
use crate::object::Object;
use crate::path::{Path, Step};
use crate::types::{DEPTH_MAX, ObjectType, Type, TypeError};
use crate::value::{Promise, Set, Typed, Unknown, Value};

/// The extension code of an unknown value of which something is promised.
const PROMISE_CODE: i8 = 12;

/// The longest promise that is read; the host writes none that is longer.
const PROMISE_BYTES_MAX: usize = 1_024;

/// Why bytes are not a value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not decode the value{}", place(.path))]
pub struct DecodeError {
    /// Where in the value reading stopped.
    pub path: Path,
    /// What is wrong there.
    #[source]
    pub problem: DecodeProblem,
}

/// What is wrong with bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeProblem {
    /// The bytes end in the middle of a value.
    #[error("the bytes end too early")]
    Truncated,
    /// There are bytes after the value.
    #[error("{count} bytes follow the value")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// There is another kind of value than the type asks for.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What the type asks for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    NotText,
    /// A number that cannot be held.
    #[error("the number cannot be read")]
    Number(#[source] NumberError),
    /// A type expression that cannot be read.
    #[error("the type of a dynamic value cannot be read")]
    Type(#[source] TypeError),
    /// An object or a tuple with another number of elements than its type has.
    #[error("expected {expected} elements, found {found}")]
    Count {
        /// How many the type has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An object with an attribute that is not in its type, or twice in the bytes.
    #[error("an attribute is not in the type, or is there twice")]
    Attribute,
    /// A value nested too deep.
    #[error("the value nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Reads a value of type `ty`. No bytes at all are null.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, DecodeError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let mut reader = Reader { bytes };
    let value = reader.value(ty, 0).map_err(Failure::into_error)?;
    match reader.bytes.len() {
        0 => Ok(value),
        count => Err(Failure::from(DecodeProblem::Trailing { count }).into_error()),
    }
}

/// A problem on its way up; each level adds its step, so the path is paid for only on failure.
struct Failure {
    steps: Vec<Step>,
    problem: DecodeProblem,
}

impl From<DecodeProblem> for Failure {
    fn from(problem: DecodeProblem) -> Self {
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

    fn into_error(self) -> DecodeError {
        DecodeError {
            path: self.steps.into_iter().rev().collect(),
            problem: self.problem,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Result<Marker, DecodeProblem> {
        let first = self.bytes.first().ok_or(DecodeProblem::Truncated)?;
        Ok(Marker::from_u8(*first))
    }

    fn mismatch<T>(&self, expected: &'static str) -> Result<T, DecodeProblem> {
        let found = describe(self.peek()?).to_owned();
        Err(DecodeProblem::Mismatch { expected, found })
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, Failure> {
        if depth > DEPTH_MAX {
            return Err(DecodeProblem::TooDeep.into());
        }
        match self.peek()? {
            Marker::Null => {
                self.take(1)?;
                Ok(Value::Null)
            }
            marker if is_extension(marker) => Ok(self.unknown().map(Value::Unknown)?),
            _ => self.present(ty, depth),
        }
    }

    fn present(&mut self, ty: &Type, depth: usize) -> Result<Value, Failure> {
        Ok(match ty {
            Type::Dynamic => self.dynamic(depth)?,
            Type::Bool => match self.peek()? {
                Marker::True | Marker::False => {
                    Value::Bool(matches!(Marker::from_u8(self.take(1)?[0]), Marker::True))
                }
                _ => self.mismatch("a bool")?,
            },
            Type::Number => Value::Number(self.number()?),
            Type::String => Value::String(self.text()?.to_owned()),
            Type::List(element) => Value::List(self.elements(element, depth)?),
            Type::Set(element) => Value::Set(Set::new(self.elements(element, depth)?)),
            Type::Map(element) => Value::Map(self.map(element, depth)?),
            Type::Object(object) => Value::Object(self.object(object, depth)?),
            Type::Tuple(types) => Value::Tuple(self.tuple(types, depth)?),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeProblem> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(DecodeProblem::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The length that opens an array or a map. It is a claim: nothing is allocated for it
    /// beyond what the remaining bytes could hold.
    fn length(&mut self, expected: &'static str) -> Result<usize, DecodeProblem> {
        let length = match self.peek()? {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 if expected != "a map" => {
                decode::read_array_len(&mut self.bytes)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 if expected == "a map" => {
                decode::read_map_len(&mut self.bytes)
            }
            _ => return self.mismatch(expected),
        };
        length
            .map(|length| length as usize)
            .map_err(|_| DecodeProblem::Truncated)
    }

    fn text(&mut self) -> Result<&'a str, DecodeProblem> {
        match self.peek()? {
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {}
            _ => return self.mismatch("a string"),
        }
        let length = decode::read_str_len(&mut self.bytes).map_err(|_| DecodeProblem::Truncated)?;
        std::str::from_utf8(self.take(length as usize)?).map_err(|_| DecodeProblem::NotText)
    }

    fn number(&mut self) -> Result<Number, DecodeProblem> {
        let truncated = |_| DecodeProblem::Truncated;
        match self.peek()? {
            Marker::F64 => decode::read_f64(&mut self.bytes)
                .map_err(truncated)
                .and_then(|value| Number::from_f64(value).map_err(DecodeProblem::Number)),
            Marker::F32 => decode::read_f32(&mut self.bytes)
                .map_err(truncated)
                .and_then(|v| Number::from_f64(f64::from(v)).map_err(DecodeProblem::Number)),
            Marker::U64 => decode::read_u64(&mut self.bytes)
                .map(Number::from)
                .map_err(truncated),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                self.text()?.parse().map_err(DecodeProblem::Number)
            }
            marker if is_integer(marker) => decode::read_int::<i64, _>(&mut self.bytes)
                .map(Number::from)
                .map_err(|_| DecodeProblem::Truncated),
            _ => self.mismatch("a number"),
        }
    }

    fn elements(&mut self, element: &Type, depth: usize) -> Result<Vec<Value>, Failure> {
        let length = self.length("an array")?;
        let mut elements = Vec::with_capacity(length.min(self.bytes.len()));
        for index in 0..length {
            let value = self.value(element, depth + 1);
            elements.push(value.map_err(|failure| failure.below(|| Step::Index(index)))?);
        }
        Ok(elements)
    }

    fn tuple(&mut self, types: &[Type], depth: usize) -> Result<Vec<Value>, Failure> {
        let found = self.length("an array")?;
        if found != types.len() {
            let expected = types.len();
            return Err(DecodeProblem::Count { expected, found }.into());
        }
        let read = |(index, ty)| {
            self.value(ty, depth + 1)
                .map_err(|failure| failure.below(|| Step::Index(index)))
        };
        types.iter().enumerate().map(read).collect()
    }

    fn map(&mut self, element: &Type, depth: usize) -> Result<BTreeMap<String, Value>, Failure> {
        let length = self.length("a map")?;
        let mut map = BTreeMap::new();
        for _ in 0..length {
            let key = self.text()?;
            let value = self.value(element, depth + 1);
            let value = value.map_err(|failure| failure.below(|| Step::Key(key.to_owned())))?;
            map.insert(key.to_owned(), value);
        }
        Ok(map)
    }

    fn object(&mut self, ty: &ObjectType, depth: usize) -> Result<Object, Failure> {
        let (expected, found) = (ty.names().len(), self.length("a map")?);
        if found != expected {
            return Err(DecodeProblem::Count { expected, found }.into());
        }
        let mut values: Vec<Option<Value>> = vec![None; expected];
        for next in 0..found {
            let name = self.text()?;
            // Hosts write attributes in order, so the next one is nearly always the one.
            let at = match ty.names().get(next) {
                Some(have) if **have == *name => next,
                _ => ty.position(name).ok_or(DecodeProblem::Attribute)?,
            };
            if values[at].is_some() {
                return Err(DecodeProblem::Attribute.into());
            }
            let value = self.value(&ty.types()[at], depth + 1);
            let named = |failure: Failure| failure.below(|| Step::Attribute(name.to_owned()));
            values[at] = Some(value.map_err(named)?);
        }
        let values = values.into_iter().flatten().collect();
        Ok(Object::from_parts(ty.names().clone(), values))
    }

    fn dynamic(&mut self, depth: usize) -> Result<Value, Failure> {
        let found = self.length("an array")?;
        if found != 2 {
            return Err(DecodeProblem::Count { expected: 2, found }.into());
        }
        let expression = match self.peek()? {
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length =
                    decode::read_bin_len(&mut self.bytes).map_err(|_| DecodeProblem::Truncated)?;
                self.take(length as usize)?
            }
            _ => self.text()?.as_bytes(),
        };
        let ty = Type::from_json_bytes(expression).map_err(DecodeProblem::Type)?;
        let value = self.value(&ty, depth + 1)?;
        if ty == Type::Dynamic {
            return Ok(value);
        }
        Ok(Value::Dynamic(Box::new(Typed { ty, value })))
    }

    fn unknown(&mut self) -> Result<Unknown, DecodeProblem> {
        let meta = decode::read_ext_meta(&mut self.bytes).map_err(|_| DecodeProblem::Truncated)?;
        let size = meta.size as usize;
        if size <= 1 {
            self.take(size)?;
            return Ok(Unknown::default());
        }
        if meta.typeid != PROMISE_CODE || size > PROMISE_BYTES_MAX {
            return Err(DecodeProblem::Mismatch {
                expected: "an unknown value",
                found: format!("an extension of code {} and {size} bytes", meta.typeid),
            });
        }
        let mut inner = Reader {
            bytes: self.take(size)?,
        };
        inner.promise().map(Unknown::promising)
    }

    fn promise(&mut self) -> Result<Promise, DecodeProblem> {
        let mut promise = Promise::default();
        for _ in 0..self.length("a map")? {
            let Some(key) = self.number()?.to_i64() else {
                return Ok(promise);
            };
            match key {
                1 => promise.not_null = self.present_bool()?.is_some_and(|null| !null),
                2 => promise.prefix = Some(self.text()?.to_owned()),
                3 => promise.lower = Some(self.bound()?),
                4 => promise.upper = Some(self.bound()?),
                5 => promise.length_min = self.number()?.to_u64(),
                6 => promise.length_max = self.number()?.to_u64(),
                // How long the value of a key of a later host is cannot be told without
                // reading it; nothing is lost by leaving the rest of the promise aside.
                _ => return Ok(promise),
            }
        }
        Ok(promise)
    }

    fn present_bool(&mut self) -> Result<Option<bool>, DecodeProblem> {
        Ok(match self.peek()? {
            Marker::True | Marker::False | Marker::Null => {
                match Marker::from_u8(self.take(1)?[0]) {
                    Marker::True => Some(true),
                    Marker::False => Some(false),
                    _ => None,
                }
            }
            _ => self.mismatch("a bool")?,
        })
    }

    fn bound(&mut self) -> Result<(Number, bool), DecodeProblem> {
        let found = self.length("an array")?;
        if found != 2 {
            return Err(DecodeProblem::Count { expected: 2, found });
        }
        Ok((self.number()?, self.present_bool()?.unwrap_or(true)))
    }
}

fn is_extension(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
    )
}

fn is_integer(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::FixPos(_)
            | Marker::FixNeg(_)
            | Marker::U8
            | Marker::U16
            | Marker::U32
            | Marker::I8
            | Marker::I16
            | Marker::I32
            | Marker::I64
    )
}

fn describe(marker: Marker) -> &'static str {
    match marker {
        Marker::Null => "null",
        Marker::True | Marker::False => "a bool",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a string",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Reserved => "a reserved byte",
        marker if is_extension(marker) => "an extension",
        _ => "a number",
    }
}
