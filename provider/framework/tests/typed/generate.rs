//! Schemas, configurations and bytes that nobody would write by hand.

use std::collections::BTreeMap;

use berth_plugin::modifiers::Modifier;
use berth_plugin::object::Object;
use berth_plugin::schema::{Attribute, AttributeKind, Block, NestedBlock, Nesting, Schema};
use berth_plugin::types::Type;
use berth_plugin::value::{Set, Value};

/// Decisions drawn from bytes. When the bytes run out every decision is the first one, so
/// fewer bytes make simpler things and a failing case shrinks.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) % limit
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }
}

/// How many cases a property is tried with: what the environment says, for a long night, or
/// what is bearable in every test run.
pub fn cases(usual: u32) -> u32 {
    let said = std::env::var("PROPTEST_CASES").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// What surrounds an attribute that is being made.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Root,
    Nested,
    Set,
    Computed,
    OptionalAndComputed,
}

/// A schema with the three attributes that [`crate::anything::Anything`] lives by, and others.
pub fn schema(choices: &mut Choices<'_>) -> Schema {
    let mut attributes = attributes(choices, Within::Root, 0);
    attributes.push(Attribute::string("id").computed().keep_prior());
    attributes.push(Attribute::string("name").required());
    attributes.push(Attribute::string("derived").computed());
    let mut schema = Schema::new(attributes);
    if choices.one_in(3) {
        let inner = Block::new(self::attributes(choices, Within::Nested, 1));
        schema = schema.block(match choices.below(3) {
            0 => NestedBlock::single("block", inner),
            1 => NestedBlock::list("block", inner),
            _ => NestedBlock::set(
                "block",
                Block::new(self::attributes(choices, Within::Set, 1)),
            ),
        });
    }
    schema
}

fn attributes(choices: &mut Choices<'_>, within: Within, depth: usize) -> Vec<Attribute> {
    let count = 1 + choices.below(4);
    (0..count)
        .map(|number| attribute(choices, &format!("a{number}"), within, depth))
        .collect()
}

fn attribute(choices: &mut Choices<'_>, name: &str, within: Within, depth: usize) -> Attribute {
    if depth < 2 && choices.one_in(3) {
        return nested(choices, name, within, depth);
    }
    let ty = match choices.below(8) {
        0 | 1 => Type::String,
        2 => Type::Number,
        // In a set a truth value that the provider makes up soon equals another element's.
        3 if matches!(within, Within::Root | Within::Nested) => Type::Bool,
        4 => Type::list(Type::String),
        5 => Type::set(Type::String),
        6 => Type::map(Type::Number),
        7 if within == Within::Root => Type::Dynamic,
        _ => Type::object([("x", Type::String), ("y", Type::list(Type::Number))]),
    };
    let attribute = Attribute::new(name, ty.clone());
    if within == Within::Computed {
        return attribute.computed();
    }
    if within == Within::OptionalAndComputed {
        return attribute.optional().computed();
    }
    match choices.below(6) {
        0 => attribute.optional(),
        1 => replaced_or_not(choices, attribute.required(), within),
        2 => kept_or_not(choices, attribute.computed(), within),
        3 => kept_or_not(choices, attribute.optional().computed(), within),
        4 if within != Within::Set && ty != Type::Dynamic => {
            let default = value(choices, &ty);
            attribute.optional().default(default)
        }
        5 if within != Within::Set => attribute.optional().write_only(),
        _ => replaced_or_not(choices, attribute.optional(), within),
    }
}

fn replaced_or_not(choices: &mut Choices<'_>, attribute: Attribute, within: Within) -> Attribute {
    match choices.below(4) {
        1 if within == Within::Root => attribute.requires_replace(),
        2 => attribute.modify(Modifier::requires_replace_if_configured()),
        _ => attribute,
    }
}

fn kept_or_not(choices: &mut Choices<'_>, attribute: Attribute, within: Within) -> Attribute {
    match choices.below(3) {
        1 if within == Within::Root => attribute.keep_prior(),
        1 | 2 => attribute.modify(Modifier::keep_prior_unless_null()),
        _ => attribute,
    }
}

fn nested(choices: &mut Choices<'_>, name: &str, within: Within, depth: usize) -> Attribute {
    let nesting = choices.below(4);
    let presence = choices.below(4);
    let inner = match (within, nesting, presence) {
        (Within::Computed, ..) | (_, _, 2) => Within::Computed,
        // What a provider makes inside must be computed, or the host takes it for something
        // the user had configured and has removed.
        (Within::OptionalAndComputed, ..) | (_, _, 3) => Within::OptionalAndComputed,
        (Within::Set, ..) | (_, 2, _) => Within::Set,
        _ => Within::Nested,
    };
    let attributes = attributes(choices, inner, depth + 1);
    let attribute = match nesting {
        0 => Attribute::nested(name, attributes),
        1 => Attribute::nested_list(name, attributes),
        2 => Attribute::nested_set(name, attributes),
        _ => Attribute::nested_map(name, attributes),
    };
    match presence {
        _ if within == Within::Computed => attribute.computed(),
        _ if within == Within::OptionalAndComputed => attribute.optional().computed(),
        1 => attribute.required(),
        2 => attribute.computed(),
        3 => attribute.optional().computed(),
        _ => attribute.optional(),
    }
}

/// A configuration of the schema, wholly known.
pub fn config(choices: &mut Choices<'_>, block: &Block) -> Object {
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    for attribute in block.attributes() {
        values.insert(attribute.name().to_owned(), configured(choices, attribute));
    }
    for nested in block.blocks() {
        let value = match nested.nesting() {
            Nesting::Single if choices.one_in(3) => Value::Null,
            nesting => nested_value(choices, nesting, nested.content()),
        };
        values.insert(nested.name().to_owned(), value);
    }
    Object::new(values)
}

fn configured(choices: &mut Choices<'_>, attribute: &Attribute) -> Value {
    if !attribute.is_required() && (!attribute.is_optional() || choices.one_in(3)) {
        return Value::Null;
    }
    match attribute.kind() {
        AttributeKind::Plain(ty) => value(choices, ty),
        AttributeKind::Nested(nesting, block) => nested_value(choices, *nesting, block),
    }
}

fn nested_value(choices: &mut Choices<'_>, nesting: Nesting, block: &Block) -> Value {
    let object = |choices: &mut Choices<'_>| Value::Object(config(choices, block));
    let count = choices.below(4);
    match nesting {
        Nesting::Single => object(choices),
        Nesting::List => Value::List((0..count).map(|_| object(choices)).collect()),
        Nesting::Set => Value::Set((0..count).map(|_| object(choices)).collect()),
        Nesting::Map => {
            let elements = (0..count).map(|at| (format!("k{at}"), object(choices)));
            Value::Map(elements.collect())
        }
    }
}

/// A known value of the type.
pub fn value(choices: &mut Choices<'_>, ty: &Type) -> Value {
    const TEXTS: [&str; 6] = ["x", "y", "", "zeta", "ä", "a longer text with \"quotes\"\n"];
    const NUMBERS: [&str; 7] = [
        "1",
        "0",
        "0.1",
        "9007199254740993",
        "1e30",
        "-123456789.123456789",
        "3.141592653589793238",
    ];
    let count = choices.below(3);
    match ty {
        Type::String => TEXTS[choices.below(TEXTS.len())].into(),
        Type::Number => Value::Number(NUMBERS[choices.below(NUMBERS.len())].parse().unwrap()),
        Type::Bool => Value::Bool(choices.one_in(2)),
        Type::Dynamic => {
            let ty = [Type::String, Type::Number, Type::set(Type::String)][count].clone();
            let inner = value(choices, &ty);
            Value::dynamic(ty, inner)
        }
        Type::List(ty) => Value::List((0..count).map(|_| value(choices, ty)).collect()),
        Type::Set(ty) => Value::Set((0..count).map(|_| value(choices, ty)).collect()),
        Type::Map(ty) => {
            let elements = (0..count).map(|at| (format!("k{at}"), value(choices, ty)));
            Value::Map(elements.collect())
        }
        Type::Object(object) => {
            let values = object.iter().map(|(name, ty)| (name, value(choices, ty)));
            Value::object(values.collect::<Vec<_>>())
        }
        Type::Tuple(types) => Value::Tuple(types.iter().map(|ty| value(choices, ty)).collect()),
    }
}

/// The configuration as it is seen before everything is known: once with more unknown, once
/// with less of it.
pub fn masked(choices: &mut Choices<'_>, block: &Block, config: &Object) -> (Object, Object) {
    let (mut more, mut less) = (config.clone(), config.clone());
    for attribute in block.attributes() {
        let name = attribute.name();
        let (m, l) = match config.get(name).unwrap() {
            // What is left out, or cannot be configured, is not unknown either.
            Value::Null => continue,
            value => masked_value(choices, value),
        };
        more.set(name, m).unwrap();
        less.set(name, l).unwrap();
    }
    for nested in block.blocks() {
        let value = config.get(nested.name()).unwrap();
        let (m, l) = match masked_inside(choices, value) {
            // A dynamic block over something unknown.
            (_, less) if choices.one_in(6) => (Value::unknown(), less),
            known => known,
        };
        more.set(nested.name(), m).unwrap();
        less.set(nested.name(), l).unwrap();
    }
    (more, less)
}

fn masked_value(choices: &mut Choices<'_>, value: &Value) -> (Value, Value) {
    match choices.below(6) {
        5 => (Value::unknown(), Value::unknown()),
        4 => (Value::unknown(), value.clone()),
        3 => (Value::unknown(), masked_inside(choices, value).1),
        2 => masked_inside(choices, value),
        _ => (value.clone(), value.clone()),
    }
}

fn masked_inside(choices: &mut Choices<'_>, value: &Value) -> (Value, Value) {
    match value {
        Value::List(elements) => {
            let (more, less) = elements.iter().map(|e| masked_element(choices, e)).unzip();
            (Value::List(more), Value::List(less))
        }
        Value::Set(set) => {
            let pairs: (Vec<_>, Vec<_>) = set.iter().map(|e| masked_element(choices, e)).unzip();
            (Value::Set(Set::new(pairs.0)), Value::Set(Set::new(pairs.1)))
        }
        Value::Map(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, element)| (key.clone(), masked_element(choices, element)))
                .collect();
            let more = pairs
                .iter()
                .map(|(key, pair)| (key.clone(), pair.0.clone()));
            let less = pairs
                .iter()
                .map(|(key, pair)| (key.clone(), pair.1.clone()));
            (Value::Map(more.collect()), Value::Map(less.collect()))
        }
        Value::Object(object) => {
            let (mut more, mut less) = (object.clone(), object.clone());
            for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
                let (m, l) = masked_value(choices, value);
                more.set(name, m).unwrap();
                less.set(name, l).unwrap();
            }
            (Value::Object(more), Value::Object(less))
        }
        other => (other.clone(), other.clone()),
    }
}

/// Elements that are objects stay objects; a host does not send such an element unknown as
/// a whole where the schema nests.
fn masked_element(choices: &mut Choices<'_>, element: &Value) -> (Value, Value) {
    match element {
        Value::Object(_) => masked_inside(choices, element),
        other => masked_value(choices, other),
    }
}
