//! The fields of a body: envelopes and synonyms first, then field by field, so that each mistake
//! is named by its path.

use crate::body::Fields;
use crate::error::{DETAILS_MAX, Refusal};
use berth_domain::nearest;
use berth_services::{FieldError, number_bounds};
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::Value;
use std::borrow::Borrow;

/// How many mistakes are looked for: one more than are told, which says that there are more.
const MISTAKES_MAX: usize = DETAILS_MAX + 1;

/// Other words that are taken for a field.
const SYNONYMS: [(&str, &str); 4] = [
    ("db_type", "engine"),
    ("technology", "engine"),
    ("plan_id", "plan"),
    ("projectId", "project_id"),
];

/// Nothing, for routes whose path says everything: an empty body or `{}`.
pub(crate) fn nothing(fields: &Fields) -> Result<(), Refusal> {
    if fields.is_empty() {
        return Ok(());
    }
    let errors = fields
        .keys()
        .take(MISTAKES_MAX)
        .map(|key| FieldError::invalid(key, "is not a field here: send no body or {}"))
        .collect();
    Err(Refusal::fields(errors))
}

/// Takes the object out of its named envelope, when it is in one.
pub(crate) fn opened(mut fields: Fields, name: &str) -> Result<Fields, Refusal> {
    match fields.remove(name) {
        Some(Value::Object(inner)) if fields.is_empty() => Ok(inner),
        Some(Value::Object(_)) => {
            let errors = fields
                .keys()
                .take(MISTAKES_MAX)
                .map(|key| {
                    FieldError::invalid(key, format!("stands beside \"{name}\": put it inside"))
                })
                .collect();
            Err(Refusal::fields(errors))
        }
        Some(other) => {
            fields.insert(name.to_owned(), other);
            Ok(fields)
        }
        None => Ok(fields),
    }
}

/// Writes synonyms as the words they stand for; two that disagree are refused.
pub(crate) fn canonical(mut fields: Fields) -> Result<Fields, Vec<FieldError>> {
    let mut errors = Vec::new();
    for (synonym, word) in SYNONYMS {
        let Some(value) = fields.remove(synonym) else {
            continue;
        };
        match fields.get(word) {
            Some(other) if *other != value => errors.push(FieldError::invalid(
                synonym,
                format!("disagrees with {word}: say it once"),
            )),
            Some(_) => {}
            None => {
                fields.insert(word.to_owned(), value);
            }
        }
    }
    if errors.is_empty() {
        Ok(fields)
    } else {
        Err(errors)
    }
}

/// Reads an object of optional fields, naming the fields that are wrong.
///
/// Where the whole cannot be read each field is read alone: the reader's own message does not
/// say which one it was. It stops when more are wrong than an answer tells.
pub(crate) fn typed<T: DeserializeOwned>(
    fields: impl Borrow<Fields>,
    within: &str,
) -> Result<T, Vec<FieldError>> {
    let fields = fields.borrow();
    let whole = match T::deserialize(fields) {
        Ok(read) => return Ok(read),
        Err(error) => error.to_string(),
    };
    let mut errors = Vec::new();
    let mut are_known_told = false;
    for (key, value) in fields {
        if errors.len() >= MISTAKES_MAX {
            break;
        }
        let Err(error) = alone::<T>(key, value) else {
            continue;
        };
        let path = format!("{within}{key}");
        let message = match misfit::<T>(key, &path, value) {
            Some(message) => message,
            None => sentence(&error.to_string(), key, &mut are_known_told),
        };
        errors.push(FieldError::invalid(path, message));
    }
    if errors.is_empty() {
        // Each is well alone; something is wrong with them together.
        let path = within.trim_end_matches('.');
        let message = sentence(&whole, path, &mut are_known_told);
        errors.push(FieldError::invalid(path, message));
    }
    Err(errors)
}

/// Reads an object of that one field.
fn alone<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(MapDeserializer::new(std::iter::once((key, value))))
}

/// What is wrong with a number that the field's type cannot hold; none when the field takes no
/// whole numbers. What would fit is what the rules say of the field; where they say nothing, the
/// bounds of the types in use are tried, since the reader does not tell.
fn misfit<T: DeserializeOwned>(key: &str, path: &str, value: &Value) -> Option<String> {
    const NUMBER_CHARACTERS_MAX: usize = 32;
    const BOUNDS: [i64; 3] = [i64::MAX, u32::MAX as i64, u16::MAX as i64];
    let Value::Number(given) = value else {
        return None;
    };
    let reads = |number: &i64| alone::<T>(key, &Value::from(*number)).is_ok();
    let most = BOUNDS.into_iter().find(reads)?;
    let given: String = given
        .to_string()
        .chars()
        .take(NUMBER_CHARACTERS_MAX)
        .collect();
    if let Some((least, most)) = number_bounds(path) {
        return Some(format!(
            "is {given}: use a whole number from {least} to {most}"
        ));
    }
    Some(if most == i64::MAX {
        format!("is {given}: use a whole number")
    } else {
        format!("is {given}: use a whole number from 0 to {most}")
    })
}

/// What the reader says, in words for people. The first one that hears of an unknown field is
/// told the known ones, and so are the others of its object by it.
fn sentence(message: &str, key: &str, are_known_told: &mut bool) -> String {
    const CHARACTERS_MAX: usize = 256;
    if message.starts_with("unknown field") {
        // The reader lists the known ones between backticks, after the unknown one.
        let (_, known) = message.rsplit_once("expected ").unwrap_or_default();
        let known = known.split('`').skip(1).step_by(2);
        let is_synonym = |word: &&str| SYNONYMS.iter().any(|(synonym, _)| synonym == word);
        let known: Vec<&str> = known.filter(|word| !is_synonym(word)).collect();
        let synonyms = SYNONYMS.iter().filter(|(_, word)| known.contains(word));
        let words = known.iter().chain(synonyms.map(|(synonym, _)| synonym));
        let hint = nearest(key, words.copied())
            .map(|near| format!(" (did you mean \"{near}\"?)"))
            .unwrap_or_default();
        let known = match std::mem::replace(are_known_told, true) {
            true => String::new(),
            false => format!(": use {}", known.join(", ")),
        };
        return format!("is not a field of this object{hint}{known}");
    }
    let message: String = message.chars().take(CHARACTERS_MAX).collect();
    let message = message.split(" at line ").next().unwrap_or_default();
    message.replace("invalid type: ", "has the wrong type: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_api::DatabaseBody;
    use serde_json::json;

    fn object(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let fields = object(json!({"nam": "x", "storage_gb": "ten", "expose": true}));
        let errors = typed::<DatabaseBody>(&fields, "").unwrap_err();
        let named: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(named, ["nam", "storage_gb"]);
        assert!(
            errors[0].message.contains("did you mean \"name\"?"),
            "{}",
            errors[0].message
        );
        assert!(
            errors[1].message.contains("wrong type"),
            "{}",
            errors[1].message
        );
    }

    #[test]
    fn numbers_that_do_not_fit_hear_what_would() {
        let wrong = r#"{"storage_gb": -1, "recovery_window_days": 1e300, "replicas": 1.5,
            "public_port": 70000, "credential_version": 99999999999999999999, "name": 5}"#;
        let fields = object(serde_json::from_str(wrong).unwrap());
        let errors = typed::<DatabaseBody>(&fields, "").unwrap_err();
        let message = |field: &str| {
            let error = errors.iter().find(|e| e.field == field).unwrap();
            error.message.clone()
        };
        assert_eq!(
            message("storage_gb"),
            "is -1: use a whole number from 1 to 16384"
        );
        assert!(message("replicas").ends_with("use a whole number from 0 to 4294967295"));
        // The rules know better what fits.
        assert!(message("recovery_window_days").ends_with("use a whole number from 0 to 90"));
        assert_eq!(
            message("public_port"),
            "is 70000: use a whole number from 0 to 65535"
        );
        assert_eq!(
            message("credential_version"),
            "is 99999999999999999999: use a whole number"
        );
        assert!(!message("name").contains("whole number"));
    }

    #[test]
    fn synonyms_agree_or_are_refused() {
        let fields = canonical(object(json!({"db_type": "pg", "projectId": "p"}))).unwrap();
        assert_eq!(fields, object(json!({"engine": "pg", "project_id": "p"})));
        assert!(canonical(object(json!({"db_type": "pg", "engine": "pg"}))).is_ok());
        let errors = canonical(object(json!({"db_type": "pg", "engine": "mysql"}))).unwrap_err();
        assert_eq!(errors[0].field, "db_type");
    }
}
