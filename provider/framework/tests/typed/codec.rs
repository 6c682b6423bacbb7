//! Values survive their encodings, and no bytes can do harm.

use berth_plugin::path::Path;
use berth_plugin::private::Private;
use berth_plugin::timeouts;
use berth_plugin::types::Type;
use berth_plugin::value::Value;
use berth_plugin::wire::{json, msgpack};
use proptest::prelude::*;

use crate::generate::{Choices, cases, value};

fn ty(choices: &mut Choices<'_>, depth: usize) -> Type {
    let limit = if depth < 4 { 9 } else { 4 };
    match choices.below(limit) {
        0 => Type::String,
        1 => Type::Number,
        2 => Type::Bool,
        3 => Type::Dynamic,
        4 => Type::list(ty(choices, depth + 1)),
        5 => Type::set(ty(choices, depth + 1)),
        6 => Type::map(ty(choices, depth + 1)),
        7 => Type::Tuple(
            (0..choices.below(3))
                .map(|_| ty(choices, depth + 1))
                .collect(),
        ),
        _ => {
            let count = choices.below(4);
            let attributes = (0..count).map(|at| (format!("a{at}"), ty(choices, depth + 1)));
            Type::object(attributes.collect::<Vec<_>>())
        }
    }
}

fn sometimes_not_there(choices: &mut Choices<'_>, value: Value) -> Value {
    match choices.below(5) {
        3 => Value::Null,
        4 => Value::unknown(),
        _ => value,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_value_survives_both_encodings(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let choices = &mut Choices::new(&bytes);
        let ty = ty(choices, 0);
        let known = value(choices, &ty);
        let there = sometimes_not_there(choices, known.clone());
        let packed = msgpack::encode(&there, &ty).unwrap();
        prop_assert_eq!(msgpack::decode(&packed, &ty).unwrap(), there);
        let text = json::to_json(&known).to_string();
        prop_assert_eq!(json::decode(text.as_bytes(), &ty).unwrap(), known);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        type_bytes in prop::collection::vec(any::<u8>(), 0..40),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let ty = ty(&mut Choices::new(&type_bytes), 0);
        if let Ok(value) = msgpack::decode(&bytes, &ty) {
            // What can be read can be written, and means the same.
            let packed = msgpack::encode(&value, &ty).unwrap();
            prop_assert_eq!(msgpack::decode(&packed, &ty).unwrap(), value);
        }
        let _ = json::decode(&bytes, &ty);
        let _ = Type::from_json_bytes(&bytes);
        let _ = Private::decode(&bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = timeouts::parse(text);
            let _ = Path::from(text).to_string();
        }
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let choices = &mut Choices::new(&bytes);
        let ty = ty(choices, 0);
        let mut packed = msgpack::encode(&value(choices, &ty), &ty).unwrap();
        let at = at.index(packed.len());
        packed[at] = with;
        let _ = msgpack::decode(&packed, &ty);
        packed.truncate(at);
        let _ = msgpack::decode(&packed, &ty);
    }
}
