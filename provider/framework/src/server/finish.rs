//! What is made sure of before a state leaves: it can be decoded, it holds nothing that must
//! not be stored, and nothing unknown.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::steps;
use crate::core_rules::{self, Violation};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::object::Object;
use crate::path::Path;
use crate::schema::Schema;
use crate::types::Type;
use crate::value::Value;
use crate::wire::json::unknown_paths;

/// What the author has to mend, at the attribute where it shows.
pub(super) fn bug(summary: &str, violation: Violation) -> Diagnostic {
    let Violation { path, problem } = violation;
    let subject = if path.is_root() {
        "The object".to_owned()
    } else {
        format!("Attribute {path}")
    };
    let detail = format!("{subject} {problem}. This is a bug in the provider.");
    Diagnostic::error(summary, detail).at(path)
}

/// Makes of `object` something the host can decode: an attribute of the wrong type would
/// cost the whole answer, and with it the object. It gets its value from `fallback` instead.
pub(super) fn repaired(
    schema: &Schema,
    object: Object,
    fallback: Option<&Object>,
    diagnostics: &mut Diagnostics,
) -> Object {
    let ty = schema.object_type();
    if object.names() != ty.names() {
        let violation = Violation::new(&Path::root(), "has other attributes than the schema");
        diagnostics.push(bug("Provider returned an invalid object", violation));
        let known = |name: &str| object.get(name).ok().cloned();
        let values = ty
            .names()
            .iter()
            .map(|name| known(name).unwrap_or(Value::Null));
        let object = Object::from_parts(ty.names().clone(), values.collect());
        return repaired_values(ty.iter(), object, fallback, diagnostics);
    }
    repaired_values(ty.iter(), object, fallback, diagnostics)
}

fn repaired_values<'a>(
    mut types: impl Iterator<Item = (&'a str, &'a Type)>,
    object: Object,
    fallback: Option<&Object>,
    diagnostics: &mut Diagnostics,
) -> Object {
    let root = Path::root();
    object.map_values(|name, value| {
        let Some((_, ty)) = types.next() else {
            return value;
        };
        let value = normal_form(value);
        let Err(violation) = core_rules::conforms_inside(&value, ty, &root, name) else {
            return value;
        };
        diagnostics.push(bug("Provider returned an invalid object", violation));
        let fallback = fallback.and_then(|object| object.get(name).ok());
        fallback.cloned().unwrap_or(Value::Null)
    })
}

/// The value with its texts as the host would make them, so that what is compared here is
/// what the host will compare.
fn normal_form(value: Value) -> Value {
    let text = |text: String| match text.is_ascii() || is_nfc(&text) {
        true => text,
        false => text.nfc().collect(),
    };
    match value {
        Value::String(given) => Value::String(text(given)),
        Value::List(elements) => Value::List(elements.into_iter().map(normal_form).collect()),
        Value::Tuple(elements) => Value::Tuple(elements.into_iter().map(normal_form).collect()),
        Value::Set(set) => Value::Set(set.into_iter().map(normal_form).collect()),
        Value::Map(map) => {
            let elements = map.into_iter();
            Value::Map(elements.map(|(k, v)| (text(k), normal_form(v))).collect())
        }
        Value::Object(object) => Value::Object(object.map_values(|_, v| normal_form(v))),
        Value::Dynamic(typed) => Value::dynamic(typed.ty, normal_form(typed.value)),
        other => other,
    }
}

/// The state that is stored: without write-only values, and without unknown ones, which are
/// errors when the operation succeeded and simply not there when it failed.
pub(super) fn storable(schema: &Schema, object: Object, diagnostics: &mut Diagnostics) -> Object {
    let object = steps::without_write_only(&schema.root, object);
    let unknown = unknown_paths(&object);
    if unknown.is_empty() {
        return object;
    }
    if !diagnostics.has_errors() {
        for path in unknown {
            let violation = Violation::new(&path, "is still unknown after the operation");
            diagnostics.push(bug("Provider left a value unknown", violation));
        }
    }
    object.map_values(|_, value| value.unknown_to_null())
}

/// What the host sent instead of an object, when it should have been one.
pub(super) fn object_of(value: Value, what: &str) -> Result<Option<Object>, Diagnostic> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        other => Err(Diagnostic::error(
            "Unexpected request",
            format!(
                "The {what} is {}, where an object was expected.",
                other.kind()
            ),
        )),
    }
}
