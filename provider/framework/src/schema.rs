//! Schemas: what a configuration may say, and what a state holds.

mod attribute;

use std::sync::OnceLock;

pub use attribute::Attribute;

pub use crate::identity::{IdentityAttribute, IdentitySchema};
use crate::types::{ObjectType, Type};

/// The schema of a provider, a resource, a data source or an ephemeral resource.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub(crate) version: i64,
    pub(crate) root: Block,
    ty: OnceLock<ObjectType>,
}

/// Attributes and blocks on one level.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<NestedBlock>,
    pub(crate) description: String,
    pub(crate) deprecation: Option<String>,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum AttributeKind {
    /// A value of a type.
    Plain(Type),
    /// Objects with a schema of their own.
    Nested(Nesting, Box<Block>),
}

/// How nested objects are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nesting {
    /// One object, or none.
    Single,
    /// Objects in an order.
    List,
    /// Objects without an order.
    Set,
    /// Objects under names the user chooses.
    Map,
}

/// A block such as `timeouts { … }`. New schemas prefer nested attributes.
#[derive(Debug, Clone)]
pub struct NestedBlock {
    pub(crate) name: String,
    pub(crate) nesting: Nesting,
    pub(crate) block: Block,
}

impl Schema {
    /// A schema of version 0 with these attributes.
    pub fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self {
            version: 0,
            root: Block::new(attributes),
            ty: OnceLock::new(),
        }
    }

    /// Sets the version of the states written under this schema.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Adds a block.
    #[must_use]
    pub fn block(mut self, block: NestedBlock) -> Self {
        self.root = self.root.block(block);
        self.ty = OnceLock::new();
        self
    }

    /// Describes the whole in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.root.description = markdown.into();
        self
    }

    /// Marks the whole as deprecated; `advice` says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, advice: impl Into<String>) -> Self {
        self.root.deprecation = Some(advice.into());
        self
    }

    /// Attributes and blocks at the top.
    pub fn root(&self) -> &Block {
        &self.root
    }

    /// The version of the states written under this schema.
    pub fn state_version(&self) -> i64 {
        self.version
    }

    /// The type of the objects this schema describes; made once.
    pub fn object_type(&self) -> &ObjectType {
        self.ty.get_or_init(|| self.root.object_type())
    }

    /// The same as a type, for the codecs.
    pub fn ty(&self) -> Type {
        Type::Object(self.object_type().clone())
    }
}

impl Block {
    /// A block with these attributes, kept in order of name.
    pub fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        let mut attributes: Vec<Attribute> = attributes.into_iter().collect();
        attributes.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            attributes,
            ..Self::default()
        }
    }

    /// Adds a block inside this one.
    #[must_use]
    pub fn block(mut self, block: NestedBlock) -> Self {
        self.blocks.push(block);
        self.blocks.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The attributes in order of name.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The blocks in order of name.
    pub fn blocks(&self) -> &[NestedBlock] {
        &self.blocks
    }

    /// The attribute `name` of this level.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .binary_search_by(|have| have.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.attributes[at])
    }

    /// The Markdown description.
    pub fn markdown(&self) -> &str {
        &self.description
    }

    /// The type of the objects this block describes.
    pub fn object_type(&self) -> ObjectType {
        let attributes = self.attributes.iter().map(|a| (a.name.as_str(), a.ty()));
        let blocks = self.blocks.iter().map(|b| (b.name.as_str(), b.ty()));
        ObjectType::new(attributes.chain(blocks))
    }
}

impl Nesting {
    fn around(self, block: &Block) -> Type {
        let object = Type::Object(block.object_type());
        match self {
            Self::Single => object,
            Self::List => Type::list(object),
            Self::Set => Type::set(object),
            Self::Map => Type::map(object),
        }
    }
}

impl NestedBlock {
    /// A block that occurs at most once.
    pub fn single(name: impl Into<String>, block: Block) -> Self {
        Self::new(name.into(), Nesting::Single, block)
    }

    /// A block that may be repeated, in an order.
    pub fn list(name: impl Into<String>, block: Block) -> Self {
        Self::new(name.into(), Nesting::List, block)
    }

    /// A block that may be repeated, without an order.
    pub fn set(name: impl Into<String>, block: Block) -> Self {
        Self::new(name.into(), Nesting::Set, block)
    }

    fn new(name: String, nesting: Nesting, block: Block) -> Self {
        Self {
            name,
            nesting,
            block,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often it may occur.
    pub fn nesting(&self) -> Nesting {
        self.nesting
    }

    /// What is inside.
    pub fn content(&self) -> &Block {
        &self.block
    }

    /// The type of the block's values.
    pub fn ty(&self) -> Type {
        self.nesting.around(&self.block)
    }
}
