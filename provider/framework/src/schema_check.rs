//! Whether a schema is one the host accepts and this framework can keep its promises about.

use std::collections::BTreeSet;

use crate::core_rules;
use crate::function::Signature;
use crate::path::Path;
use crate::schema::{Attribute, AttributeKind, Block, IdentitySchema, Nesting, Schema};
use crate::types::Type;

/// What a schema describes; some rules hold only for some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The `provider` block.
    Provider,
    /// A managed resource.
    Resource,
    /// A data source or an ephemeral resource, which store nothing.
    Lookup,
}

const RESERVED_IN_RESOURCES: [&str; 7] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
];
const RESERVED_IN_PROVIDERS: [&str; 2] = ["alias", "version"];

/// A mistake in a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct SchemaMistake {
    /// The attribute or block.
    pub path: Path,
    /// What is wrong with it.
    pub problem: String,
}

impl Schema {
    /// Every mistake in the schema; none for a good one. A unit test of each resource should
    /// ask.
    pub fn check(&self, subject: Subject) -> Vec<SchemaMistake> {
        let mut check = Check {
            subject,
            mistakes: Vec::new(),
        };
        if self.version < 0 {
            check.mistake(&Path::root(), "the version is negative");
        }
        let reserved: &[&str] = match subject {
            Subject::Provider => &RESERVED_IN_PROVIDERS,
            Subject::Resource | Subject::Lookup => &RESERVED_IN_RESOURCES,
        };
        let attributes = self.root.attributes.iter().map(|a| &a.name);
        let blocks = self.root.blocks.iter().map(|b| &b.name);
        for name in attributes.chain(blocks) {
            if reserved.contains(&name.as_str()) {
                check.mistake(&Path::root().attribute(name), "the name is reserved");
            }
        }
        check.block(&self.root, &Path::root(), In::Plain);
        check.mistakes
    }
}

impl IdentitySchema {
    /// Every mistake in the schema; none for a good one.
    pub fn check(&self) -> Vec<SchemaMistake> {
        let mut mistakes = Vec::new();
        let mut mistake = |name: &str, problem: &str| {
            mistakes.push(SchemaMistake {
                path: Path::root().attribute(name),
                problem: problem.to_owned(),
            });
        };
        for attribute in &self.attributes {
            let plain = |ty: &Type| matches!(ty, Type::Bool | Type::Number | Type::String);
            let good = match &attribute.ty {
                Type::List(element) => plain(element),
                other => plain(other),
            };
            if !good {
                mistake(
                    &attribute.name,
                    "an identity holds plain values and lists of them",
                );
            }
            if !is_name(&attribute.name) {
                mistake(
                    &attribute.name,
                    "the name is not lower-case letters, digits and _",
                );
            }
        }
        mistakes
    }
}

impl Signature {
    /// Every mistake in the signature; none for a good one.
    pub fn check(&self) -> Vec<SchemaMistake> {
        let mut seen = BTreeSet::new();
        let parameters = self.parameters.iter().chain(&self.variadic);
        parameters
            .filter(|parameter| !is_name(&parameter.name) || !seen.insert(&parameter.name))
            .map(|parameter| SchemaMistake {
                path: Path::root().attribute(&parameter.name),
                problem: "the parameter's name is invalid or taken".to_owned(),
            })
            .collect()
    }
}

/// What surrounds an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Plain,
    Collection,
    Set,
}

impl In {
    fn inside(self, nesting: Nesting) -> Self {
        match (self, nesting) {
            (Self::Set, _) | (_, Nesting::Set) => Self::Set,
            (Self::Collection, _) | (_, Nesting::List | Nesting::Map) => Self::Collection,
            (Self::Plain, Nesting::Single) => Self::Plain,
        }
    }
}

struct Check {
    subject: Subject,
    mistakes: Vec<SchemaMistake>,
}

impl Check {
    fn mistake(&mut self, path: &Path, problem: impl Into<String>) {
        self.mistakes.push(SchemaMistake {
            path: path.clone(),
            problem: problem.into(),
        });
    }

    fn block(&mut self, block: &Block, path: &Path, within: In) {
        let mut names = BTreeSet::new();
        let attributes = block.attributes.iter().map(|a| a.name.as_str());
        let blocks = block.blocks.iter().map(|b| b.name.as_str());
        for name in attributes.chain(blocks) {
            let path = path.attribute(name);
            if !names.insert(name) {
                self.mistake(&path, "the name is taken");
            }
            if !is_name(name) {
                self.mistake(&path, "the name is not lower-case letters, digits and _");
            }
        }
        for attribute in &block.attributes {
            self.attribute(attribute, &path.attribute(&attribute.name), within);
        }
        for nested in &block.blocks {
            let path = path.attribute(&nested.name);
            self.block(&nested.block, &path, within.inside(nested.nesting));
        }
    }

    fn attribute(&mut self, attribute: &Attribute, path: &Path, within: In) {
        self.presence(attribute, path);
        self.default(attribute, path, within);
        if attribute.write_only {
            if attribute.computed {
                self.mistake(path, "what is write-only cannot be computed");
            }
            if self.subject != Subject::Resource {
                self.mistake(path, "only a managed resource has write-only attributes");
            }
            if within == In::Set {
                self.mistake(path, "an element of a set cannot hold write-only values");
            }
        }
        match &attribute.kind {
            AttributeKind::Plain(ty) => {
                let dynamic_in_collection = *ty != Type::Dynamic && ty.contains_dynamic();
                if dynamic_in_collection || (ty.contains_dynamic() && within != In::Plain) {
                    self.mistake(path, "a collection cannot hold values of dynamic type");
                }
            }
            AttributeKind::Nested(nesting, block) => {
                if attribute.write_only && !all_write_only(block) {
                    self.mistake(
                        path,
                        "what is inside a write-only attribute is write-only too",
                    );
                }
                if attribute.computed && !all_computed(block) {
                    // The host takes a value in there for something the user had configured
                    // and has now removed, and plans to remove it each time.
                    self.mistake(path, "what is inside a computed attribute is computed too");
                }
                self.block(block, path, within.inside(*nesting));
            }
        }
    }

    fn presence(&mut self, attribute: &Attribute, path: &Path) {
        let (required, optional, computed) =
            (attribute.required, attribute.optional, attribute.computed);
        if !required && !optional && !computed {
            self.mistake(path, "it is neither required, optional nor computed");
        }
        if required && (optional || computed) {
            self.mistake(path, "what is required is neither optional nor computed");
        }
        if self.subject == Subject::Provider && computed {
            self.mistake(path, "a provider's configuration has nothing computed");
        }
    }

    fn default(&mut self, attribute: &Attribute, path: &Path, within: In) {
        let Some(default) = &attribute.default else {
            return;
        };
        if !attribute.computed || !attribute.optional {
            self.mistake(
                path,
                "only an optional and computed attribute has a default",
            );
        }
        if within == In::Set {
            self.mistake(path, "an element of a set cannot have defaults");
        }
        if let Err(violation) = core_rules::conforms(default, &attribute.ty(), path) {
            self.mistake(path, format!("the default {}", violation.problem));
        }
        if default.is_null() || !default.is_wholly_known() {
            self.mistake(path, "a default is a known value");
        }
    }
}

fn all_write_only(block: &Block) -> bool {
    block
        .attributes
        .iter()
        .all(|attribute| attribute.write_only)
}

fn all_computed(block: &Block) -> bool {
    block.attributes.iter().all(|attribute| attribute.computed)
}

fn is_name(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    name.bytes().next().is_some_and(lower)
        && name
            .bytes()
            .all(|byte| lower(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::NestedBlock;
    use crate::value::Value;

    fn mistakes(attributes: impl IntoIterator<Item = Attribute>) -> Vec<String> {
        let mistakes = Schema::new(attributes).check(Subject::Resource);
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_schema_has_no_mistake() {
        let schema = Schema::new([
            Attribute::string("name").required(),
            Attribute::number("size").optional().default(10),
            Attribute::string("id").computed(),
            Attribute::string("password_wo").optional().write_only(),
            Attribute::nested(
                "pooler",
                [Attribute::string("mode").optional().default("x")],
            )
            .optional(),
        ])
        .block(crate::timeouts::block([crate::timeouts::Operation::Create]));
        assert_eq!(schema.check(Subject::Resource), []);
    }

    #[test]
    fn a_default_on_an_attribute_that_is_not_computed_is_refused() {
        // The method makes the attribute computed, so only a required one can still be wrong.
        let found = mistakes([Attribute::string("a").required().default("x")]);
        assert!(found.iter().any(|m| m.contains("default")), "{found:?}");
        let found = mistakes([Attribute::number("a").optional().default("x")]);
        assert_eq!(found, ["a: the default a string is not of type \"number\""]);
    }

    #[test]
    fn presence_is_one_of_four() {
        assert_eq!(mistakes([Attribute::string("a")]).len(), 1);
        assert_eq!(
            mistakes([Attribute::string("a").required().optional()]).len(),
            1
        );
        assert_eq!(
            mistakes([Attribute::string("a").required().computed()]).len(),
            1
        );
        assert_eq!(
            mistakes([Attribute::string("a").optional().computed()]).len(),
            0
        );
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(mistakes([Attribute::string("count").optional()]).len(), 1);
        assert_eq!(mistakes([Attribute::string("Größe").optional()]).len(), 1);
        let twice = [
            Attribute::string("a").optional(),
            Attribute::string("a").optional(),
        ];
        assert_eq!(mistakes(twice).len(), 1);
        let clash = Schema::new([Attribute::string("timeouts").optional()])
            .block(NestedBlock::single("timeouts", Block::default()));
        assert_eq!(clash.check(Subject::Resource).len(), 1);
    }

    #[test]
    fn sets_hold_neither_secrets_nor_defaults_nor_dynamic_values() {
        let in_set = |inner| mistakes([Attribute::nested_set("a", [inner]).optional()]).len();
        assert_eq!(in_set(Attribute::string("b").optional()), 0);
        assert_eq!(in_set(Attribute::string("b").optional().write_only()), 1);
        assert_eq!(in_set(Attribute::string("b").optional().default("x")), 1);
        assert_eq!(in_set(Attribute::new("b", Type::Dynamic).optional()), 1);
        assert_eq!(
            mistakes([Attribute::list("a", Type::Dynamic).optional()]).len(),
            1
        );
        assert_eq!(
            mistakes([Attribute::new("a", Type::Dynamic).optional()]).len(),
            0
        );
    }

    #[test]
    fn what_the_provider_makes_is_computed_throughout() {
        let nested = |inner: Attribute| Attribute::nested("a", [inner]).optional().computed();
        assert_eq!(
            mistakes([nested(Attribute::string("b").required())]).len(),
            1
        );
        assert_eq!(
            mistakes([nested(Attribute::string("b").optional())]).len(),
            1
        );
        assert_eq!(
            mistakes([nested(Attribute::string("b").optional().computed())]).len(),
            0
        );
    }

    #[test]
    fn write_only_is_for_managed_resources_and_never_computed() {
        let secret = || Attribute::string("a").optional().write_only();
        assert_eq!(mistakes([secret().computed()]).len(), 1);
        assert_eq!(Schema::new([secret()]).check(Subject::Lookup).len(), 1);
        assert_eq!(mistakes([secret().default(Value::from("x"))]).len(), 1);
    }
}
