//! What an author implements to offer a function.

use crate::types::Type;
use crate::value::Value;

/// One parameter of a function.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) allow_null: bool,
    pub(crate) allow_unknown: bool,
    pub(crate) description: String,
}

/// How a function is called and what it gives.
#[derive(Debug, Clone)]
pub struct Signature {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variadic: Option<Parameter>,
    pub(crate) returns: Type,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) deprecation: Option<String>,
}

/// Why a call fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    /// What is wrong, in a sentence.
    pub text: String,
    /// The argument it is about, counted from zero; none for the call as a whole.
    pub argument: Option<usize>,
}

/// A pure function: the same arguments give the same result, on every machine and day.
pub trait Function: Send + Sync + 'static {
    /// The name, without the provider's in front.
    fn name(&self) -> &str;

    /// How it is called. Asked once.
    fn signature(&self) -> Signature;

    /// Computes the result. As many arguments as the signature says, each of its type.
    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError>;
}

impl Parameter {
    /// A parameter that is never null or unknown.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            allow_null: false,
            allow_unknown: false,
            description: String::new(),
        }
    }

    /// Null is passed on instead of being refused by the host.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.allow_null = true;
        self
    }

    /// Unknown is passed on instead of making the result unknown.
    #[must_use]
    pub fn allow_unknown(mut self) -> Self {
        self.allow_unknown = true;
        self
    }

    /// Describes the parameter in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }
}

impl Signature {
    /// A function of these parameters that gives a value of type `returns`.
    pub fn new(parameters: impl IntoIterator<Item = Parameter>, returns: Type) -> Self {
        Self {
            parameters: parameters.into_iter().collect(),
            variadic: None,
            returns,
            summary: String::new(),
            description: String::new(),
            deprecation: None,
        }
    }

    /// Any number of further arguments of this kind.
    #[must_use]
    pub fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// Says in a line what the function does.
    #[must_use]
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = text.into();
        self
    }

    /// Describes the function in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Marks the function as deprecated; `advice` says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, advice: impl Into<String>) -> Self {
        self.deprecation = Some(advice.into());
        self
    }

    /// The parameter that takes the argument at `position`.
    pub fn parameter(&self, position: usize) -> Option<&Parameter> {
        self.parameters.get(position).or(self.variadic.as_ref())
    }

    /// The type of the result.
    pub fn returns(&self) -> &Type {
        &self.returns
    }
}

impl FunctionError {
    /// The call as a whole fails.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: None,
        }
    }

    /// The argument at `position` is wrong.
    pub fn argument(position: usize, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: Some(position),
        }
    }
}
