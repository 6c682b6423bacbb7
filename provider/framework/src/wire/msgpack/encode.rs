use std::collections::BTreeMap;
use std::convert::Infallible;

use rmp::encode::{self, ByteBuf, ValueWriteError};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::place;
use crate::object::Object;
use crate::path::{Path, Step};
use crate::types::{ObjectType, Type};
use crate::value::{Typed, Value};

/// Why a value cannot be written as the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not encode the value{}: expected {expected}, found {found}", place(.path))]
pub struct EncodeError {
    /// Where in the value writing stopped.
    pub path: Path,
    /// What the type asks for.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

/// Writes `value` as type `ty`. Text is written in Unicode's normal form C, to which the
/// host would change it anyway; promises about unknown values are left out.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer {
        buffer: ByteBuf::with_capacity(256),
    };
    match writer.value(value, ty) {
        Ok(()) => Ok(writer.buffer.into_vec()),
        Err(refusal) => Err(EncodeError {
            path: refusal.steps.into_iter().rev().collect(),
            expected: refusal.expected,
            found: refusal.found,
        }),
    }
}

struct Refusal {
    steps: Vec<Step>,
    expected: &'static str,
    found: String,
}

impl Refusal {
    fn below(mut self, step: impl FnOnce() -> Step) -> Self {
        self.steps.push(step());
        self
    }
}

struct Writer {
    buffer: ByteBuf,
}

/// Writing into memory cannot fail; the type says so.
fn written<T>(result: Result<T, ValueWriteError<Infallible>>) {
    match result {
        Ok(_) => {}
        Err(
            ValueWriteError::InvalidMarkerWrite(never) | ValueWriteError::InvalidDataWrite(never),
        ) => match never {},
    }
}

impl Writer {
    fn value(&mut self, value: &Value, ty: &Type) -> Result<(), Refusal> {
        match (value, ty) {
            (Value::Null, _) => self.buffer.as_mut_vec().push(0xc0),
            (Value::Unknown(_), _) => self.buffer.as_mut_vec().extend([0xd4, 0, 0]),
            (Value::Bool(value), Type::Bool) => {
                self.buffer
                    .as_mut_vec()
                    .push(if *value { 0xc3 } else { 0xc2 });
            }
            (Value::Number(number), Type::Number) => match number.to_i64() {
                Some(integer) => written(encode::write_sint(&mut self.buffer, integer)),
                None => self.text(&number.to_string())?,
            },
            (Value::String(text), Type::String) => self.text(text)?,
            (Value::List(elements), Type::List(ty)) => self.elements(elements, ty)?,
            (Value::Set(set), Type::Set(ty)) => self.elements(set.as_slice(), ty)?,
            (Value::Map(map), Type::Map(ty)) => self.map(map, ty)?,
            (Value::Object(object), Type::Object(ty)) => self.object(object, ty)?,
            (Value::Tuple(elements), Type::Tuple(types)) => self.tuple(elements, types)?,
            (Value::Dynamic(typed), Type::Dynamic) => self.dynamic(typed)?,
            (value, ty) => return Err(refusal(expected(ty), value.kind())),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        length(text.len())?;
        if text.is_ascii() || is_nfc(text) {
            written(encode::write_str(&mut self.buffer, text));
        } else {
            let normal: String = text.nfc().collect();
            written(encode::write_str(&mut self.buffer, &normal));
        }
        Ok(())
    }

    fn elements(&mut self, elements: &[Value], ty: &Type) -> Result<(), Refusal> {
        let count = length(elements.len())?;
        written(encode::write_array_len(&mut self.buffer, count));
        for (index, element) in elements.iter().enumerate() {
            let done = self.value(element, ty);
            done.map_err(|refusal| refusal.below(|| Step::Index(index)))?;
        }
        Ok(())
    }

    fn tuple(&mut self, elements: &[Value], types: &[Type]) -> Result<(), Refusal> {
        if elements.len() != types.len() {
            let found = format!("{} elements", elements.len());
            return Err(refusal("as many elements as the tuple type", found));
        }
        let count = length(elements.len())?;
        written(encode::write_array_len(&mut self.buffer, count));
        for (index, (element, ty)) in elements.iter().zip(types).enumerate() {
            let done = self.value(element, ty);
            done.map_err(|refusal| refusal.below(|| Step::Index(index)))?;
        }
        Ok(())
    }

    fn map(&mut self, map: &BTreeMap<String, Value>, ty: &Type) -> Result<(), Refusal> {
        let count = length(map.len())?;
        written(encode::write_map_len(&mut self.buffer, count));
        for (key, element) in map {
            self.text(key)?;
            let done = self.value(element, ty);
            done.map_err(|refusal| refusal.below(|| Step::Key(key.clone())))?;
        }
        Ok(())
    }

    fn object(&mut self, object: &Object, ty: &ObjectType) -> Result<(), Refusal> {
        if !std::sync::Arc::ptr_eq(object.names(), ty.names()) && object.names() != ty.names() {
            let found = format!("the attributes {}", object.names().join(", "));
            return Err(refusal("the attributes of the object type", found));
        }
        let count = length(ty.names().len())?;
        written(encode::write_map_len(&mut self.buffer, count));
        for ((name, value), ty) in object.iter().zip(ty.types()) {
            self.text(name)?;
            let done = self.value(value, ty);
            done.map_err(|refusal| refusal.below(|| Step::Attribute(name.to_owned())))?;
        }
        Ok(())
    }

    fn dynamic(&mut self, typed: &Typed) -> Result<(), Refusal> {
        written(encode::write_array_len(&mut self.buffer, 2));
        written(encode::write_bin(
            &mut self.buffer,
            &typed.ty.to_json_bytes(),
        ));
        self.value(&typed.value, &typed.ty)
    }
}

fn refusal(expected: &'static str, found: impl Into<String>) -> Refusal {
    Refusal {
        steps: Vec::new(),
        expected,
        found: found.into(),
    }
}

fn length(length: usize) -> Result<u32, Refusal> {
    u32::try_from(length).map_err(|_| refusal("a length of 32 bits", format!("{length}")))
}

fn expected(ty: &Type) -> &'static str {
    match ty {
        Type::Dynamic => "a dynamic value",
        Type::Bool => "a bool",
        Type::Number => "a number",
        Type::String => "a string",
        Type::List(_) => "a list",
        Type::Set(_) => "a set",
        Type::Map(_) => "a map",
        Type::Object(_) => "an object",
        Type::Tuple(_) => "a tuple",
    }
}
