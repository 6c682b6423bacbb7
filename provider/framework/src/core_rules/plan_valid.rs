use super::Violation;
use crate::object::Object;
use crate::path::Path;
use crate::schema::{Attribute, AttributeKind, Block, NestedBlock, Nesting};
use crate::value::{Set, Value};

/// Holds a plan against configuration and prior state: what the configuration says is
/// planned as it says, or as it was; only computed attributes are the provider's.
pub fn plan_valid(
    block: &Block,
    prior: Option<&Object>,
    config: &Object,
    planned: &Object,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_block(
        block,
        prior,
        config,
        planned,
        &Path::root(),
        &mut violations,
    );
    violations
}

fn check_block(
    block: &Block,
    prior: Option<&Object>,
    config: &Object,
    planned: &Object,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    let prior_of = |name: &str| {
        prior
            .and_then(|prior| prior.get(name).ok())
            .unwrap_or(&Value::Null)
    };
    for attribute in &block.attributes {
        let name = &attribute.name;
        let (Ok(config), Ok(planned)) = (config.get(name), planned.get(name)) else {
            out.push(Violation::new(&path.attribute(name), "is missing"));
            continue;
        };
        let prior = prior_of(name);
        if !allowed(attribute, prior, config, planned) {
            check_attribute(
                attribute,
                prior,
                config,
                planned,
                &path.attribute(name),
                out,
            );
        }
    }
    for nested in &block.blocks {
        let name = &nested.name;
        let (Ok(config), Ok(planned)) = (config.get(name), planned.get(name)) else {
            out.push(Violation::new(&path.attribute(name), "is missing"));
            continue;
        };
        if planned != config || planned.is_null() {
            let path = path.attribute(name);
            check_nested_block(nested, prior_of(name), config, planned, &path, out);
        }
    }
}

/// Whether the plan of one attribute is right without looking inside. So it is for nearly all
/// of them, and no path is made for those.
fn allowed(attribute: &Attribute, prior: &Value, config: &Value, planned: &Value) -> bool {
    if attribute.write_only {
        return *planned == Value::Null;
    }
    planned == config
        || (planned == prior && !prior.is_null() && !config.is_null())
        || (attribute.computed && (!attribute.optional || config.is_null()))
}

fn check_attribute(
    attribute: &Attribute,
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    let mut broken = |problem: &str| out.push(Violation::new(path, problem));
    if attribute.write_only {
        return broken("is write-only and must be planned as null");
    }
    if config.is_null() {
        return broken("is planned with a value, but is neither configured nor computed");
    }
    match &attribute.kind {
        AttributeKind::Nested(nesting, block) if config.is_set() => {
            check_nested(*nesting, block, prior, config, planned, path, out);
        }
        _ => broken("is planned neither as configured nor as it was"),
    }
}

fn check_nested(
    nesting: Nesting,
    block: &Block,
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    let mut broken = |problem: &str| out.push(Violation::new(path, problem));
    if planned.is_null() {
        return broken("is planned as absent, but is configured");
    }
    if planned.is_unknown() {
        return broken("is planned as unknown, but is configured");
    }
    match (nesting, config, planned) {
        (Nesting::Single, Value::Object(config), Value::Object(planned)) => {
            check_block(block, prior.as_object(), config, planned, path, out);
        }
        (Nesting::Set, Value::Set(config), Value::Set(planned)) => {
            if !size_fits(config, planned) {
                broken("is planned with another number of elements than are configured");
            }
        }
        _ => check_elements(block, prior, config, planned, path, out),
    }
}

/// Whether the two sets may turn out equally large. One with unknown values in it may shrink,
/// down to one element, when those values turn out equal.
fn size_fits(config: &Set, planned: &Set) -> bool {
    let known = |set: &Set| set.iter().all(Value::is_wholly_known);
    if !known(config) {
        return true;
    }
    if known(planned) {
        return config.len() == planned.len();
    }
    (1..=planned.len()).contains(&config.len())
}

fn check_elements(
    block: &Block,
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    match (config, planned) {
        (Value::List(config), Value::List(planned)) => {
            if config.len() != planned.len() {
                let problem = format!(
                    "is planned with {} elements, but configured with {}",
                    planned.len(),
                    config.len()
                );
                return out.push(Violation::new(path, problem));
            }
            let prior = prior.as_elements().unwrap_or_default();
            for (index, (config, planned)) in config.iter().zip(planned).enumerate() {
                let prior = prior.get(index).unwrap_or(&Value::Null);
                check_element(block, prior, config, planned, &path.index(index), out);
            }
        }
        (Value::Map(config), Value::Map(planned)) => {
            if !config.keys().eq(planned.keys()) {
                let problem = "is planned with other keys than are configured";
                return out.push(Violation::new(path, problem));
            }
            for ((key, config), planned) in config.iter().zip(planned.values()) {
                let prior = prior.as_map().and_then(|map| map.get(key));
                let prior = prior.unwrap_or(&Value::Null);
                check_element(block, prior, config, planned, &path.key(key), out);
            }
        }
        _ => out.push(Violation::new(path, "is planned with another type")),
    }
}

fn check_element(
    block: &Block,
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    match (config, planned) {
        (config, planned) if config == planned => {}
        (_, planned) if planned == prior && !prior.is_null() && !config.is_null() => {}
        (Value::Object(config), Value::Object(planned)) => {
            check_block(block, prior.as_object(), config, planned, path, out);
        }
        _ => out.push(Violation::new(
            path,
            "is planned neither as configured nor as it was",
        )),
    }
}

fn check_nested_block(
    nested: &NestedBlock,
    prior: &Value,
    config: &Value,
    planned: &Value,
    path: &Path,
    out: &mut Vec<Violation>,
) {
    let mut broken = |problem: &str| out.push(Violation::new(path, problem));
    if nested.nesting != Nesting::Single && planned.is_null() {
        return broken("is planned as null; without blocks it must be empty");
    }
    if planned == config {
        return;
    }
    if config.is_unknown() {
        return broken("is planned with blocks, but their number is not known yet");
    }
    if planned.is_unknown() {
        return broken("is planned as unknown, but its blocks are known");
    }
    match (nested.nesting, config, planned) {
        (Nesting::Single, Value::Object(config), Value::Object(planned)) => {
            check_block(&nested.block, prior.as_object(), config, planned, path, out);
        }
        (Nesting::Single, _, _) => broken("is planned as present or absent unlike configured"),
        (Nesting::Set, _, Value::Set(planned)) => {
            if planned.iter().any(Value::is_unknown) {
                broken("has a block that is unknown as a whole");
            }
        }
        _ => check_elements(&nested.block, prior, config, planned, path, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One attribute `a`; the problems of a plan for it.
    fn problems(
        attribute: Attribute,
        prior: impl Into<Value>,
        config: impl Into<Value>,
        planned: impl Into<Value>,
    ) -> usize {
        let object = |value: Value| Object::new([("a", value)]);
        let prior = object(prior.into());
        let (config, planned) = (object(config.into()), object(planned.into()));
        plan_valid(&Block::new([attribute]), Some(&prior), &config, &planned).len()
    }

    const NULL: Value = Value::Null;

    fn unknown() -> Value {
        Value::unknown()
    }

    #[test]
    fn a_configured_value_is_planned_as_configured_or_as_it_was() {
        let optional = || Attribute::string("a").optional();
        assert_eq!(problems(optional(), "p", "c", "c"), 0);
        assert_eq!(problems(optional(), "p", "c", "p"), 0);
        assert_eq!(problems(optional(), "p", "c", "x"), 1);
        assert_eq!(problems(optional(), "p", "c", NULL), 1);
        assert_eq!(problems(optional(), "p", "c", unknown()), 1);
        assert_eq!(problems(optional().computed(), "p", "c", "x"), 1);
    }

    #[test]
    fn an_unknown_configuration_allows_no_guess() {
        let optional = || Attribute::string("a").optional();
        assert_eq!(problems(optional(), "p", unknown(), unknown()), 0);
        assert_eq!(problems(optional(), "p", unknown(), "p"), 0);
        assert_eq!(problems(optional(), "p", unknown(), "x"), 1);
        assert_eq!(problems(optional().computed(), NULL, unknown(), NULL), 1);
    }

    #[test]
    fn only_computed_attributes_are_the_providers() {
        assert_eq!(
            problems(Attribute::string("a").optional(), NULL, NULL, "x"),
            1
        );
        assert_eq!(
            problems(Attribute::string("a").optional(), "p", NULL, "p"),
            1
        );
        assert_eq!(
            problems(Attribute::string("a").optional(), NULL, NULL, unknown()),
            1
        );
        assert_eq!(
            problems(
                Attribute::string("a").optional().computed(),
                NULL,
                NULL,
                "x"
            ),
            0
        );
        assert_eq!(
            problems(Attribute::string("a").computed(), NULL, NULL, unknown()),
            0
        );
    }

    #[test]
    fn a_write_only_value_is_never_planned() {
        let secret = || Attribute::string("a").optional().write_only();
        assert_eq!(problems(secret(), NULL, "s", "s"), 1);
        assert_eq!(problems(secret(), NULL, "s", NULL), 0);
    }

    #[test]
    fn nested_objects_are_checked_inside() {
        let nested = || {
            let inner = [
                Attribute::string("given").optional(),
                Attribute::string("made").computed(),
            ];
            Attribute::nested_list("a", inner).optional()
        };
        let element = |given: &str, made: Value| {
            Value::list([Value::object([("given", given.into()), ("made", made)])])
        };
        assert_eq!(
            problems(nested(), NULL, element("x", NULL), element("x", unknown())),
            0
        );
        assert_eq!(
            problems(nested(), NULL, element("x", NULL), element("y", NULL)),
            1
        );
        assert_eq!(problems(nested(), NULL, element("x", NULL), unknown()), 1);
        assert_eq!(problems(nested(), NULL, element("x", NULL), NULL), 1);
        assert_eq!(
            problems(nested(), NULL, element("x", NULL), Value::List(vec![])),
            1
        );
    }

    #[test]
    fn blocks_are_there_or_not_as_configured() {
        let timeouts = NestedBlock::single(
            "timeouts",
            Block::new([Attribute::string("create").optional()]),
        );
        let block = Block::default().block(timeouts);
        let object = |value: Value| Object::new([("timeouts", value)]);
        let check = |config: Value, planned: Value| {
            plan_valid(&block, None, &object(config), &object(planned)).len()
        };
        let given = || Value::object([("create", "5m")]);
        assert_eq!(check(given(), given()), 0);
        assert_eq!(check(given(), NULL), 1);
        assert_eq!(check(NULL, given()), 1);
        assert_eq!(check(given(), Value::object([("create", "6m")])), 1);
    }
}
