//! One attribute of a schema, and how it is built.

use std::sync::Arc;

use super::{AttributeKind, Block, Nesting};
use crate::modifiers::Modifier;
use crate::types::Type;
use crate::validate::Validator;
use crate::value::Value;

/// One attribute: its type, who may set it, and the rules it follows.
///
/// Built by a constructor for its type and methods that each add one trait:
/// `Attribute::string("plan").required().description("…")`.
#[derive(Debug, Clone)]
pub struct Attribute {
    pub(crate) name: String,
    pub(crate) kind: AttributeKind,
    pub(crate) required: bool,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) sensitive: bool,
    pub(crate) partly: bool,
    pub(crate) write_only: bool,
    pub(crate) description: String,
    pub(crate) deprecation: Option<String>,
    pub(crate) default: Option<Value>,
    pub(crate) validators: Vec<Validator>,
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) same_meaning: Option<SameMeaning>,
    pub(crate) empty_is_a_value: bool,
}

/// Tells whether two values that are spelled differently mean the same.
#[derive(Clone)]
pub(crate) struct SameMeaning(pub(crate) Arc<Comparison>);

type Comparison = dyn Fn(&Value, &Value) -> bool + Send + Sync;

impl std::fmt::Debug for SameMeaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SameMeaning")
    }
}

impl Attribute {
    /// An attribute of any type.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self::of_kind(name.into(), AttributeKind::Plain(ty))
    }

    /// A text.
    pub fn string(name: impl Into<String>) -> Self {
        Self::new(name, Type::String)
    }

    /// A number of any size; see [`crate::validate::whole`] for whole ones.
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(name, Type::Number)
    }

    /// True or false.
    pub fn boolean(name: impl Into<String>) -> Self {
        Self::new(name, Type::Bool)
    }

    /// A list of `element`.
    pub fn list(name: impl Into<String>, element: Type) -> Self {
        Self::new(name, Type::list(element))
    }

    /// A set of `element`.
    pub fn set(name: impl Into<String>, element: Type) -> Self {
        Self::new(name, Type::set(element))
    }

    /// A map of `element`.
    pub fn map(name: impl Into<String>, element: Type) -> Self {
        Self::new(name, Type::map(element))
    }

    /// A nested object with attributes of its own. When the object is computed, so is each of
    /// them; ones the user may set are optional as well.
    pub fn nested(
        name: impl Into<String>,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self::nesting(name, Nesting::Single, attributes)
    }

    /// A list of nested objects.
    pub fn nested_list(
        name: impl Into<String>,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self::nesting(name, Nesting::List, attributes)
    }

    /// A set of nested objects. Defaults and computed values inside are unreliable: a set
    /// element that changes is another element.
    pub fn nested_set(
        name: impl Into<String>,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self::nesting(name, Nesting::Set, attributes)
    }

    /// A map of nested objects.
    pub fn nested_map(
        name: impl Into<String>,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self::nesting(name, Nesting::Map, attributes)
    }

    fn nesting(
        name: impl Into<String>,
        nesting: Nesting,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        let block = Box::new(Block::new(attributes));
        Self::of_kind(name.into(), AttributeKind::Nested(nesting, block))
    }

    fn of_kind(name: String, kind: AttributeKind) -> Self {
        Self {
            name,
            kind,
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            partly: false,
            write_only: false,
            description: String::new(),
            deprecation: None,
            default: None,
            validators: Vec::new(),
            modifiers: Vec::new(),
            same_meaning: None,
            empty_is_a_value: false,
        }
    }

    /// The configuration must give a value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The configuration may give a value.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The provider gives a value where the configuration gives none.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    /// The value is hidden in what the host prints. It is still in the state.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sensitive to the host, although not each name and value in it is a secret: the author
    /// hands those that are to [`crate::secrets::remember`], and the others stay readable in
    /// logs and messages.
    #[must_use]
    pub fn partly_sensitive(mut self) -> Self {
        self.partly = true;
        self.sensitive()
    }

    /// The value reaches the provider and is never stored, in a plan or in a state.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// Describes the attribute in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Warns whoever sets it; `advice` says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, advice: impl Into<String>) -> Self {
        self.deprecation = Some(advice.into());
        self
    }

    /// The value where the configuration gives none. Makes the attribute computed, since
    /// the host refuses a value of the provider's anywhere else.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.computed = true;
        self.default = Some(value.into());
        self
    }

    /// Adds a rule for values that are set.
    #[must_use]
    pub fn validate(mut self, validator: Validator) -> Self {
        self.validators.push(validator);
        self
    }

    /// Adds a step to the attribute's plan.
    #[must_use]
    pub fn modify(mut self, modifier: Modifier) -> Self {
        self.modifiers.push(modifier);
        self
    }

    /// Once known the value stays: an update plans the prior value instead of unknown.
    #[must_use]
    pub fn keep_prior(self) -> Self {
        self.modify(Modifier::keep_prior())
    }

    /// A changed value needs a new object.
    #[must_use]
    pub fn requires_replace(self) -> Self {
        self.modify(Modifier::requires_replace())
    }

    /// Declares when two spellings mean the same; the one already there is then kept: what
    /// was planned over what apply returns, what was stored over what read or plan computes.
    /// A value the configuration gives is always planned as written.
    #[must_use]
    pub fn same_meaning(
        mut self,
        same: impl Fn(&Value, &Value) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.same_meaning = Some(SameMeaning(Arc::new(same)));
        self
    }

    /// An empty text or collection is not the same as none. Otherwise a server may answer one
    /// for the other, and what was configured or stored is kept.
    #[must_use]
    pub fn empty_is_a_value(mut self) -> Self {
        self.empty_is_a_value = true;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the attribute holds.
    pub fn kind(&self) -> &AttributeKind {
        &self.kind
    }

    /// Whether the configuration must give a value.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether the configuration may leave it out.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether the provider may give the value.
    pub fn is_computed(&self) -> bool {
        self.computed
    }

    /// Whether the host hides the value.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// Whether the value is never stored.
    pub fn is_write_only(&self) -> bool {
        self.write_only
    }

    /// The value where the configuration gives none; none where there is no such value.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// The names of the attribute's plan modifiers, in the order in which they run.
    pub fn modifier_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.modifiers.iter().map(|modifier| modifier.name)
    }

    /// The Markdown description.
    pub fn markdown(&self) -> &str {
        &self.description
    }

    /// The type of the attribute's values.
    pub fn ty(&self) -> Type {
        match &self.kind {
            AttributeKind::Plain(ty) => ty.clone(),
            AttributeKind::Nested(nesting, block) => nesting.around(block),
        }
    }
}
