//! The fields of a body: envelopes and synonyms first, then field by field, so that each mistake
//! is named by its path.

use crate::body::Fields;
use crate::error::{DETAILS_MAX, Refusal};
use crate::mistakes::{UNKNOWN, UNREADABLE, alone, misfit, missing, unknown};
use berth_services::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Borrow;

/// How many mistakes are looked for: one more than are told, which says that there are more.
const MISTAKES_MAX: usize = DETAILS_MAX + 1;

/// Other words that are taken for a field.
pub(crate) const SYNONYMS: [(&str, &str); 4] = [
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
        let message = if error.starts_with(UNKNOWN) {
            unknown(&error, key, &mut are_known_told)
        } else {
            misfit::<T>(key, &path, value, &error)
        };
        errors.push(FieldError::invalid(path, message));
    }
    if errors.is_empty() {
        // Each is well alone; something is wrong with them together.
        errors.push(match missing(&whole) {
            Some(field) => FieldError::invalid(format!("{within}{field}"), "is required"),
            None => FieldError::invalid(within.trim_end_matches('.'), UNREADABLE),
        });
    }
    Err(errors)
}

/// Reads what is nested in a field, for its mistakes have longer paths.
pub(crate) fn nested<T: DeserializeOwned>(
    fields: &Fields,
    name: &str,
) -> Result<(), Vec<FieldError>> {
    match fields.get(name) {
        Some(Value::Object(inner)) => typed::<T>(inner, &format!("{name}.")).map(drop),
        // The reader would take its elements for the fields in their order.
        Some(Value::Array(_)) => Err(vec![FieldError::invalid(name, "is a list: use an object")]),
        _ => Ok(()),
    }
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
        assert_eq!(
            errors[1].message,
            "is a text: use a whole number from 1 to 16384"
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
    fn what_is_wrong_within_a_field_is_told_as_that() {
        let fields = object(json!({"tags": {"a": 1}, "allow_list": [[]], "pooler": 5,
            "expose": "yes", "inject_env": ["x"]}));
        let errors = typed::<DatabaseBody>(&fields, "").unwrap_err();
        let told: Vec<_> = errors
            .iter()
            .map(|e| (e.field.as_str(), e.message.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("allow_list", "has a list in it: use a text there"),
                ("expose", "is a text: use true or false"),
                ("inject_env", "is a list: use an object"),
                ("pooler", "is a number: use an object"),
                ("tags", "has a number in it: use a text there"),
            ]
        );
    }

    #[test]
    fn what_is_missing_is_no_mistake_of_what_is_there() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only how it is refused is looked at")]
        struct Both {
            one: u16,
            other: String,
        }
        let told = |value: Value| {
            let errors = typed::<Both>(object(value), "").unwrap_err();
            let told = errors
                .into_iter()
                .map(|e| format!("{} {}", e.field, e.message));
            told.collect::<Vec<_>>()
        };
        assert_eq!(told(json!({"one": 1})), ["other is required"]);
        assert_eq!(
            told(json!({"one": 70000})),
            ["one is 70000: use a whole number from 0 to 65535"]
        );
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
