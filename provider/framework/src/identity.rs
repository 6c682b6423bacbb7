//! What names an object for as long as it lives.

use std::sync::OnceLock;

use crate::types::{ObjectType, Type};

/// The attributes that name an object for as long as it lives, beside its state.
#[derive(Debug, Clone, Default)]
pub struct IdentitySchema {
    pub(crate) version: i64,
    pub(crate) attributes: Vec<IdentityAttribute>,
    ty: OnceLock<ObjectType>,
}

/// One attribute of an identity.
#[derive(Debug, Clone)]
pub struct IdentityAttribute {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) required_for_import: bool,
    pub(crate) description: String,
}

impl IdentitySchema {
    /// An identity of version 0 with these attributes.
    pub fn new(attributes: impl IntoIterator<Item = IdentityAttribute>) -> Self {
        Self {
            version: 0,
            attributes: attributes.into_iter().collect(),
            ty: OnceLock::new(),
        }
    }

    /// The type of identities; made once.
    pub fn object_type(&self) -> &ObjectType {
        self.ty.get_or_init(|| {
            ObjectType::new(
                self.attributes
                    .iter()
                    .map(|a| (a.name.as_str(), a.ty.clone())),
            )
        })
    }

    /// The same as a type, for the codecs.
    pub fn ty(&self) -> Type {
        Type::Object(self.object_type().clone())
    }
}

impl IdentityAttribute {
    /// A text that an import must give.
    pub fn string(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ty: Type::String,
            required_for_import: true,
            description: String::new(),
        }
    }

    /// An import may leave it out.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required_for_import = false;
        self
    }

    /// Describes the attribute.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }
}
