//! MessagePack, in which values travel between host and provider.
//!
//! The encoding does not describe itself: both directions are led by a type. Any bytes may
//! arrive here; what cannot be read is an error with the place where reading stopped.

mod decode;
mod encode;

pub use decode::{DecodeError, DecodeProblem, decode};
pub use encode::{EncodeError, encode};

use crate::path::Path;

fn place(path: &Path) -> String {
    if path.is_root() {
        String::new()
    } else {
        format!(" at {path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;
    use crate::value::Value;

    fn number(text: &str) -> Value {
        Value::Number(text.parse().unwrap())
    }

    #[test]
    fn numbers_arrive_in_every_form_a_host_writes() {
        let mut float = vec![0xcb];
        float.extend(0.1_f64.to_be_bytes());
        let mut unsigned = vec![0xcf];
        unsigned.extend(u64::MAX.to_be_bytes());
        for (bytes, text) in [
            (vec![0x05], "5"),
            (vec![0xff], "-1"),
            (vec![0xd1, 0xff, 0x00], "-256"),
            (float, "0.1"),
            (unsigned, "18446744073709551615"),
            (b"\xa41e30".to_vec(), "1000000000000000000000000000000"),
            (b"\xb43.141592653589793238".to_vec(), "3.141592653589793238"),
        ] {
            assert_eq!(decode(&bytes, &Type::Number), Ok(number(text)), "{text}");
        }
        let mut nan = vec![0xcb];
        nan.extend(f64::NAN.to_be_bytes());
        assert!(decode(&nan, &Type::Number).is_err());
    }

    #[test]
    fn whole_numbers_are_written_as_integers_and_others_as_text() {
        let written = |text| encode(&number(text), &Type::Number).unwrap();
        assert_eq!(written("10"), [0x0a]);
        assert_eq!(written("-200"), [0xd1, 0xff, 0x38]);
        assert_eq!(written("0.5"), b"\xa30.5");
        assert_eq!(written("1e20"), b"\xb5100000000000000000000");
    }

    #[test]
    fn unknown_values_arrive_with_or_without_a_promise() {
        let unknown = |bytes: &[u8]| match decode(bytes, &Type::String) {
            Ok(Value::Unknown(unknown)) => unknown.promise().cloned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown(&[0xd4, 0, 0]), None);
        assert_eq!(unknown(&[0xc7, 0, 0]), None);
        // Not null, with the prefix "db".
        let promise = unknown(b"\xc7\x07\x0c\x82\x01\xc2\x02\xa2db").unwrap();
        assert!(promise.not_null);
        assert_eq!(promise.prefix.as_deref(), Some("db"));
        // A key of a later host does not make the value unreadable.
        assert!(
            unknown(b"\xc7\x05\x0c\x82\x01\xc2\x63\xc0")
                .unwrap()
                .not_null
        );
        assert!(decode(b"\xc7\x02\x05ab", &Type::String).is_err());
        assert_eq!(
            encode(&Value::unknown(), &Type::String),
            Ok(vec![0xd4, 0, 0])
        );
    }

    #[test]
    fn no_bytes_are_null() {
        assert_eq!(decode(b"", &Type::String), Ok(Value::Null));
    }

    #[test]
    fn an_object_has_every_attribute_of_its_type_and_no_other() {
        let ty = Type::object([("a", Type::String), ("b", Type::Number)]);
        assert!(decode(b"\x82\xa1a\xc0\xa1b\x01", &ty).is_ok());
        assert!(decode(b"\x82\xa1b\x01\xa1a\xc0", &ty).is_ok());
        for bytes in [
            &b"\x81\xa1a\xc0"[..],
            b"\x82\xa1a\xc0\xa1c\x01",
            b"\x82\xa1a\xc0\xa1a\xc0",
        ] {
            assert!(decode(bytes, &ty).is_err());
        }
        assert!(encode(&Value::object([("a", "x")]), &ty).is_err());
    }

    #[test]
    fn an_error_says_where() {
        let ty = Type::object([("rules", Type::list(Type::object([("id", Type::Number)])))]);
        let bytes = b"\x81\xa5rules\x91\x81\xa2id\xc3";
        let error = decode(bytes, &ty).unwrap_err();
        assert_eq!(error.path.to_string(), "rules[0].id");
        let value = Value::object([("rules", Value::list([Value::object([("id", true)])]))]);
        let error = encode(&value, &ty).unwrap_err();
        assert_eq!(error.path.to_string(), "rules[0].id");
    }

    #[test]
    fn a_dynamic_value_brings_its_type() {
        for value in [
            Value::dynamic(Type::String, "x"),
            Value::dynamic(Type::set(Type::Number), Value::set([1, 2])),
            Value::dynamic(Type::Bool, Value::Null),
            Value::dynamic(Type::Bool, Value::unknown()),
            Value::Null,
            Value::unknown(),
        ] {
            let bytes = encode(&value, &Type::Dynamic).unwrap();
            assert_eq!(decode(&bytes, &Type::Dynamic), Ok(value));
        }
    }

    #[test]
    fn text_is_written_in_normal_form() {
        let bytes = encode(&"e\u{301}".into(), &Type::String).unwrap();
        assert_eq!(decode(&bytes, &Type::String), Ok("é".into()));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let bytes = [0xdd, 0xff, 0xff, 0xff, 0xff];
        let error = decode(&bytes, &Type::list(Type::String)).unwrap_err();
        assert_eq!(error.problem, DecodeProblem::Truncated);
    }

    #[test]
    fn depth_has_an_end() {
        let expression = format!("{}\"bool\"{}", "[\"list\",".repeat(60), "]".repeat(60));
        let mut bytes = vec![0x92, 0xd9, expression.len() as u8];
        bytes[1] = 0xda;
        bytes[2] = (expression.len() >> 8) as u8;
        bytes.push(expression.len() as u8);
        bytes.extend(expression.as_bytes());
        bytes.extend([0x91; 60]);
        bytes.push(0xc3);
        assert!(decode(&bytes, &Type::Dynamic).is_ok());
        let lists = (0..80).fold(Type::Bool, |ty, _| Type::list(ty));
        let mut bytes = vec![0x91; 80];
        bytes.push(0xc3);
        let error = decode(&bytes, &lists).unwrap_err();
        assert_eq!(error.problem, DecodeProblem::TooDeep);
    }
}
