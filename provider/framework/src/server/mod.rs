//! A provider as a set of calls: typed values in, typed values out.
//!
//! Everything a host relies on happens here: which handler runs, what it is given, what is
//! checked before an answer leaves. The wire only converts; tests use the same calls.
//! Calls never fail: whatever goes wrong is among the diagnostics of the answer, and what is
//! known of an object is in it too.

mod apply;
mod finish;
mod lookups;
mod plan;
mod read;
mod run;
mod steps;
mod validating;

pub use plan::differing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::data_source::DataSource;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::ephemeral::EphemeralResource;
use crate::function::{Function, Signature};
use crate::object::Object;
use crate::path::Path;
use crate::provider::Provider;
use crate::resource::{ClientCapabilities, Resource, Upgrader};
use crate::schema::{IdentitySchema, Schema};
use crate::schema_check::{SchemaMistake, Subject};
use crate::timeouts::Timeouts;
use crate::validate::Rule;
use crate::value::Value;

/// Serves one provider. Cheap to make: schemas are built when first asked for.
pub struct ProviderServer {
    provider: Arc<dyn Provider>,
    catalogue: OnceLock<Catalogue>,
    stop: Mutex<CancellationToken>,
}

/// Everything a provider offers, by type name.
#[derive(Default)]
pub struct Catalogue {
    /// The `provider` block.
    pub provider: Schema,
    pub(crate) provider_rules: Vec<Rule>,
    /// The managed resources.
    pub resources: BTreeMap<String, ResourceEntry>,
    /// The data sources.
    pub data_sources: BTreeMap<String, DataSourceEntry>,
    /// The ephemeral resources.
    pub ephemeral_resources: BTreeMap<String, EphemeralEntry>,
    /// The functions.
    pub functions: BTreeMap<String, FunctionEntry>,
}

/// A managed resource with all that is asked of it once.
pub struct ResourceEntry {
    /// The schema of configurations, plans and states.
    pub schema: Schema,
    /// The schema of identities.
    pub identity: Option<IdentitySchema>,
    pub(crate) resource: Arc<dyn Resource>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) upgraders: Vec<Upgrader>,
    pub(crate) timeouts: Timeouts,
}

impl ResourceEntry {
    /// The identity of the object with this state, once it has one.
    pub(crate) fn identity_of(&self, state: &Object) -> Option<Object> {
        self.resource.identity(self.identity.as_ref()?, state)
    }
}

/// A data source with all that is asked of it once.
pub struct DataSourceEntry {
    /// The schema of configurations and results.
    pub schema: Schema,
    pub(crate) data_source: Arc<dyn DataSource>,
    pub(crate) rules: Vec<Rule>,
}

/// An ephemeral resource with all that is asked of it once.
pub struct EphemeralEntry {
    /// The schema of configurations and results.
    pub schema: Schema,
    pub(crate) ephemeral: Arc<dyn EphemeralResource>,
    pub(crate) rules: Vec<Rule>,
}

/// A function with its signature.
pub struct FunctionEntry {
    /// How the function is called.
    pub signature: Signature,
    pub(crate) function: Arc<dyn Function>,
}

/// A change to be planned. Values are of the resource's type; null means absent.
#[derive(Debug, Clone)]
pub struct PlanResource {
    /// The resource.
    pub type_name: String,
    /// The state.
    pub prior: Value,
    /// The configuration merged with the state by the host.
    pub proposed: Value,
    /// The configuration.
    pub config: Value,
    /// The private bytes of the state.
    pub private: Vec<u8>,
    /// The identity of the state.
    pub identity: Option<Value>,
    /// What the host understands.
    pub capabilities: ClientCapabilities,
}

/// A planned change.
#[derive(Debug, Clone)]
pub struct PlannedResource {
    /// The planned state; null on destroy.
    pub planned: Value,
    /// The attributes whose change needs a new object.
    pub requires_replace: Vec<Path>,
    /// The private bytes for apply.
    pub private: Vec<u8>,
    /// The planned identity, once it is known.
    pub identity: Option<Value>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// A change to be made.
#[derive(Debug, Clone)]
pub struct ApplyResource {
    /// The resource.
    pub type_name: String,
    /// The state.
    pub prior: Value,
    /// The plan.
    pub planned: Value,
    /// The configuration; null on destroy.
    pub config: Value,
    /// The private bytes of the plan.
    pub private: Vec<u8>,
    /// The planned identity.
    pub identity: Option<Value>,
}

/// A state to be refreshed.
#[derive(Debug, Clone)]
pub struct ReadResource {
    /// The resource.
    pub type_name: String,
    /// The state.
    pub state: Value,
    /// The private bytes of the state.
    pub private: Vec<u8>,
    /// The identity of the state.
    pub identity: Option<Value>,
    /// What the host understands.
    pub capabilities: ClientCapabilities,
}

/// The state an apply or a read leaves.
#[derive(Debug, Clone)]
pub struct ResourceState {
    /// The state; null when there is no object.
    pub state: Value,
    /// The private bytes.
    pub private: Vec<u8>,
    /// The identity.
    pub identity: Option<Value>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// What is to be imported: exactly one of the two is given.
#[derive(Debug, Clone)]
pub struct ImportResource {
    /// The resource.
    pub type_name: String,
    /// The text the user typed.
    pub id: String,
    /// The identity.
    pub identity: Option<Value>,
    /// What the host understands.
    pub capabilities: ClientCapabilities,
}

/// An ephemeral resource that was opened.
#[derive(Debug, Clone)]
pub struct OpenedEphemeral {
    /// The result; null on failure.
    pub result: Value,
    /// The private bytes for renew and close.
    pub private: Vec<u8>,
    /// When to renew.
    pub renew_at: Option<SystemTime>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// An ephemeral resource that was renewed.
#[derive(Debug, Clone)]
pub struct RenewedEphemeral {
    /// The private bytes for the next renewal.
    pub private: Vec<u8>,
    /// When to renew again.
    pub renew_at: Option<SystemTime>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

impl ProviderServer {
    /// Serves `provider`.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            catalogue: OnceLock::new(),
            stop: Mutex::new(CancellationToken::new()),
        }
    }

    /// The provider's name, address and version are asked here.
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// Everything the provider offers; built on the first call.
    pub fn catalogue(&self) -> &Catalogue {
        self.catalogue
            .get_or_init(|| Catalogue::of(&*self.provider))
    }

    /// The managed resource `type_name`, or what to tell the user when there is none.
    pub fn resource(&self, type_name: &str) -> Result<&ResourceEntry, Diagnostic> {
        let found = self.catalogue().resources.get(type_name);
        found.ok_or_else(|| no_such("resource", type_name))
    }

    /// The data source `type_name`, or what to tell the user when there is none.
    pub fn data_source(&self, type_name: &str) -> Result<&DataSourceEntry, Diagnostic> {
        let found = self.catalogue().data_sources.get(type_name);
        found.ok_or_else(|| no_such("data source", type_name))
    }

    /// The ephemeral resource `type_name`, or what to tell the user when there is none.
    pub fn ephemeral(&self, type_name: &str) -> Result<&EphemeralEntry, Diagnostic> {
        let found = self.catalogue().ephemeral_resources.get(type_name);
        found.ok_or_else(|| no_such("ephemeral resource", type_name))
    }

    /// Every mistake in what the provider offers; errors, since the host would refuse it or
    /// lose objects over it.
    pub fn check_schemas(&self) -> Diagnostics {
        let catalogue = self.catalogue();
        let mut all = mistakes("the provider", catalogue.provider.check(Subject::Provider));
        let prefix = format!("{}_", self.provider.name());
        let lookups = catalogue.data_sources.iter().map(|(n, e)| (n, &e.schema));
        let ephemeral = catalogue.ephemeral_resources.iter();
        let lookups = lookups.chain(ephemeral.map(|(name, entry)| (name, &entry.schema)));
        for (name, schema) in lookups {
            all.append(mistakes(name, schema.check(Subject::Lookup)));
            all.append(misnamed(name, &prefix));
        }
        for (name, entry) in &catalogue.resources {
            all.append(mistakes(name, entry.schema.check(Subject::Resource)));
            all.append(misnamed(name, &prefix));
            if let Some(identity) = &entry.identity {
                all.append(mistakes(name, identity.check()));
            }
        }
        for (name, entry) in &catalogue.functions {
            all.append(mistakes(name, entry.signature.check()));
        }
        all
    }

    /// Asks every running handler to stop soon. Calls that come later are not affected.
    pub fn stop(&self) {
        let mut current = self.stop.lock().unwrap_or_else(|p| p.into_inner());
        std::mem::take(&mut *current).cancel();
    }

    /// Is cancelled by the next [`ProviderServer::stop`].
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.lock().unwrap_or_else(|p| p.into_inner()).clone()
    }
}

fn no_such(kind: &str, name: &str) -> Diagnostic {
    Diagnostic::error(
        format!("Unknown {kind}"),
        format!("This provider offers no {kind} named {name}."),
    )
}

fn mistakes(subject: &str, mistakes: Vec<SchemaMistake>) -> Diagnostics {
    let told = mistakes.into_iter().map(|mistake| {
        let detail = format!("In {subject}, at {mistake}. This is a bug in the provider.");
        Diagnostic::error("Invalid schema", detail)
    });
    told.collect()
}

/// The host finds a provider by the text before the first underscore of a type's name.
fn misnamed(name: &str, prefix: &str) -> Diagnostics {
    if name.starts_with(prefix) {
        return Diagnostics::new();
    }
    let detail = format!("The name of {name} does not begin with {prefix}.");
    Diagnostic::error("Invalid schema", detail).into()
}

impl Catalogue {
    fn of(provider: &dyn Provider) -> Self {
        let resources = provider.resources().into_iter().map(|resource| {
            let entry = ResourceEntry {
                schema: resource.schema(),
                identity: resource.identity_schema(),
                rules: resource.rules(),
                upgraders: resource.upgraders(),
                timeouts: resource.timeouts(),
                resource,
            };
            (entry.resource.type_name().to_owned(), entry)
        });
        let data_sources = provider.data_sources().into_iter().map(|data_source| {
            let entry = DataSourceEntry {
                schema: data_source.schema(),
                rules: data_source.rules(),
                data_source,
            };
            (entry.data_source.type_name().to_owned(), entry)
        });
        let ephemeral_resources = provider.ephemeral_resources().into_iter().map(|ephemeral| {
            let entry = EphemeralEntry {
                schema: ephemeral.schema(),
                rules: ephemeral.rules(),
                ephemeral,
            };
            (entry.ephemeral.type_name().to_owned(), entry)
        });
        let functions = provider.functions().into_iter().map(|function| {
            let signature = function.signature();
            (
                function.name().to_owned(),
                FunctionEntry {
                    signature,
                    function,
                },
            )
        });
        Self {
            provider: provider.schema(),
            provider_rules: provider.rules(),
            resources: resources.collect(),
            data_sources: data_sources.collect(),
            ephemeral_resources: ephemeral_resources.collect(),
            functions: functions.collect(),
        }
    }
}
