use std::collections::BTreeMap;

use super::Violation;
use crate::object::Object;
use crate::path::Path;
use crate::value::{Set, Value};

/// Holds `actual` against what was planned: what was known stays, what was unknown may
/// become anything. Used for the result of an apply, and for the plan that is made again
/// once unknown values are known.
pub fn compatible(planned: &Value, actual: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    compare(planned, actual, &Path::root(), &mut violations);
    violations
}

fn compare(planned: &Value, actual: &Value, path: &Path, out: &mut Vec<Violation>) {
    let mut broken = |problem: &str| out.push(Violation::new(path, problem));
    if planned.is_unknown() || planned == actual {
        return;
    }
    if actual.is_unknown() {
        return broken("was known, but is now unknown");
    }
    match (planned, actual) {
        (Value::Null, _) if path.is_root() => broken("was absent, but is now present"),
        (_, Value::Null) if path.is_root() => broken("was present, but is now absent"),
        (Value::Null, _) => broken("was null, but now has a value"),
        (_, Value::Null) => broken("had a value, but is now null"),
        (Value::List(planned), Value::List(actual))
        | (Value::Tuple(planned), Value::Tuple(actual)) => lists(planned, actual, path, out),
        (Value::Set(planned), Value::Set(actual)) => sets(planned, actual, path, out),
        (Value::Map(planned), Value::Map(actual)) => maps(planned, actual, path, out),
        (Value::Object(planned), Value::Object(actual)) => objects(planned, actual, path, out),
        (Value::Dynamic(planned), Value::Dynamic(actual)) if planned.ty == actual.ty => {
            compare(&planned.value, &actual.value, path, out);
        }
        (Value::Dynamic(_), Value::Dynamic(_)) => broken("has another type than was planned"),
        _ => broken("has another value than was planned"),
    }
}

fn lists(planned: &[Value], actual: &[Value], path: &Path, out: &mut Vec<Violation>) {
    for (index, (planned, actual)) in planned.iter().zip(actual).enumerate() {
        compare(planned, actual, &path.index(index), out);
    }
    if planned.len() != actual.len() {
        let problem = format!(
            "was planned with {} elements and now has {}",
            planned.len(),
            actual.len()
        );
        out.push(Violation::new(path, problem));
    }
}

fn maps(
    planned: &BTreeMap<String, Value>,
    actual: &BTreeMap<String, Value>,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    for (key, planned) in planned {
        match actual.get(key) {
            Some(actual) => compare(planned, actual, &path.key(key), out),
            None => out.push(Violation::new(&path.key(key), "has vanished")),
        }
    }
    for key in actual.keys().filter(|key| !planned.contains_key(*key)) {
        out.push(Violation::new(&path.key(key), "was not planned"));
    }
}

fn objects(planned: &Object, actual: &Object, path: &Path, out: &mut Vec<Violation>) {
    if planned.names() != actual.names() {
        return out.push(Violation::new(
            path,
            "has other attributes than were planned",
        ));
    }
    for ((name, planned), actual) in planned.iter().zip(actual.values()) {
        if planned != actual {
            compare(planned, actual, &path.attribute(name), out);
        }
    }
}

/// Elements have no names, so each must find a counterpart. Several planned elements may
/// become one, when what was unknown in them turns out equal.
fn sets(planned: &Set, actual: &Set, path: &Path, out: &mut Vec<Violation>) {
    let fits = |planned: &Value, actual: &Value| compatible(planned, actual).is_empty();
    if planned.iter().any(|p| !actual.iter().any(|a| fits(p, a))) {
        let problem = "has a planned element that corresponds to none of the actual ones";
        out.push(Violation::new(path, problem));
    }
    if actual.iter().any(|a| !planned.iter().any(|p| fits(p, a))) {
        let problem = "has an actual element that corresponds to none of the planned ones";
        out.push(Violation::new(path, problem));
    }
    if actual.len() > planned.len() {
        out.push(Violation::new(path, "has more elements than were planned"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(planned: impl Into<Value>, actual: impl Into<Value>) -> Vec<String> {
        let root = |value| Value::object([("a", value)]);
        compatible(&root(planned.into()), &root(actual.into()))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn unknown_may_become_anything() {
        assert!(problems(Value::unknown(), "x").is_empty());
        assert!(problems(Value::unknown(), Value::Null).is_empty());
    }

    #[test]
    fn what_was_known_stays() {
        assert_eq!(
            problems("x", "y"),
            ["a: has another value than was planned"]
        );
        assert_eq!(
            problems("x", Value::Null),
            ["a: had a value, but is now null"]
        );
        assert_eq!(
            problems(Value::Null, ""),
            ["a: was null, but now has a value"]
        );
        assert_eq!(
            problems("x", Value::unknown()),
            ["a: was known, but is now unknown"]
        );
    }

    #[test]
    fn collections_are_compared_inside() {
        let list = |elements: [Value; 2]| Value::List(elements.to_vec());
        let planned = list(["x".into(), Value::unknown()]);
        assert!(problems(planned.clone(), list(["x".into(), "y".into()])).is_empty());
        assert_eq!(
            problems(planned.clone(), list(["z".into(), "y".into()])),
            ["a[0]: has another value than was planned"]
        );
        assert_eq!(problems(planned, Value::list(["x"])).len(), 1);
        let map = Value::map([("k", "v")]);
        assert_eq!(problems(map, Value::map([("l", "v")])).len(), 2);
    }

    #[test]
    fn the_elements_of_a_set_find_each_other() {
        let element = |id: Value, name: &str| Value::object([("id", id), ("name", name.into())]);
        let planned = Value::set([
            element(Value::unknown(), "x"),
            element(Value::unknown(), "y"),
        ]);
        let actual = Value::set([element("2".into(), "y"), element("1".into(), "x")]);
        assert!(problems(planned.clone(), actual).is_empty());
        let other = Value::set([element("2".into(), "y"), element("1".into(), "z")]);
        assert_eq!(problems(planned, other).len(), 2);
        // Two unknown elements may turn out to be the same one; one never becomes two.
        let unknown = Value::set([Value::unknown(), Value::unknown()]);
        assert!(problems(unknown, Value::set(["x"])).is_empty());
        assert_eq!(
            problems(Value::set([Value::unknown()]), Value::set(["x", "y"])).len(),
            1
        );
    }
}
