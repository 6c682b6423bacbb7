//! Shapes of JSON: what a value must be at least.
//!
//! Objects may have further fields. A list holds, for every shape of the expected one, an
//! element of that shape, or none where it stands under `<none like>`. A text in angle brackets is a rule; everything else is itself:
//! `<string>` a text that is not empty, `<empty>` a list that is, `<integer>`, `<boolean>`, `<time>` RFC 3339 in UTC,
//! `<hex N>` N lower-case hexadecimal digits, `<one of a b>` one of these words, `<like a*b>` a
//! text in which `*` stands for any that is not empty, `<absent>` a field that must not be there.

use serde_json::Value as Json;

/// Statuses that are on their way to another.
const PASSING: [&str; 3] = ["provisioning", "running", "stopped"];

/// One place where a value is not of its shape.
#[derive(Debug)]
pub struct Difference {
    /// Where, and what is wrong.
    pub reason: String,
    /// Whether it may pass by itself: a status that another one follows.
    pub may_pass: bool,
}

impl Difference {
    /// One that stays.
    pub fn lasting(reason: String) -> Self {
        Self {
            reason,
            may_pass: false,
        }
    }

    /// One that may pass by itself.
    pub fn passing(reason: String) -> Self {
        Self {
            reason,
            may_pass: true,
        }
    }
}

/// Whether `found` is a status that becomes another one, as `expected` is.
fn is_on_its_way(expected: &Json, found: &Json, path: &str) -> bool {
    let is_status = |value: &Json| value.as_str().is_some_and(|word| PASSING.contains(&word));
    path.ends_with(".status") && is_status(expected) && is_status(found)
}

/// Where `found` is not of the shape `expected`; empty when it is.
pub fn differences(expected: &Json, found: Option<&Json>, path: &str) -> Vec<Difference> {
    let wrong = |what: String| vec![Difference::lasting(format!("{path} {what}"))];
    let Some(found) = found else {
        return match expected.as_str() {
            Some("<absent>") => Vec::new(),
            _ => wrong("is missing".to_owned()),
        };
    };
    match expected {
        Json::Object(fields) => match found {
            Json::Object(object) => fields
                .iter()
                .flat_map(|(name, shape)| {
                    differences(shape, object.get(name), &format!("{path}.{name}"))
                })
                .collect(),
            _ => wrong("is no object".to_owned()),
        },
        Json::Array(shapes) => match found {
            Json::Array(elements) => shapes
                .iter()
                .filter_map(|shape| none_like(shape, elements, path))
                .collect(),
            _ => wrong("is no list".to_owned()),
        },
        Json::String(text) => match text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) {
            Some(rule) if !holds(rule, found) => wrong(format!("is {found}, not <{rule}>")),
            None if is_on_its_way(expected, found, path) && expected != found => {
                let reason = format!("{path} is {found}, not {expected}");
                vec![Difference::passing(reason)]
            }
            None if expected != found => wrong(format!("is {found}, not {expected}")),
            _ => Vec::new(),
        },
        _ if expected == found => Vec::new(),
        _ => wrong(format!("is {found}, not {expected}")),
    }
}

/// Why no element of a list is of that shape, the reason being that of the nearest one, which is
/// one that may become like it if there is such a one; or that there is one, where none may be.
fn none_like(shape: &Json, elements: &[Json], path: &str) -> Option<Difference> {
    if let Some(unwanted) = shape.get("<none like>") {
        let is_like = |found: &&Json| differences(unwanted, Some(found), path).is_empty();
        let found = elements.iter().find(is_like)?;
        return Some(Difference::lasting(format!("{path} has {found}")));
    }
    let each = elements
        .iter()
        .map(|element| differences(shape, Some(element), &format!("{path}[]")));
    let distance = |found: &Vec<Difference>| (!all_may_pass(found), found.len());
    let nearest = each.min_by_key(distance);
    let Some(nearest) = nearest else {
        let reason = format!("{path} has no element like {shape}: it is empty");
        return Some(Difference::lasting(reason));
    };
    let may_pass = all_may_pass(&nearest);
    let reasons: Vec<_> = nearest.into_iter().map(|one| one.reason).collect();
    let reason = format!("{path} has no element like {shape}: {}", reasons.join(", "));
    (!reasons.is_empty()).then_some(Difference { reason, may_pass })
}

/// Whether nothing is wrong that stays so.
pub fn all_may_pass(differences: &[Difference]) -> bool {
    differences.iter().all(|one| one.may_pass)
}

fn holds(rule: &str, found: &Json) -> bool {
    let (name, rest) = rule.split_once(' ').unwrap_or((rule, ""));
    match (name, found) {
        ("string", Json::String(text)) => !text.is_empty(),
        ("integer", Json::Number(number)) => number.is_i64() || number.is_u64(),
        ("boolean", Json::Bool(_)) => true,
        ("time", Json::String(text)) => is_time(text),
        ("empty", Json::Array(elements)) => elements.is_empty(),
        ("hex", Json::String(text)) => {
            let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            rest.parse() == Ok(text.len()) && text.bytes().all(digits)
        }
        ("one", Json::String(text)) => rest.split(' ').skip(1).any(|word| word == text),
        ("like", Json::String(text)) => is_like(rest, text),
        _ => false,
    }
}

/// `2026-02-25T10:00:00Z`, with or without parts of a second.
fn is_time(text: &str) -> bool {
    let Some((moment, fraction)) = text
        .strip_suffix('Z')
        .map(|t| t.split_once('.').unwrap_or((t, "")))
    else {
        return false;
    };
    let form = "0000-00-00T00:00:00";
    moment.len() == form.len()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && moment.bytes().zip(form.bytes()).all(|(b, f)| match f {
            b'0' => b.is_ascii_digit(),
            _ => b == f,
        })
}

/// Whether `pattern`, in which `*` stands for any text that is not empty, fits all of `text`.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match without_first(left).and_then(|left| left.split_once(part)) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    without_first(left).is_some_and(|left| left.ends_with(last))
}

fn without_first(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

/// The value at a path such as `data.0.id`.
pub fn at<'a>(body: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.')
        .try_fold(body, |value, step| match step.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(step),
        })
}

#[test]
fn a_shape_takes_more_and_never_less_or_other() {
    use serde_json::json;
    let found =
        json!({"data": [{"id": "db_1", "port": 5432, "at": "2026-02-25T10:00:00Z", "more": 1}]});
    let differ = |shape: Json| differences(&shape, Some(&found), "body").len();
    let fits = [
        json!({"data": []}),
        json!({"data": [{"id": "<like db_*>", "port": "<integer>", "at": "<time>"}]}),
        json!({"data": [{"id": "<one of db_1 db_2>", "password": "<absent>"}]}),
        json!({"data": [{"id": "<string>", "port": 5432}]}),
        json!({"data": [{"<none like>": {"id": "db_2"}}]}),
    ];
    for shape in fits {
        assert_eq!(differ(shape.clone()), 0, "{shape}");
    }
    let misfits = [
        json!({"data": [{"id": "<like db-*>"}]}),
        json!({"data": [{"id": "<hex 32>"}]}),
        json!({"data": [{"id": "<time>"}]}),
        json!({"data": [{"port": "<string>"}]}),
        json!({"data": [{"port": "5432"}]}),
        json!({"data": [{"id": "<absent>"}]}),
        json!({"data": [{"id": "<one of db_2 db_3>"}]}),
        json!({"data": [{"id": "<unheard of>"}]}),
        json!({"data": [{"missing": "<string>"}]}),
        json!({"data": {"id": "db_1"}}),
        json!({"next": null}),
        json!({"data": [{"<none like>": {"id": "db_1"}}]}),
        json!({"data": "<empty>"}),
    ];
    for shape in misfits {
        assert_ne!(differ(shape.clone()), 0, "{shape}");
    }
    assert!(is_like(
        "postgresql://a:*@h:*/d?x",
        "postgresql://a:b@h:5432/d?x"
    ));
    assert!(!is_like("postgresql://a:*@h/d", "postgresql://a:b@other/d"));
    assert!(is_like("*@*", "a@b"));
    for empty in ["postgresql://a:@h/d", "postgresql://a:b@/d"] {
        assert!(!is_like("postgresql://a:*@*/d", empty), "{empty}");
    }
    assert!(!is_like("db_*", "db_"));
}

#[test]
fn only_a_status_on_its_way_may_pass() {
    use serde_json::json;
    let running = json!({"data": [{"id": "db_1", "status": "running"}]});
    for (found, may_pass) in [
        (json!({"id": "db_1", "status": "provisioning"}), true),
        (json!({"id": "db_1", "status": "stopped"}), true),
        (json!({"id": "db_1", "status": "error"}), false),
        (json!({"id": "db_1", "status": "destroyed"}), false),
        (json!({"id": "db_1", "status": "starting"}), false),
        (json!({"id": "db_1", "status": null}), false),
        (json!({"id": "db_1"}), false),
        (json!({"id": "db_2", "status": "running"}), false),
    ] {
        let body = json!({"data": [{"id": "db_3", "status": "running"}, found]});
        let found = differences(&running, Some(&body), "body");
        assert!(!found.is_empty(), "{body}");
        assert_eq!(all_may_pass(&found), may_pass, "{body}");
    }
    let empty = differences(&running, Some(&json!({"data": []})), "body");
    assert!(!all_may_pass(&empty));
}
