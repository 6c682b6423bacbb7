//! The steps of a plan that need no author: each takes values and gives values.

use std::collections::BTreeMap;

use crate::core_rules;
use crate::modifiers::Change;
use crate::object::Object;
use crate::pairs::best_pairs;
use crate::path::Path;
use crate::schema::{Attribute, AttributeKind, Block, Nesting};
use crate::value::{Set, Value};

const NULL: Value = Value::Null;

/// The parts of one level of a change, for the walk over all levels.
#[derive(Clone, Copy)]
struct Level<'a> {
    block: &'a Block,
    config: Option<&'a Object>,
    prior: Option<&'a Object>,
}

type Member<'a> = (Option<&'a Attribute>, Option<(Nesting, &'a Block)>);

impl<'a> Level<'a> {
    fn config(&self, name: &str) -> &'a Value {
        self.config.and_then(|c| c.get(name).ok()).unwrap_or(&NULL)
    }

    fn prior(&self, name: &str) -> &'a Value {
        self.prior.and_then(|p| p.get(name).ok()).unwrap_or(&NULL)
    }

    /// The attribute or block `name`: its attribute when it is one, and what is inside it.
    fn member(&self, name: &str) -> Option<Member<'a>> {
        if let Some(attribute) = self.block.attribute(name) {
            let inside = match &attribute.kind {
                AttributeKind::Nested(nesting, block) => Some((*nesting, &**block)),
                AttributeKind::Plain(_) => None,
            };
            return Some((Some(attribute), inside));
        }
        let nested = self.block.blocks.iter().find(|b| b.name == name)?;
        Some((None, Some((nested.nesting, &nested.block))))
    }
}

/// Changes `planned`, which is nested as `nesting` says, by applying `change` to each of the
/// objects in it, each with its own configuration and prior state.
///
/// Elements of a set are told apart by what is configured in them; their prior state is the
/// element they are equal to, if there is one.
fn inside(
    nesting: Nesting,
    block: &Block,
    (config, prior): (&Value, &Value),
    planned: Value,
    path: &Path,
    change: &mut dyn FnMut(Level<'_>, Object, &Path) -> Object,
) -> Value {
    let mut element = |config: &Value, prior: &Value, planned: Value, path: &Path| match planned {
        Value::Object(object) => {
            let level = Level {
                block,
                config: config.as_object(),
                prior: prior.as_object(),
            };
            Value::Object(change(level, object, path))
        }
        other => other,
    };
    match (nesting, planned) {
        (Nesting::Single, planned) => element(config, prior, planned, path),
        (Nesting::List, Value::List(planned)) => {
            let at = |value: &Value, index: usize| {
                let elements = value.as_elements().unwrap_or_default();
                elements.get(index).cloned().unwrap_or(NULL)
            };
            let changed = planned.into_iter().enumerate().map(|(index, planned)| {
                let (config, prior) = (at(config, index), at(prior, index));
                element(&config, &prior, planned, &path.index(index))
            });
            Value::List(changed.collect())
        }
        (Nesting::Map, Value::Map(planned)) => {
            let at = |value: &Value, key: &str| {
                let element = value.as_map().and_then(|map| map.get(key));
                element.cloned().unwrap_or(NULL)
            };
            let changed = planned.into_iter().map(|(key, planned)| {
                let (config, prior) = (at(config, &key), at(prior, &key));
                let path = path.key(&key);
                (key, element(&config, &prior, planned, &path))
            });
            Value::Map(changed.collect::<BTreeMap<_, _>>())
        }
        (Nesting::Set, Value::Set(planned)) => {
            let configs = config.as_elements().unwrap_or_default();
            let fits =
                |planned: &Value, config: &Value| core_rules::is_filled_in(block, planned, config);
            let pairs = best_pairs(planned.as_slice(), configs, &fits);
            let priors = prior.as_elements().unwrap_or_default();
            let path = path.set_element();
            let changed = planned.into_iter().zip(pairs).map(|(planned, pair)| {
                let config = pair.and_then(|at| configs.get(at)).unwrap_or(&NULL);
                let same = priors.binary_search(&planned);
                let prior = same.map_or(&NULL, |at| &priors[at]);
                element(config, prior, planned, &path)
            });
            Value::Set(changed.collect::<Set>())
        }
        (_, planned) => planned,
    }
}

/// What a plan starts from: what the host proposes, unless there are sets in which the host
/// may not have recognised every element.
pub(super) fn start(
    block: &Block,
    config: &Object,
    prior: Option<&Object>,
    proposed: Object,
) -> Object {
    if has_nested_set(block) {
        return core_rules::proposed_with_best_pairs(block, prior, config);
    }
    proposed
}

fn has_nested_set(block: &Block) -> bool {
    let attributes = block
        .attributes
        .iter()
        .any(|attribute| match &attribute.kind {
            AttributeKind::Nested(nesting, inner) => {
                *nesting == Nesting::Set || has_nested_set(inner)
            }
            AttributeKind::Plain(_) => false,
        });
    attributes
        || block
            .blocks
            .iter()
            .any(|nested| nested.nesting == Nesting::Set || has_nested_set(&nested.block))
}

/// Puts defaults where the configuration gives nothing, and null in write-only attributes.
pub(super) fn defaults_and_write_only(block: &Block, config: &Object, planned: Object) -> Object {
    let level = Level {
        block,
        config: Some(config),
        prior: None,
    };
    fill(level, planned, &Path::root())
}

fn fill(level: Level<'_>, planned: Object, path: &Path) -> Object {
    planned.map_values(|name, value| {
        let Some((attribute, nested)) = level.member(name) else {
            return value;
        };
        let config = level.config(name);
        if let Some(attribute) = attribute {
            if attribute.write_only {
                return NULL;
            }
            if let (true, Some(default)) = (config.is_null(), &attribute.default) {
                return default.clone();
            }
        }
        match nested {
            Some((nesting, block)) if value.is_set() && !config.is_null() => {
                let fill =
                    &mut |level: Level<'_>, object: Object, path: &Path| fill(level, object, path);
                inside(nesting, block, (config, &NULL), value, path, fill)
            }
            _ => value,
        }
    })
}

/// Makes unknown what the provider computes: every computed attribute that has neither a
/// configured value nor a default. An element of a set that is as it was stays as it was.
pub(super) fn mark_computed_unknown(
    block: &Block,
    config: &Object,
    prior: Option<&Object>,
    planned: Object,
) -> Object {
    let level = Level {
        block,
        config: Some(config),
        prior,
    };
    mark(level, planned, &Path::root())
}

fn mark(level: Level<'_>, planned: Object, path: &Path) -> Object {
    planned.map_values(|name, value| {
        let Some((attribute, nested)) = level.member(name) else {
            return value;
        };
        let config = level.config(name);
        if let Some(attribute) = attribute
            && config.is_null()
        {
            let made = attribute.computed && attribute.default.is_none();
            return if made { Value::unknown() } else { value };
        }
        match nested {
            Some((nesting, block)) if value.is_set() && !config.is_null() => {
                let mark = &mut |level: Level<'_>, object: Object, path: &Path| {
                    let untouched = nesting == Nesting::Set && level.prior == Some(&object);
                    if untouched {
                        object
                    } else {
                        mark(level, object, path)
                    }
                };
                inside(
                    nesting,
                    block,
                    (config, level.prior(name)),
                    value,
                    path,
                    mark,
                )
            }
            _ => value,
        }
    })
}

/// Runs the attributes' modifiers, parents before children, and collects what needs a new
/// object.
pub(super) fn modify(
    block: &Block,
    config: &Object,
    prior: Option<&Object>,
    planned: Object,
    requires_replace: &mut Vec<Path>,
) -> Object {
    let level = Level {
        block,
        config: Some(config),
        prior,
    };
    run_modifiers(
        level,
        planned,
        &Path::root(),
        prior.is_some(),
        requires_replace,
    )
}

fn run_modifiers(
    level: Level<'_>,
    planned: Object,
    path: &Path,
    exists: bool,
    requires_replace: &mut Vec<Path>,
) -> Object {
    planned.map_values(|name, mut value| {
        let Some((attribute, nested)) = level.member(name) else {
            return value;
        };
        let (config, prior) = (level.config(name), level.prior(name));
        // Paths are made only where someone reads them: most attributes are plain and have
        // no modifier.
        if let Some(attribute) = attribute.filter(|a| !a.modifiers.is_empty()) {
            let path = path.attribute(name);
            let mut change = Change {
                path: &path,
                config,
                prior,
                exists,
                planned: value,
                requires_replace: false,
            };
            attribute.modifiers.iter().for_each(|m| m.run(&mut change));
            let (planned, replace) = (change.planned, change.requires_replace);
            if replace && !means_the_same(attribute, prior, &planned) {
                requires_replace.push(path);
            }
            value = planned;
        }
        match nested {
            Some((_, block)) if exists && value.is_unknown() && config.is_unknown() => {
                if replaces_when_unknown(block, prior) {
                    requires_replace.push(path.attribute(name));
                }
                value
            }
            Some((nesting, block)) if value.is_set() => {
                let run = &mut |level: Level<'_>, object: Object, path: &Path| {
                    run_modifiers(level, object, path, exists, requires_replace)
                };
                let path = path.attribute(name);
                inside(nesting, block, (config, prior), value, &path, run)
            }
            _ => value,
        }
    })
}

/// Whether something inside may need a new object once it is known: that must be said now,
/// since the host refuses a change that turns into a replacement later.
fn replaces_when_unknown(block: &Block, prior: &Value) -> bool {
    let one = |prior: Option<&Object>| {
        let level = Level {
            block,
            config: None,
            prior,
        };
        block.attributes.iter().any(|attribute| {
            let (config, prior) = (Value::unknown(), level.prior(&attribute.name));
            let mut change = Change {
                path: &Path::root(),
                config: &config,
                prior,
                exists: true,
                planned: Value::unknown(),
                requires_replace: false,
            };
            attribute.modifiers.iter().for_each(|m| m.run(&mut change));
            let inside = match &attribute.kind {
                AttributeKind::Nested(_, block) => replaces_when_unknown(block, prior),
                AttributeKind::Plain(_) => false,
            };
            change.requires_replace || inside
        })
    };
    match prior {
        Value::Object(object) => one(Some(object)),
        // Elements may be added as well as changed.
        other => one(None) || other.children().any(|element| one(element.as_object())),
    }
}

fn means_the_same(attribute: &Attribute, a: &Value, b: &Value) -> bool {
    let both_set = a.is_set() && b.is_set();
    both_set
        && attribute
            .same_meaning
            .as_ref()
            .is_some_and(|same| (same.0)(a, b))
}

/// Settles spellings in a finished plan: a configured value as written, a computed one as it
/// was, where the author's plan has another spelling of the same.
pub(super) fn settle_spellings(
    block: &Block,
    config: &Object,
    prior: Option<&Object>,
    planned: Object,
) -> Object {
    if !has_spellings(block) {
        return planned;
    }
    let level = Level {
        block,
        config: Some(config),
        prior,
    };
    settle(level, planned, &Path::root())
}

fn has_spellings(block: &Block) -> bool {
    block.attributes.iter().any(|attribute| {
        attribute.same_meaning.is_some()
            || matches!(&attribute.kind, AttributeKind::Nested(_, inner) if has_spellings(inner))
    }) || block
        .blocks
        .iter()
        .any(|nested| has_spellings(&nested.block))
}

fn settle(level: Level<'_>, planned: Object, path: &Path) -> Object {
    planned.map_values(|name, value| {
        let Some((attribute, nested)) = level.member(name) else {
            return value;
        };
        let (config, prior) = (level.config(name), level.prior(name));
        if let Some(attribute) = attribute {
            let kept = if config.is_null() { prior } else { config };
            if attribute.same_meaning.is_some() && means_the_same(attribute, kept, &value) {
                return kept.clone();
            }
        }
        match nested {
            Some((nesting, block)) if value.is_set() => {
                let settle = &mut |level: Level<'_>, object: Object, path: &Path| {
                    settle(level, object, path)
                };
                inside(nesting, block, (config, prior), value, path, settle)
            }
            _ => value,
        }
    })
}

/// Keeps what was there over what came back, where both mean the same: another spelling, or
/// an empty text or collection for null and the reverse.
pub(super) fn keep_meaning(block: &Block, known: &Object, found: Object) -> Object {
    let level = Level {
        block,
        config: None,
        prior: Some(known),
    };
    keep(level, found, &Path::root())
}

fn keep(level: Level<'_>, found: Object, path: &Path) -> Object {
    // A new element, or one of a set that is not as it was, has nothing to be kept.
    if level.prior.is_none() {
        return found;
    }
    found.map_values(|name, value| {
        let known = level.prior(name);
        if value == *known || known.is_unknown() {
            return value;
        }
        let Some((attribute, nested)) = level.member(name) else {
            return value;
        };
        if let Some(attribute) = attribute {
            let both_nothing = !attribute.empty_is_a_value && nothing(known) && nothing(&value);
            if both_nothing || means_the_same(attribute, known, &value) {
                return known.clone();
            }
        }
        match nested {
            Some((nesting, block)) if value.is_set() => {
                let keep =
                    &mut |level: Level<'_>, object: Object, path: &Path| keep(level, object, path);
                inside(nesting, block, (&NULL, known), value, path, keep)
            }
            _ => value,
        }
    })
}

/// Null, an empty text, or an empty collection.
fn nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::List(elements) => elements.is_empty(),
        Value::Set(set) => set.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// Null in every write-only attribute, at any depth.
pub(super) fn without_write_only(block: &Block, object: Object) -> Object {
    if !has_write_only(block) {
        return object;
    }
    let level = Level {
        block,
        config: None,
        prior: None,
    };
    strip(level, object, &Path::root())
}

fn strip(level: Level<'_>, object: Object, path: &Path) -> Object {
    object.map_values(|name, value| match level.member(name) {
        Some((Some(attribute), _)) if attribute.write_only => NULL,
        Some((_, Some((nesting, block)))) if value.is_set() => {
            let strip =
                &mut |level: Level<'_>, object: Object, path: &Path| strip(level, object, path);
            inside(nesting, block, (&NULL, &NULL), value, path, strip)
        }
        _ => value,
    })
}

fn has_write_only(block: &Block) -> bool {
    block.attributes.iter().any(|attribute| {
        attribute.write_only
            || matches!(&attribute.kind, AttributeKind::Nested(_, inner) if has_write_only(inner))
    }) || block
        .blocks
        .iter()
        .any(|nested| has_write_only(&nested.block))
}
