//! A host for tests: drives a provider in-process, as Terraform and OpenTofu do.
//!
//! Every value passes through its encoding, every answer is held against the host's rules,
//! and states are kept as a host keeps them, also after errors. A provider that would earn
//! "inconsistent result after apply" earns it here, in a unit test, without a client.
//!
//! ```text
//! let host = TestHost::new(MyProvider::new())?;
//! let mut project = host.instance("my_project");
//! let config = host.config("my_project", [("name", "orders".into())])?;
//! host.apply(&mut project, &config).await?;
//! assert_eq!(host.plan(&project, &config).await?.action, Action::NoOp);
//! ```

mod accept;
mod checks;
mod failure;
mod lookups;

use std::sync::Arc;

use crate::core_rules;
use crate::diagnostics::Diagnostics;
use crate::object::Object;
use crate::path::Path;
use crate::provider::Provider;
use crate::resource::ClientCapabilities;
use crate::server::{ApplyResource, ImportResource, PlanResource, ProviderServer, ReadResource};
use crate::value::Value;
use crate::wire::json;

pub use checks::completed;
pub use failure::{Failure, Step};

use failure::{accepted, rules};

use accept::{Before, accept_apply, accept_plan, final_plan_agrees};

/// Drives one provider.
pub struct TestHost {
    server: ProviderServer,
    capabilities: ClientCapabilities,
}

/// One managed object as the host remembers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The resource.
    pub type_name: String,
    /// The state; none when there is no object.
    pub state: Option<Object>,
    /// The private bytes.
    pub private: Vec<u8>,
    /// The identity.
    pub identity: Option<Value>,
    /// Whether the object was left half-made and is to be replaced.
    pub tainted: bool,
}

/// What the host decided to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Make the object.
    Create,
    /// Change it in place.
    Update,
    /// Take it away and make a new one.
    Replace,
    /// Take it away.
    Delete,
}

/// A plan the host accepted.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is to be done.
    pub action: Action,
    /// The planned state; none on delete.
    pub planned: Option<Object>,
    /// The attributes that need a new object.
    pub requires_replace: Vec<Path>,
    /// The private bytes for apply.
    pub private: Vec<u8>,
    /// The planned identity.
    pub identity: Option<Value>,
    /// What the provider told; no errors.
    pub diagnostics: Diagnostics,
}

impl TestHost {
    /// Drives `provider`, whose schemas must be without mistake.
    pub fn new(provider: impl Provider) -> Step<Self> {
        Self::serving(ProviderServer::new(Arc::new(provider)))
    }

    /// As [`TestHost::new`], for a server that exists already.
    pub fn serving(server: ProviderServer) -> Step<Self> {
        accepted(&server.check_schemas())?;
        Ok(Self {
            server,
            capabilities: ClientCapabilities {
                deferral_allowed: false,
                write_only_attributes_allowed: true,
            },
        })
    }

    /// Acts as an older host that knows no write-only attributes.
    #[must_use]
    pub fn without_write_only(mut self) -> Self {
        self.capabilities.write_only_attributes_allowed = false;
        self
    }

    /// The server that is driven, to stop it or to ask it something else.
    pub fn server(&self) -> &ProviderServer {
        &self.server
    }

    /// Hands the provider its configuration, with null in what `attributes` leaves out.
    pub async fn configure<'a>(
        &self,
        attributes: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Step<Diagnostics> {
        let schema = &self.server.catalogue().provider;
        let config = Value::Object(completed(schema, attributes)?);
        let mut diagnostics = self.server.validate_provider(config.clone()).await;
        accepted(&diagnostics)?;
        let capabilities = self.capabilities;
        diagnostics.append(self.server.configure(config, "1.11.4", capabilities).await);
        accepted(&diagnostics)?;
        Ok(diagnostics)
    }

    /// A configuration of the resource, with null in what `attributes` leaves out, also
    /// inside nested objects.
    pub fn config<'a>(
        &self,
        type_name: &str,
        attributes: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Step<Object> {
        completed(&self.server.resource(type_name)?.schema, attributes)
    }

    /// An object that does not exist yet.
    pub fn instance(&self, type_name: &str) -> Instance {
        Instance {
            type_name: type_name.to_owned(),
            state: None,
            private: Vec::new(),
            identity: None,
            tainted: false,
        }
    }

    /// Validates a configuration of the resource.
    pub async fn validate(&self, type_name: &str, config: &Object) -> Step<Diagnostics> {
        let entry = self.server.resource(type_name)?;
        let config = checks::sent(Some(config), &entry.schema.ty())?;
        let server = &self.server;
        let diagnostics = server
            .validate_resource(type_name, config, self.capabilities)
            .await;
        accepted(&diagnostics)?;
        Ok(diagnostics)
    }

    /// Validates `config` and plans the change to it; twice when the object is replaced.
    pub async fn plan(&self, instance: &Instance, config: &Object) -> Step<Plan> {
        self.validate(&instance.type_name, config).await?;
        let state = self.stored(instance).await?;
        let before = Before {
            state: state.filter(|_| !instance.tainted),
            private: &instance.private,
            identity: instance.identity.as_ref(),
        };
        let was_there = instance.state.is_some();
        let before = if instance.tainted {
            Before::NOTHING
        } else {
            before
        };
        let mut plan = self.plan_once(&instance.type_name, &before, config).await?;
        if instance.tainted && was_there {
            plan.action = Action::Replace;
        } else if plan.action == Action::Replace {
            let anew = Before {
                state: None,
                private: &plan.private,
                identity: plan.identity.as_ref(),
            };
            let second = self.plan_once(&instance.type_name, &anew, config).await?;
            plan = Plan {
                action: Action::Replace,
                requires_replace: plan.requires_replace,
                ..second
            };
        }
        Ok(plan)
    }

    /// The state as it comes back from where the host stored it.
    async fn stored(&self, instance: &Instance) -> Step<Option<Object>> {
        let Some(state) = &instance.state else {
            return Ok(None);
        };
        let entry = self.server.resource(&instance.type_name)?;
        let json = json::object_to_json(state).to_string();
        let version = entry.schema.state_version();
        let upgraded = self
            .server
            .upgrade_resource(&instance.type_name, version, json.as_bytes());
        let (value, diagnostics) = upgraded.await;
        accepted(&diagnostics)?;
        let value = checks::received("upgraded state", value, &entry.schema.ty())?;
        if value.as_ref() != Some(state) {
            return Err(Failure::broken(
                "upgraded state",
                "differs from what was stored",
            ));
        }
        Ok(value)
    }

    async fn plan_once(&self, type_name: &str, before: &Before<'_>, config: &Object) -> Step<Plan> {
        let entry = self.server.resource(type_name)?;
        let (ty, prior) = (entry.schema.ty(), before.state.as_ref());
        let proposed = core_rules::proposed(&entry.schema.root, prior, config);
        let request = PlanResource {
            type_name: type_name.to_owned(),
            prior: checks::sent(prior, &ty)?,
            proposed: checks::sent(Some(&proposed), &ty)?,
            config: checks::sent(Some(config), &ty)?,
            private: before.private.to_vec(),
            identity: before.identity.cloned(),
            capabilities: self.capabilities,
        };
        let answer = self.server.plan_resource(request).await;
        accept_plan(entry, before, config, answer)
    }

    /// Makes the change of `plan`, now that everything in `config` is known.
    ///
    /// # Errors
    /// The instance is as the host would remember it, whether or not this succeeds.
    pub async fn apply_plan(
        &self,
        instance: &mut Instance,
        plan: &Plan,
        config: &Object,
    ) -> Step<Diagnostics> {
        let mut told = Diagnostics::new();
        if plan.action == Action::NoOp {
            return Ok(told);
        }
        if matches!(plan.action, Action::Replace) && instance.state.is_some() {
            told.append(self.delete(instance, &instance.private.clone()).await?);
        }
        let before = match plan.action {
            Action::Update => Before {
                state: self.stored(instance).await?,
                private: &instance.private,
                identity: instance.identity.as_ref(),
            },
            _ => Before::NOTHING,
        };
        let last = self.plan_once(&instance.type_name, &before, config).await?;
        final_plan_agrees(plan, &last)?;
        if last.action == Action::NoOp {
            return Ok(told);
        }
        let entry = self.server.resource(&instance.type_name)?;
        let ty = entry.schema.ty();
        let request = ApplyResource {
            type_name: instance.type_name.clone(),
            prior: checks::sent(before.state.as_ref(), &ty)?,
            planned: checks::sent(last.planned.as_ref(), &ty)?,
            config: checks::sent(Some(config), &ty)?,
            private: last.private.clone(),
            identity: last.identity.clone(),
        };
        let created = before.state.is_none();
        let answer = self.server.apply_resource(request).await;
        told.append(accept_apply(
            entry,
            instance,
            last.planned.as_ref(),
            created,
            answer,
        )?);
        Ok(told)
    }

    /// Plans the change to `config` and makes it.
    pub async fn apply(&self, instance: &mut Instance, config: &Object) -> Step<Plan> {
        let plan = self.plan(instance, config).await?;
        self.apply_plan(instance, &plan, config).await?;
        Ok(plan)
    }

    /// Looks at the object again, as before each plan.
    pub async fn refresh(&self, instance: &mut Instance) -> Step<Diagnostics> {
        let Some(state) = self.stored(instance).await? else {
            return Ok(Diagnostics::new());
        };
        let entry = self.server.resource(&instance.type_name)?;
        let ty = entry.schema.ty();
        let request = ReadResource {
            type_name: instance.type_name.clone(),
            state: checks::sent(Some(&state), &ty)?,
            private: instance.private.clone(),
            identity: instance.identity.clone(),
            capabilities: self.capabilities,
        };
        let answer = self.server.read_resource(request).await;
        accepted(&answer.diagnostics)?;
        let state = checks::received("refreshed state", answer.state, &ty)?;
        if let Some(state) = &state {
            checks::storable("refreshed state", &entry.schema.root, state)?;
            checks::identity(entry, answer.identity.as_ref())?;
        }
        instance.private = answer.private;
        instance.identity = answer.identity;
        instance.state = state;
        Ok(answer.diagnostics)
    }

    /// Finds an object by the text a user would type, and reads it.
    pub async fn import(&self, type_name: &str, id: &str) -> Step<Instance> {
        self.import_by(type_name, id, None).await
    }

    /// Finds an object by its identity, and reads it.
    pub async fn import_identity(&self, type_name: &str, identity: Object) -> Step<Instance> {
        self.import_by(type_name, "", Some(Value::Object(identity)))
            .await
    }

    async fn import_by(
        &self,
        type_name: &str,
        id: &str,
        identity: Option<Value>,
    ) -> Step<Instance> {
        let entry = self.server.resource(type_name)?;
        let request = ImportResource {
            type_name: type_name.to_owned(),
            id: id.to_owned(),
            identity,
            capabilities: self.capabilities,
        };
        let answer = self.server.import_resource(request).await;
        accepted(&answer.diagnostics)?;
        let state = checks::received("imported state", answer.state, &entry.schema.ty())?;
        let Some(state) = state else {
            return Err(Failure::broken("imported state", "is null"));
        };
        checks::storable("imported state", &entry.schema.root, &state)?;
        let mut instance = Instance {
            state: Some(state),
            private: answer.private,
            identity: answer.identity,
            ..self.instance(type_name)
        };
        self.refresh(&mut instance).await?;
        if instance.state.is_none() {
            return Err(Failure::broken("imported state", "does not exist"));
        }
        Ok(instance)
    }

    /// Plans the end of the object.
    pub async fn plan_destroy(&self, instance: &Instance) -> Step<Plan> {
        let entry = self.server.resource(&instance.type_name)?;
        let ty = entry.schema.ty();
        let request = PlanResource {
            type_name: instance.type_name.clone(),
            prior: checks::sent(self.stored(instance).await?.as_ref(), &ty)?,
            proposed: Value::Null,
            config: Value::Null,
            private: instance.private.clone(),
            identity: instance.identity.clone(),
            capabilities: self.capabilities,
        };
        let answer = self.server.plan_resource(request).await;
        accepted(&answer.diagnostics)?;
        if checks::received("destroy plan", answer.planned, &ty)?.is_some() {
            return Err(Failure::broken("destroy plan", "plans an object"));
        }
        Ok(Plan {
            action: Action::Delete,
            planned: None,
            requires_replace: Vec::new(),
            private: answer.private,
            identity: answer.identity,
            diagnostics: answer.diagnostics,
        })
    }

    /// Plans the end of the object and takes it away.
    pub async fn destroy(&self, instance: &mut Instance) -> Step<Diagnostics> {
        let plan = self.plan_destroy(instance).await?;
        let mut told = plan.diagnostics;
        told.append(self.delete(instance, &plan.private).await?);
        Ok(told)
    }

    async fn delete(&self, instance: &mut Instance, private: &[u8]) -> Step<Diagnostics> {
        let entry = self.server.resource(&instance.type_name)?;
        let ty = entry.schema.ty();
        let request = ApplyResource {
            type_name: instance.type_name.clone(),
            prior: checks::sent(instance.state.as_ref(), &ty)?,
            planned: Value::Null,
            config: Value::Null,
            private: private.to_vec(),
            identity: instance.identity.clone(),
        };
        let answer = self.server.apply_resource(request).await;
        let state = checks::received("state after delete", answer.state, &ty)?;
        let failed = answer.diagnostics.has_errors();
        if let Some(state) = state {
            checks::storable("state after delete", &entry.schema.root, &state)?;
            instance.state = Some(state);
            instance.private = answer.private;
            instance.identity = answer.identity;
            if !failed {
                return Err(Failure::broken("state after delete", "is still there"));
            }
        } else if !failed {
            *instance = self.instance(&instance.type_name);
        }
        accepted(&answer.diagnostics)?;
        Ok(answer.diagnostics)
    }
}
