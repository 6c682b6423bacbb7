//! What an author implements to offer a provider.

use std::sync::{Arc, RwLock};

use async_trait::async_trait;

use crate::data_source::DataSource;
use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::ephemeral::EphemeralResource;
use crate::function::Function;
use crate::object::Object;
use crate::resource::{ClientCapabilities, Resource};
use crate::schema::Schema;
use crate::validate::Rule;

/// What a provider is told when it is configured.
#[derive(Debug)]
pub struct ConfigureRequest<'a> {
    /// The configuration. Values may be unknown during a plan.
    pub config: &'a Object,
    /// The host's version. Never a reason to offer less; `capabilities` says what it can do.
    pub client_version: &'a str,
    /// What the host understands.
    pub capabilities: ClientCapabilities,
}

/// A provider: its configuration and the list of what it offers.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The name in front of its type names: `berth`.
    fn name(&self) -> &str;

    /// The address under which the provider is published, for logs.
    fn address(&self) -> &str;

    /// The provider's version.
    fn version(&self) -> &str;

    /// The schema of the `provider` block. Asked once.
    fn schema(&self) -> Schema;

    /// The managed resources. Asked once; share a [`Configured`] with them for what
    /// [`Provider::configure`] makes.
    fn resources(&self) -> Vec<Arc<dyn Resource>> {
        Vec::new()
    }

    /// The data sources. Asked once.
    fn data_sources(&self) -> Vec<Arc<dyn DataSource>> {
        Vec::new()
    }

    /// The ephemeral resources. Asked once.
    fn ephemeral_resources(&self) -> Vec<Arc<dyn EphemeralResource>> {
        Vec::new()
    }

    /// The functions. Asked once.
    fn functions(&self) -> Vec<Arc<dyn Function>> {
        Vec::new()
    }

    /// Rules over several attributes of the `provider` block. Asked once.
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// Checks what rules and validators cannot say; values may be unknown.
    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }

    /// Takes the configuration over, before any object is read, planned or changed. It may
    /// come again, in a process that serves several runs; the last one counts. Warnings go
    /// into `diagnostics`.
    async fn configure(
        &self,
        request: ConfigureRequest<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Outcome;
}

/// What [`Provider::configure`] makes and the resources use.
#[derive(Debug)]
pub struct Configured<T>(Arc<RwLock<Option<Arc<T>>>>);

impl<T> Configured<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Makes `value` what the resources use from now on.
    pub fn set(&self, value: T) {
        let mut slot = self
            .0
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *slot = Some(Arc::new(value));
    }

    /// What was set last; an error to show while nothing was.
    pub fn get(&self) -> Outcome<Arc<T>> {
        let slot = self
            .0
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        slot.clone().ok_or_else(|| {
            Diagnostic::error(
                "Provider not configured",
                "The provider was asked for an object before it was given its configuration.",
            )
            .into()
        })
    }
}

impl<T> Clone for Configured<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Configured<T> {
    fn default() -> Self {
        Self::new()
    }
}
