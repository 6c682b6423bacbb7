use std::collections::BTreeMap;

use crate::object::Object;
use crate::pairs;
use crate::schema::{Attribute, AttributeKind, Block, Nesting};
use crate::value::{Set, Value};

/// Merges configuration and prior state as a host does before it asks for a plan: configured
/// values, and the prior ones of computed attributes that are not configured.
pub fn proposed(block: &Block, prior: Option<&Object>, config: &Object) -> Object {
    merge(block, prior, config, Pairing::First)
}

/// As [`proposed`], but with as many elements of sets as possible recognised as the ones they
/// were. A host takes the first element that fits, and thereby may leave none for another:
/// a plan that starts from there is never empty.
pub(crate) fn proposed_with_best_pairs(
    block: &Block,
    prior: Option<&Object>,
    config: &Object,
) -> Object {
    merge(block, prior, config, Pairing::Best)
}

/// Whether `value` may be the configured element with computed values filled in.
pub(crate) fn is_filled_in(block: &Block, value: &Value, config: &Value) -> bool {
    may_be(block, value, config, Pairing::Best)
}

/// Which prior element a configured element of a set is paired with.
#[derive(Clone, Copy)]
enum Pairing {
    First,
    Best,
}

fn merge(block: &Block, prior: Option<&Object>, config: &Object, pairing: Pairing) -> Object {
    let prior_of = |name: &str| {
        prior
            .and_then(|prior| prior.get(name).ok())
            .unwrap_or(&Value::Null)
    };
    config.clone().map_values(|name, config| {
        if let Some(attribute) = block.attribute(name) {
            return attribute_value(attribute, prior_of(name), config, pairing);
        }
        match block.blocks.iter().find(|nested| nested.name == name) {
            Some(nested) => {
                let prior = prior_of(name);
                nested_value(nested.nesting, &nested.block, prior, config, pairing)
            }
            None => config,
        }
    })
}

fn attribute_value(attribute: &Attribute, prior: &Value, config: Value, pairing: Pairing) -> Value {
    if attribute.computed && config.is_null() {
        return match &attribute.kind {
            AttributeKind::Nested(_, block)
                if attribute.optional && was_configured(block, prior) =>
            {
                Value::Null
            }
            _ => prior.clone(),
        };
    }
    match &attribute.kind {
        AttributeKind::Nested(nesting, block) => {
            nested_value(*nesting, block, prior, config, pairing)
        }
        AttributeKind::Plain(_) => config,
    }
}

/// Whether something in the nested value can only have come from a configuration; then a
/// configuration without it has taken it away.
fn was_configured(block: &Block, prior: &Value) -> bool {
    let in_object = |object: &Object| {
        block.attributes.iter().any(|attribute| {
            let Ok(value) = object.get(&attribute.name) else {
                return false;
            };
            match &attribute.kind {
                _ if value.is_null() => false,
                _ if !attribute.computed => true,
                AttributeKind::Nested(_, inner) => was_configured(inner, value),
                AttributeKind::Plain(_) => false,
            }
        })
    };
    match prior {
        Value::Object(object) => in_object(object),
        other => other.children().filter_map(Value::as_object).any(in_object),
    }
}

fn nested_value(
    nesting: Nesting,
    block: &Block,
    prior: &Value,
    config: Value,
    pairing: Pairing,
) -> Value {
    let element = |prior: &Value, config: Value| match config {
        Value::Object(config) => Value::Object(merge(block, prior.as_object(), &config, pairing)),
        other => other,
    };
    match (nesting, config) {
        (Nesting::Single, config) => element(prior, config),
        (Nesting::List, Value::List(config)) => {
            let prior = prior.as_elements().unwrap_or_default();
            let merged = config
                .into_iter()
                .enumerate()
                .map(|(index, config)| element(prior.get(index).unwrap_or(&Value::Null), config));
            Value::List(merged.collect())
        }
        (Nesting::Map, Value::Map(config)) => {
            let merged: BTreeMap<_, _> = config
                .into_iter()
                .map(|(key, config)| {
                    let prior = prior.as_map().and_then(|map| map.get(&key));
                    let merged = element(prior.unwrap_or(&Value::Null), config);
                    (key, merged)
                })
                .collect();
            Value::Map(merged)
        }
        (Nesting::Set, Value::Set(config)) => {
            let priors = prior.as_elements().unwrap_or_default();
            let pairs = match pairing {
                Pairing::First => first_pairs(block, priors, config.as_slice()),
                Pairing::Best => best_pairs(block, priors, config.as_slice()),
            };
            let merged = config.into_iter().zip(pairs).map(|(config, pair)| {
                let prior = pair.and_then(|at| priors.get(at)).unwrap_or(&Value::Null);
                element(prior, config)
            });
            Value::Set(merged.collect::<Set>())
        }
        (_, config) => config,
    }
}

/// For each configured element the first prior one that fits and is not taken.
fn first_pairs(block: &Block, priors: &[Value], configs: &[Value]) -> Vec<Option<usize>> {
    let mut taken = vec![false; priors.len()];
    let pairs = configs.iter().map(|config| {
        let fits = |at: &usize| !taken[*at] && may_be(block, &priors[*at], config, Pairing::First);
        let found = (0..priors.len()).find(fits);
        found.inspect(|at| taken[*at] = true)
    });
    pairs.collect()
}

fn best_pairs(block: &Block, priors: &[Value], configs: &[Value]) -> Vec<Option<usize>> {
    let fits = |config: &Value, prior: &Value| may_be(block, prior, config, Pairing::Best);
    pairs::best_pairs(configs, priors, &fits)
}

/// Whether the prior element may be what this configured element became: they differ in
/// nothing but computed attributes that are not configured.
fn may_be(block: &Block, prior: &Value, config: &Value, pairing: Pairing) -> bool {
    if prior == config {
        return true;
    }
    let (Value::Object(prior), Value::Object(config)) = (prior, config) else {
        return false;
    };
    let attributes = block.attributes.iter().all(|attribute| {
        let (Ok(prior), Ok(config)) = (prior.get(&attribute.name), config.get(&attribute.name))
        else {
            return false;
        };
        prior == config
            || (attribute.computed && config.is_null())
            || match &attribute.kind {
                AttributeKind::Nested(nesting, inner) => {
                    nested_may_be(*nesting, inner, prior, config, pairing)
                }
                AttributeKind::Plain(_) => false,
            }
    });
    attributes
        && block.blocks.iter().all(|nested| {
            match (prior.get(&nested.name), config.get(&nested.name)) {
                (Ok(prior), Ok(config)) => {
                    let inner = &nested.block;
                    prior == config || nested_may_be(nested.nesting, inner, prior, config, pairing)
                }
                _ => false,
            }
        })
}

fn nested_may_be(
    nesting: Nesting,
    block: &Block,
    prior: &Value,
    config: &Value,
    pairing: Pairing,
) -> bool {
    match (nesting, prior, config) {
        (Nesting::Single, Value::Object(_), Value::Object(_)) => {
            may_be(block, prior, config, pairing)
        }
        (Nesting::List, Value::List(prior), Value::List(config)) => {
            prior.len() == config.len()
                && prior
                    .iter()
                    .zip(config)
                    .all(|(p, c)| may_be(block, p, c, pairing))
        }
        (Nesting::Map, Value::Map(prior), Value::Map(config)) => {
            prior.keys().eq(config.keys())
                && prior
                    .values()
                    .zip(config.values())
                    .all(|(p, c)| may_be(block, p, c, pairing))
        }
        (Nesting::Set, Value::Set(prior), Value::Set(config)) => match pairing {
            // For a host, a set inside an element counts as a whole.
            Pairing::First => false,
            Pairing::Best => {
                let pairs = best_pairs(block, prior.as_slice(), config.as_slice());
                prior.len() == config.len() && pairs.iter().all(Option::is_some)
            }
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: Value = Value::Null;

    fn merge(attribute: Attribute, prior: impl Into<Value>, config: impl Into<Value>) -> Value {
        let object = |value: Value| Object::new([("a", value)]);
        let (prior, config) = (object(prior.into()), object(config.into()));
        let merged = proposed(&Block::new([attribute]), Some(&prior), &config);
        merged.get("a").unwrap().clone()
    }

    #[test]
    fn computed_values_come_from_the_prior_state() {
        assert_eq!(
            merge(Attribute::string("a").computed(), "p", NULL),
            "p".into()
        );
        let both = || Attribute::string("a").optional().computed();
        assert_eq!(merge(both(), "p", NULL), "p".into());
        assert_eq!(merge(both(), "p", "c"), "c".into());
        assert_eq!(merge(Attribute::string("a").optional(), "p", NULL), NULL);
    }

    fn rule(name: &str, id: Value) -> Value {
        Value::object([("name", name.into()), ("id", id)])
    }

    fn inner() -> [Attribute; 2] {
        [
            Attribute::string("name").required(),
            Attribute::string("id").computed(),
        ]
    }

    #[test]
    fn list_elements_are_merged_by_place() {
        let attribute = Attribute::nested_list("a", inner()).optional();
        let prior = Value::list([rule("x", "1".into())]);
        let config = Value::list([rule("y", NULL), rule("z", NULL)]);
        let merged = Value::list([rule("y", "1".into()), rule("z", NULL)]);
        assert_eq!(merge(attribute, prior, config), merged);
    }

    #[test]
    fn set_elements_are_merged_where_nothing_configured_differs() {
        let attribute = Attribute::nested_set("a", inner()).optional();
        let prior = Value::set([rule("x", "1".into()), rule("y", "2".into())]);
        let config = Value::set([rule("y", NULL), rule("new", NULL)]);
        let merged = Value::set([rule("y", "2".into()), rule("new", NULL)]);
        assert_eq!(merge(attribute, prior, config), merged);
    }

    #[test]
    fn an_element_gives_way_to_one_that_fits_nowhere_else() {
        let both = || Attribute::string("id").optional().computed();
        let inner = [Attribute::string("name").optional().computed(), both()];
        let attribute = Attribute::nested_set("a", inner).optional();
        let object = |value: Value| Object::new([("a", value)]);
        let prior = object(Value::set([rule("x", "1".into()), rule("y", "2".into())]));
        let anything = Value::object([("name", NULL), ("id", NULL)]);
        let config = object(Value::set([anything, rule("x", NULL)]));
        let block = Block::new([attribute]);
        let best = proposed_with_best_pairs(&block, Some(&prior), &config);
        assert_eq!(best, prior);
        assert_ne!(proposed(&block, Some(&prior), &config), prior);
    }

    #[test]
    fn a_nested_value_that_was_configured_and_is_not_any_more_is_gone() {
        let attribute = || Attribute::nested("a", inner()).optional().computed();
        let configured = Value::object([("name", Value::from("x")), ("id", "1".into())]);
        let computed = Value::object([("name", NULL), ("id", "1".into())]);
        assert_eq!(merge(attribute(), configured, NULL), NULL);
        assert_eq!(merge(attribute(), computed.clone(), NULL), computed);
    }
}
