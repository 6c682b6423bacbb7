//! Finds the secrets in a value by its schema, so that they stay out of logs.

use crate::schema::{Attribute, AttributeKind, Block, Nesting, Schema};
use crate::secrets;
use crate::value::Value;

/// Has every text that `schema` calls wholly sensitive or write-only kept out of logs from now
/// on.
pub(crate) fn remember(schema: &Schema, value: &Value) {
    in_block(&schema.root, value);
}

fn in_block(block: &Block, value: &Value) {
    let Value::Object(object) = value else {
        return;
    };
    for attribute in &block.attributes {
        if let Ok(value) = object.get(&attribute.name) {
            in_attribute(attribute, value);
        }
    }
    for nested in &block.blocks {
        if let Ok(value) = object.get(&nested.name) {
            in_nested(nested.nesting, &nested.block, value);
        }
    }
}

fn in_attribute(attribute: &Attribute, value: &Value) {
    if attribute.partly {
        // Its author has told which texts in it are secrets.
    } else if attribute.sensitive || attribute.write_only {
        all_texts(value);
    } else if let AttributeKind::Nested(nesting, block) = &attribute.kind {
        in_nested(*nesting, block, value);
    }
}

fn in_nested(nesting: Nesting, block: &Block, value: &Value) {
    match nesting {
        Nesting::Single => in_block(block, value),
        Nesting::List | Nesting::Set | Nesting::Map => {
            value
                .children()
                .for_each(|element| in_block(block, element));
        }
    }
}

fn all_texts(value: &Value) {
    match value {
        Value::String(text) => secrets::remember(text),
        // Keys are said to be sensitive with their values.
        Value::Map(map) => map.iter().for_each(|(key, value)| {
            secrets::remember(key);
            all_texts(value);
        }),
        other => other.children().for_each(all_texts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;

    #[test]
    fn secrets_are_found_at_any_depth_and_nothing_else_is() {
        let schema = Schema::new([
            Attribute::string("name").required(),
            Attribute::map("variables", Type::String)
                .optional()
                .partly_sensitive(),
            Attribute::string("password_wo").optional().write_only(),
            Attribute::nested_map(
                "users",
                [
                    Attribute::string("login").optional(),
                    Attribute::map("keys", Type::list(Type::String))
                        .optional()
                        .sensitive(),
                ],
            )
            .optional(),
        ]);
        let user = Value::object([
            ("login", Value::from("sensitive-test-login")),
            (
                "keys",
                Value::map([("ssh", Value::list(["sensitive-test-key"]))]),
            ),
        ]);
        let value = Value::object([
            ("name", Value::from("sensitive-test-name")),
            ("password_wo", Value::from("sensitive-test-password")),
            ("users", Value::map([("one", user)])),
            (
                "variables",
                Value::map([("sensitive-test-variable", "sensitive-test-plain")]),
            ),
        ]);
        remember(&schema, &value);
        let seen = "sensitive-test-name sensitive-test-login sensitive-test-variable \
                    sensitive-test-plain";
        assert_eq!(secrets::mask(seen), seen);
        assert_eq!(secrets::mask("sensitive-test-password"), secrets::MASK);
        assert_eq!(secrets::mask("sensitive-test-key"), secrets::MASK);
    }
}
