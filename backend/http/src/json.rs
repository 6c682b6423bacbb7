//! Reading the text of a body: JSON as in RFC 8259, and stricter in two things.
//!
//! A key stands once in its object, since two that disagree leave open which of them was meant.
//! And a body holds a bounded number of values: each takes far more memory than text.

use crate::body::Fields;
use crate::error::Refusal;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::cell::Cell;
use std::fmt;

/// Values of one body, counting those within others. A plan of a thousand resources that say
/// everything has fewer.
const VALUES_MAX: usize = 250_000;
/// How much of a key is shown.
const KEY_CHARACTERS_SHOWN: usize = 64;
/// The key under which the reader hands a number on as it was written.
const NUMBER: &str = "$serde_json::private::Number";

/// The one object that the text is.
pub(crate) fn object(text: &[u8]) -> Result<Fields, Refusal> {
    let left = Cell::new(VALUES_MAX);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Once { left: &left }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::unreadable("The body is not a JSON object")),
        Err(error) => Err(Refusal::unreadable(format!(
            "The body is not JSON: {error}"
        ))),
    }
}

/// Any value in which each object has each key once.
#[derive(Clone, Copy)]
struct Once<'a> {
    /// How many values may still come.
    left: &'a Cell<usize>,
}

impl Once<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format_args!("more than {VALUES_MAX} values"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Fields::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER && fields.is_empty() {
                let number: Number = entries
                    .next_value::<String>()?
                    .parse()
                    .map_err(A::Error::custom)?;
                return Ok(Value::Number(number));
            }
            if fields.contains_key(&key) {
                let shown: String = key.chars().take(KEY_CHARACTERS_SHOWN).collect();
                return Err(A::Error::custom(format_args!(
                    "{shown:?} stands twice in one object"
                )));
            }
            fields.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Value, String> {
        object(text.as_bytes())
            .map(Value::Object)
            .map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        for text in [
            r#"{"name": "abc", "name": "abd"}"#,
            r#"{"name": "abc", "name": "abc"}"#,
            r#"{"pooler": {"mode": "session", "name": 1, "name": 2}}"#,
            r#"{"list": [{"name": 1, "name": 2}]}"#,
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(r#""name" stands twice"#), "{message}");
        }
        assert!(read(r#"{"a": {"name": 1}, "b": {"name": 1}}"#).is_ok());
    }

    #[test]
    fn a_body_of_too_many_values_is_not_read() {
        let numbers = |count: usize| format!("{{\"x\": [{}1]}}", "1,".repeat(count));
        // The object, the list and the last number are values too.
        assert!(read(&numbers(VALUES_MAX - 3)).is_ok());
        let message = read(&numbers(VALUES_MAX - 2)).unwrap_err();
        assert!(message.contains("more than 250000 values"), "{message}");
    }

    #[test]
    fn what_follows_the_object_is_refused() {
        for text in ["{} {}", "{}x", "[]", "1", "\"x\"", "", "{\"a\": nan}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[0-9]{1,40}".prop_map(|digits| {
                serde_json::from_str(&format!("1{digits}.{digits}e3")).unwrap()
            }),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(value in values()) {
            let text = serde_json::json!({ "value": value }).to_string();
            let plain: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(&text).unwrap(), plain);
        }
    }
}
