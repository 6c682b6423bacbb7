//! Rules over values: of one attribute, and over several.

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::number::Number;
use crate::object::Object;
use crate::path::Path;
use crate::value::Value;

type Check = dyn Fn(&Path, &Value, &mut Diagnostics) + Send + Sync;

/// A rule for the value of one attribute. It is asked only about values that are known
/// and not null; what is inside them may still be either.
#[derive(Clone)]
pub struct Validator(Arc<Check>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

impl Validator {
    /// A rule that adds what is wrong to the diagnostics, at the path or below it.
    pub fn new(check: impl Fn(&Path, &Value, &mut Diagnostics) + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    pub(crate) fn run(&self, path: &Path, value: &Value, diagnostics: &mut Diagnostics) {
        (self.0)(path, value, diagnostics);
    }
}

fn complain(diagnostics: &mut Diagnostics, path: &Path, detail: impl fmt::Display) {
    diagnostics.error_at(path, "Invalid value", detail.to_string());
}

/// Texts for which `check` returns no complaint. A complaint is a sentence.
pub fn text(check: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Validator {
    Validator::new(move |path, value, diagnostics| {
        if let Some(Err(complaint)) = value.as_str().map(&check) {
            complain(diagnostics, path, complaint);
        }
    })
}

/// Numbers for which `check` returns no complaint. A complaint is a sentence.
pub fn number(check: impl Fn(&Number) -> Result<(), String> + Send + Sync + 'static) -> Validator {
    Validator::new(move |path, value, diagnostics| {
        if let Some(Err(complaint)) = value.as_number().map(&check) {
            complain(diagnostics, path, complaint);
        }
    })
}

/// Whole numbers within `range`.
pub fn whole(range: impl RangeBounds<i64> + Send + Sync + 'static) -> Validator {
    number(move |value| match value.to_i64() {
        Some(whole) if range.contains(&whole) => Ok(()),
        _ => Err(format!(
            "Expected a whole number{}, got {value}.",
            bounds(&range)
        )),
    })
}

/// Texts of so many characters.
pub fn length(range: impl RangeBounds<usize> + Send + Sync + 'static) -> Validator {
    text(move |text| {
        let length = text.chars().count();
        if range.contains(&length) {
            return Ok(());
        }
        Err(format!(
            "Expected a length{} in characters, got {length}.",
            bounds(&range)
        ))
    })
}

/// Lists, sets and maps of so many elements.
pub fn size(range: impl RangeBounds<usize> + Send + Sync + 'static) -> Validator {
    Validator::new(move |path, value, diagnostics| {
        let size = value.as_elements().map(<[Value]>::len);
        let size = size.or_else(|| value.as_map().map(std::collections::BTreeMap::len));
        if let Some(size) = size.filter(|size| !range.contains(size)) {
            let expected = bounds(&range);
            complain(
                diagnostics,
                path,
                format!("Expected a number of elements{expected}, got {size}."),
            );
        }
    })
}

/// One of these words. For a near miss the complaint offers the nearest.
pub fn one_of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Validator {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    text(move |text| {
        if words.iter().any(|word| word == text) {
            return Ok(());
        }
        let listed = words.join(", ");
        let advice = nearest(text, &words)
            .map(|word| format!(" Did you mean {word:?}?"))
            .unwrap_or_default();
        Err(format!("Expected one of: {listed}; got {text:?}.{advice}"))
    })
}

/// Every element of a list, set or map obeys `rule`.
pub fn each(rule: Validator) -> Validator {
    Validator::new(move |path, value, diagnostics| match value {
        Value::List(elements) | Value::Tuple(elements) => {
            for (index, element) in elements.iter().enumerate().filter(|(_, e)| e.is_set()) {
                rule.run(&path.index(index), element, diagnostics);
            }
        }
        Value::Set(set) => {
            for element in set.iter().filter(|element| element.is_set()) {
                rule.run(&path.set_element(), element, diagnostics);
            }
        }
        Value::Map(map) => {
            for (key, element) in map.iter().filter(|(_, element)| element.is_set()) {
                rule.run(&path.key(key), element, diagnostics);
            }
        }
        _ => {}
    })
}

/// Every key of a map is a text for which `check` returns no complaint.
pub fn keys(check: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Validator {
    Validator::new(move |path, value, diagnostics| {
        for key in value.as_map().into_iter().flat_map(|map| map.keys()) {
            if let Err(complaint) = check(key) {
                complain(diagnostics, &path.key(key), complaint);
            }
        }
    })
}

/// The word most like `text` among `words`; none when none is near.
pub fn nearest<'a, W: AsRef<str>>(text: &str, words: &'a [W]) -> Option<&'a str> {
    let text = text.to_lowercase();
    words
        .iter()
        .map(AsRef::as_ref)
        .map(|word| (strsim::jaro_winkler(&text, &word.to_lowercase()), word))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

fn bounds<T: fmt::Display>(range: &impl RangeBounds<T>) -> String {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match (range.start_bound(), range.end_bound()) {
        (Included(low), Included(high)) => format!(" from {low} to {high}"),
        (Included(low), Excluded(high)) => format!(" from {low} to below {high}"),
        (Included(low) | Excluded(low), Unbounded) => format!(" of at least {low}"),
        (Unbounded, Included(high)) => format!(" of at most {high}"),
        (Unbounded, Excluded(high)) => format!(" below {high}"),
        (Excluded(low), Included(high) | Excluded(high)) => format!(" between {low} and {high}"),
        (Unbounded, Unbounded) => String::new(),
    }
}

/// A rule over several attributes of one configuration, each named by its dotted path.
#[derive(Debug, Clone)]
pub struct Rule {
    kind: RuleKind,
    paths: Vec<Path>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleKind {
    Conflicting,
    ExactlyOne,
    AtLeastOne,
    Together,
}

impl Rule {
    /// At most one of these is set.
    pub fn conflicting<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(RuleKind::Conflicting, paths)
    }

    /// One of these is set, and no other.
    pub fn exactly_one_of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(RuleKind::ExactlyOne, paths)
    }

    /// One of these is set, or more.
    pub fn at_least_one_of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(RuleKind::AtLeastOne, paths)
    }

    /// All of these are set, or none.
    pub fn required_together<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(RuleKind::Together, paths)
    }

    fn new<'a>(kind: RuleKind, paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            kind,
            paths: paths.into_iter().map(Path::from).collect(),
        }
    }

    /// The attributes the rule is about.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Adds what is certainly wrong. An unknown value may turn out set or null; only one
    /// that is promised not to be null counts as set.
    pub(crate) fn check(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let standing = |path: &Path| standing(config, path);
        let of = |wanted: Standing| self.paths.iter().filter(move |p| standing(p) == wanted);
        let (set, open) = (of(Standing::Set).count(), of(Standing::Open).count());
        let names = self
            .paths
            .iter()
            .map(Path::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let (summary, detail) = match self.kind {
            RuleKind::Conflicting | RuleKind::ExactlyOne if set > 1 => (
                "Conflicting attributes",
                format!("Only one of these can be set: {names}."),
            ),
            RuleKind::ExactlyOne if set + open == 0 => (
                "Missing attribute",
                format!("One of these must be set: {names}."),
            ),
            RuleKind::AtLeastOne if set + open == 0 => (
                "Missing attribute",
                format!("At least one of these must be set: {names}."),
            ),
            RuleKind::Together if set > 0 && set + open < self.paths.len() => (
                "Missing attribute",
                format!("These can only be set together: {names}."),
            ),
            _ => return,
        };
        match of(Standing::Set).next_back() {
            Some(path) => diagnostics.error_at(path, summary, detail),
            None => diagnostics.push(Diagnostic::error(summary, detail)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Set,
    Null,
    Open,
}

fn standing(config: &Object, path: &Path) -> Standing {
    match config.at(path) {
        Some(Value::Unknown(unknown)) => match unknown.promise() {
            Some(promise) if promise.not_null => Standing::Set,
            _ => Standing::Open,
        },
        Some(value) if value.is_unknown() => Standing::Open,
        Some(value) if value.is_null() => Standing::Null,
        Some(_) => Standing::Set,
        // Whether there is something below an object that is unknown is itself unknown.
        None => path
            .parent()
            .filter(|parent| !parent.is_root())
            .map_or(Standing::Null, |parent| match standing(config, &parent) {
                Standing::Open => Standing::Open,
                Standing::Set if config.at(&parent).is_some_and(Value::is_unknown) => {
                    Standing::Open
                }
                Standing::Set | Standing::Null => Standing::Null,
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Promise, Unknown};

    fn complaints(rule: &Validator, value: impl Into<Value>) -> Vec<String> {
        let mut diagnostics = Diagnostics::new();
        rule.run(&Path::from("a"), &value.into(), &mut diagnostics);
        diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_near_miss_is_offered_the_nearest_word() {
        let engine = one_of(["postgresql", "mysql", "redis"]);
        assert!(complaints(&engine, "mysql").is_empty());
        assert_eq!(
            complaints(&engine, "postgres"),
            [
                "error at a: Invalid value: Expected one of: postgresql, mysql, redis; \
              got \"postgres\". Did you mean \"postgresql\"?"
            ]
        );
        assert!(!complaints(&engine, "xyz")[0].contains("mean"));
    }

    #[test]
    fn limits_are_told() {
        assert_eq!(
            complaints(&whole(1..=7), 9),
            ["error at a: Invalid value: Expected a whole number from 1 to 7, got 9."]
        );
        assert_eq!(
            complaints(&whole(1..), Value::Number("1.5".parse().unwrap())).len(),
            1
        );
        assert_eq!(complaints(&length(3..=48), "ab").len(), 1);
        assert!(complaints(&length(3..=48), "äöü").is_empty());
        assert_eq!(complaints(&size(1..), Value::List(vec![])).len(), 1);
    }

    #[test]
    fn elements_are_complained_about_at_their_own_place() {
        let rule = each(length(3..));
        let complaint = &complaints(&rule, Value::list(["abc", "d"]))[0];
        assert!(complaint.starts_with("error at a[1]:"), "{complaint}");
        let complaint = &complaints(&rule, Value::map([("k", "d")]))[0];
        assert!(complaint.starts_with("error at a[\"k\"]:"), "{complaint}");
    }

    fn broken(rule: &Rule, a: Value, b: Value) -> bool {
        let mut diagnostics = Diagnostics::new();
        rule.check(&Object::new([("a", a), ("b", b)]), &mut diagnostics);
        diagnostics.has_errors()
    }

    #[test]
    fn rules_over_attributes_report_only_what_is_certain() {
        let (x, null, unknown) = (|| Value::from("x"), || Value::Null, Value::unknown);
        let exactly_one = Rule::exactly_one_of(["a", "b"]);
        assert!(!broken(&exactly_one, x(), null()));
        assert!(!broken(&exactly_one, x(), unknown()));
        assert!(!broken(&exactly_one, null(), unknown()));
        assert!(broken(&exactly_one, null(), null()));
        assert!(broken(&exactly_one, x(), x()));

        let at_least_one = Rule::at_least_one_of(["a", "b"]);
        assert!(!broken(&at_least_one, x(), x()));
        assert!(!broken(&at_least_one, null(), unknown()));
        assert!(broken(&at_least_one, null(), null()));

        let together = Rule::required_together(["a", "b"]);
        assert!(broken(&together, x(), null()));
        assert!(!broken(&together, x(), unknown()));
        assert!(!broken(&together, null(), null()));

        let conflicting = Rule::conflicting(["a", "b"]);
        let promised = Value::Unknown(Unknown::promising(Promise {
            not_null: true,
            ..Promise::default()
        }));
        assert!(!broken(&conflicting, x(), unknown()));
        assert!(broken(&conflicting, x(), promised));
    }
}
