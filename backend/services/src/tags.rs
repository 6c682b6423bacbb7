//! Labels of the user's.

use crate::FieldError;
use std::collections::BTreeMap;

const TAGS_MAX: usize = 64;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

/// What is wrong with `tags`, key by key.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Vec<FieldError> {
    if tags.len() > TAGS_MAX {
        return vec![FieldError::invalid(
            "tags",
            format!("has {} keys: use at most {TAGS_MAX}", tags.len()),
        )];
    }
    let mut wrong = Vec::new();
    for (key, value) in tags {
        let plain = |text: &str| !text.chars().any(char::is_control);
        let length = key.chars().count();
        if !(1..=KEY_CHARACTERS_MAX).contains(&length) || !plain(key) {
            let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
            wrong.push(FieldError::invalid(
                "tags",
                format!(
                    "\"{shown}\" is not a key: use 1 to {KEY_CHARACTERS_MAX} printable characters"
                ),
            ));
        } else if value.chars().count() > VALUE_CHARACTERS_MAX || !plain(value) {
            wrong.push(FieldError::invalid(
                format!("tags.{key}"),
                format!("use at most {VALUE_CHARACTERS_MAX} printable characters"),
            ));
        }
    }
    wrong
}
