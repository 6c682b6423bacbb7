//! What the reader of JSON says of a field, in words for people: its own name types of the
//! program.

use crate::fields::SYNONYMS;
use berth_domain::nearest;
use berth_services::number_bounds;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

/// How the reader begins when an object does not have that field.
pub(crate) const UNKNOWN: &str = "unknown field";
/// What is said where the reader says nothing that could be told.
pub(crate) const UNREADABLE: &str = "cannot be read: /openapi.json says what it has to be";

/// How the reader names what it wants, and what that is called.
const WANTED: [(&str, &str); 20] = [
    ("u8", WHOLE_NUMBER),
    ("u16", WHOLE_NUMBER),
    ("u32", WHOLE_NUMBER),
    ("u64", WHOLE_NUMBER),
    ("usize", WHOLE_NUMBER),
    ("i8", WHOLE_NUMBER),
    ("i16", WHOLE_NUMBER),
    ("i32", WHOLE_NUMBER),
    ("i64", WHOLE_NUMBER),
    ("isize", WHOLE_NUMBER),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a boolean", "true or false"),
    ("a string", "a text"),
    ("a borrowed string", "a text"),
    ("string or map", "a text"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("unit", "null"),
    ("a JSON object", "an object"),
];
const WHOLE_NUMBER: &str = "a whole number";
/// How the name of what it wants begins, where its name follows.
const WANTED_KINDS: [(&str, &str); 3] = [
    ("struct ", "an object"),
    ("enum ", "a text"),
    ("variant of enum ", "a text"),
];
/// How the name of what it found begins.
const FOUND: [(&str, &str); 10] = [
    ("string", "a text"),
    ("character", "a text"),
    ("integer", "a number"),
    ("floating point", "a number"),
    ("number", "a number"),
    ("boolean `true`", "true"),
    ("boolean `false`", "false"),
    ("map", "an object"),
    ("sequence", "a list"),
    ("null", "null"),
];

/// Reads an object of that one field; what it lacks beside it is not looked at.
pub(crate) fn alone<T: DeserializeOwned>(key: &str, value: &Value) -> Result<(), String> {
    let field = MapDeserializer::<_, serde_json::Error>::new(std::iter::once((key, value)));
    match T::deserialize(field).map_err(|error| error.to_string()) {
        Err(error) if missing(&error).is_none() => Err(error),
        _ => Ok(()),
    }
}

/// The field that the reader says is missing.
pub(crate) fn missing(error: &str) -> Option<&str> {
    let field = error.strip_prefix("missing field `")?;
    field.split('`').next()
}

/// That a field is none. The first one that hears of it is told the known ones, and so are the
/// others of its object by it.
pub(crate) fn unknown(error: &str, key: &str, are_known_told: &mut bool) -> String {
    // The reader lists the known ones between backticks, after the unknown one.
    let (_, known) = error.rsplit_once("expected ").unwrap_or_default();
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
    format!("is not a field of this object{hint}{known}")
}

/// Why a field cannot be read. What was sent is not repeated but for numbers: it may be a secret
/// in the wrong place.
pub(crate) fn misfit<T: DeserializeOwned>(
    key: &str,
    path: &str,
    value: &Value,
    error: &str,
) -> String {
    const NUMBER_CHARACTERS_MAX: usize = 32;
    let whole = whole_number::<T>(key, path);
    if let (Value::Number(given), Some(whole)) = (value, &whole) {
        let given: String = given
            .to_string()
            .chars()
            .take(NUMBER_CHARACTERS_MAX)
            .collect();
        return format!("is {given}: use {whole}");
    }
    let Some((found, wanted)) = types(error) else {
        return UNREADABLE.to_owned();
    };
    // Where an empty one could be read, the mistake is what is in it.
    let is_within = match value {
        Value::Object(_) => alone::<T>(key, &Value::Object(Map::new())).is_ok(),
        Value::Array(_) => alone::<T>(key, &Value::Array(Vec::new())).is_ok(),
        _ => false,
    };
    match whole {
        _ if is_within => format!("has {found} in it: use {wanted} there"),
        Some(whole) => format!("is {found}: use {whole}"),
        None => format!("is {found}: use {wanted}"),
    }
}

/// The whole numbers that a field takes, none when it takes none. What would fit is what the
/// rules say of the field; where they say nothing, the bounds of the types in use are tried,
/// since the reader does not tell.
fn whole_number<T: DeserializeOwned>(key: &str, path: &str) -> Option<String> {
    const BOUNDS: [i64; 3] = [i64::MAX, u32::MAX as i64, u16::MAX as i64];
    let reads = |number: &i64| alone::<T>(key, &Value::from(*number)).is_ok();
    let most = BOUNDS.into_iter().find(reads)?;
    Some(match number_bounds(path) {
        Some((least, most)) => format!("{WHOLE_NUMBER} from {least} to {most}"),
        None if most == i64::MAX => WHOLE_NUMBER.to_owned(),
        None => format!("{WHOLE_NUMBER} from 0 to {most}"),
    })
}

/// What was found and what is wanted, in words for people.
fn types(error: &str) -> Option<(&'static str, &'static str)> {
    let told = error
        .strip_prefix("invalid type: ")
        .or_else(|| error.strip_prefix("invalid value: "))?;
    let (found, wanted) = told.rsplit_once(", expected ")?;
    let begins = |text: &str, (word, _): &&(&str, &str)| text.starts_with(word);
    let (_, found) = FOUND.iter().find(|known| begins(found, known))?;
    let exactly = WANTED.iter().find(|(word, _)| *word == wanted);
    let (_, wanted) =
        exactly.or_else(|| WANTED_KINDS.iter().find(|known| begins(wanted, known)))?;
    Some((found, wanted))
}
