//! What an author implements to offer a managed resource.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::object::{AccessError, Object};
use crate::path::Path;
use crate::private::Private;
use crate::schema::{IdentitySchema, Schema};
use crate::timeouts::Timeouts;
use crate::types::ObjectType;
use crate::validate::Rule;
use crate::value::Value;

/// What every handler is told about the call it serves.
#[derive(Debug, Clone)]
pub struct Context {
    /// Cancelled when the user asks to stop. A handler then ends soon, leaving in its
    /// response what it has reached.
    pub stop: CancellationToken,
    /// How long the operation may take, from the `timeouts` block or the resource's default.
    pub limit: Duration,
    /// The moment at which `limit` is over.
    pub deadline: Instant,
    /// What the host understands.
    pub capabilities: ClientCapabilities,
}

tokio::task_local! {
    static CURRENT: Context;
}

impl Context {
    /// The context of the handler that runs in this task; none outside of handlers, and in
    /// tasks that a handler starts. For a provider's client, so that no request of it can
    /// forget the user's wish and the call's limit.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `handler` with this as its [`Context::current`].
    pub async fn scope<T>(&self, handler: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), handler).await
    }
}

/// What the host understands beyond the base protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// A plan may be put off.
    pub deferral_allowed: bool,
    /// Write-only attributes are kept out of plans and states.
    pub write_only_attributes_allowed: bool,
}

/// A state that an operation writes.
///
/// It starts as what the operation starts from. As soon as something of it is true of the
/// real object, the author sets it here: when the operation fails afterwards, this is what
/// the host remembers, with null in the places still unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    object: Object,
    exists: bool,
}

impl State {
    /// No object yet; once something is set, the rest is as in `template`.
    pub fn absent(template: Object) -> Self {
        Self {
            object: template,
            exists: false,
        }
    }

    /// No object yet, and nothing known about it.
    pub fn null(ty: &ObjectType) -> Self {
        Self::absent(Object::null(ty))
    }

    /// An object that exists.
    pub fn present(object: Object) -> Self {
        Self {
            object,
            exists: true,
        }
    }

    /// Sets one attribute. From now on the object exists.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<(), AccessError> {
        self.object.set(name, value)?;
        self.exists = true;
        Ok(())
    }

    /// Replaces everything. From now on the object exists.
    pub fn replace(&mut self, object: Object) {
        self.object = object;
        self.exists = true;
    }

    /// The object is gone, or was never made.
    pub fn remove(&mut self) {
        self.exists = false;
    }

    /// Whether the object exists.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// What is set so far, whether or not the object exists.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The object; none when it does not exist.
    pub fn into_object(self) -> Option<Object> {
        self.exists.then_some(self.object)
    }
}

/// What a plan is asked.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// The configuration; none when the object is to be destroyed.
    pub config: Option<&'a Object>,
    /// The state; none when there is no object yet.
    pub prior: Option<&'a Object>,
    /// What was remembered with the state.
    pub private: &'a Private,
    /// Whether anything differs from the state: the configuration, or a default.
    /// When nothing does, the plan is the prior state and needs no server.
    pub changed: bool,
    /// The call.
    pub context: &'a Context,
}

/// What a plan answers. Starts filled in: the configuration, defaults, and unknown in every
/// computed attribute of a changed object, after the attributes' own modifiers.
#[derive(Debug)]
pub struct PlanResponse {
    /// The planned state; none when the object is to be destroyed, which a plan cannot change.
    pub planned: Option<Object>,
    /// The attributes whose change needs a new object.
    pub requires_replace: Vec<Path>,
    /// What apply and later calls shall remember.
    pub private: Private,
    /// Warnings and errors. An error stops the plan.
    pub diagnostics: Diagnostics,
}

/// What a create is asked.
#[derive(Debug)]
pub struct CreateRequest<'a> {
    /// The configuration, write-only values included.
    pub config: &'a Object,
    /// The plan; unknown where this call decides.
    pub planned: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What a read is asked.
#[derive(Debug)]
pub struct ReadRequest<'a> {
    /// The state as it was last seen. After an import only what the import set.
    pub state: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What an update is asked.
#[derive(Debug)]
pub struct UpdateRequest<'a> {
    /// The configuration, write-only values included.
    pub config: &'a Object,
    /// The state before.
    pub prior: &'a Object,
    /// The plan; unknown where this call decides.
    pub planned: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What a delete is asked.
#[derive(Debug)]
pub struct DeleteRequest<'a> {
    /// The state before.
    pub prior: &'a Object,
    /// The call.
    pub context: &'a Context,
}

/// What create, read, update and delete answer.
#[derive(Debug)]
pub struct StateResponse {
    /// The state. A create starts absent, with the plan as template; read, update and delete
    /// start from the state before. After a delete without errors it is removed unasked.
    pub state: State,
    /// What is remembered. Starts with what was: the plan's notes on create and update.
    pub private: Private,
    /// Warnings, and errors beside the one returned.
    pub diagnostics: Diagnostics,
}

/// What is to be imported.
#[derive(Debug, Clone, Copy)]
pub enum ImportTarget<'a> {
    /// The text the user typed.
    Id(&'a str),
    /// The attributes of the resource's identity.
    Identity(&'a Object),
}

/// What an import is asked.
#[derive(Debug)]
pub struct ImportRequest<'a> {
    /// What is to be imported.
    pub target: ImportTarget<'a>,
    /// The call.
    pub context: &'a Context,
}

/// Turns the raw state of one old version into that of the current one, directly.
#[derive(Clone)]
pub struct Upgrader {
    pub(crate) version: i64,
    pub(crate) run: Arc<dyn Fn(Json) -> Outcome<Json> + Send + Sync>,
}

impl Upgrader {
    /// Upgrades states of `version`. Numbers arrive with all their digits.
    pub fn from_version(
        version: i64,
        run: impl Fn(Json) -> Outcome<Json> + Send + Sync + 'static,
    ) -> Self {
        Self {
            version,
            run: Arc::new(run),
        }
    }
}

impl fmt::Debug for Upgrader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upgrader(from version {})", self.version)
    }
}

/// A kind of object that configurations manage.
///
/// Handlers return an error to fail, and leave what is true in the response either way.
/// Calls for different objects run at the same time.
#[async_trait]
pub trait Resource: Send + Sync + 'static {
    /// The name in configurations, with the provider's name in front: `berth_project`.
    fn type_name(&self) -> &str;

    /// The schema. Asked once.
    fn schema(&self) -> Schema;

    /// What names an object for as long as it lives. Asked once.
    fn identity_schema(&self) -> Option<IdentitySchema> {
        None
    }

    /// The identity, of this schema, of the object with this state. By default the state's
    /// attributes of the same names. None while one is unknown or null.
    fn identity(&self, schema: &IdentitySchema, state: &Object) -> Option<Object> {
        let names = schema.object_type().names();
        let value = |name: &str| state.get(name).ok().filter(|v| v.is_set()).cloned();
        let values = names
            .iter()
            .map(|name| value(name))
            .collect::<Option<Vec<_>>>()?;
        Some(Object::from_parts(names.clone(), values))
    }

    /// How long operations may take where the configuration has no `timeouts`. Asked once.
    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }

    /// Rules over several attributes. Asked once.
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// Upgrades from older state versions. Asked once.
    fn upgraders(&self) -> Vec<Upgrader> {
        Vec::new()
    }

    /// Checks what rules and validators cannot say. The provider may not be configured and
    /// values may be unknown: report only what is certain.
    async fn validate(&self, config: &Object, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }

    /// Decides what an apply would do. Called for destroy too.
    ///
    /// It is asked several times with the same question and must answer the same; with fewer
    /// unknowns in the question, known answers stay as they were.
    async fn plan(&self, request: PlanRequest<'_>, response: &mut PlanResponse) -> Outcome {
        let _ = (request, response);
        Ok(())
    }

    /// Makes the object.
    async fn create(&self, request: CreateRequest<'_>, response: &mut StateResponse) -> Outcome;

    /// Looks at the object. An object that is gone is removed from the response, without error.
    async fn read(&self, request: ReadRequest<'_>, response: &mut StateResponse) -> Outcome;

    /// Changes the object in place.
    async fn update(&self, request: UpdateRequest<'_>, response: &mut StateResponse) -> Outcome;

    /// Takes the object away. One that is gone already is a success.
    async fn delete(&self, request: DeleteRequest<'_>, response: &mut StateResponse) -> Outcome;

    /// Finds an object that exists, setting at least what [`Resource::read`] needs.
    async fn import(&self, request: ImportRequest<'_>, response: &mut StateResponse) -> Outcome {
        let _ = (request, response);
        Err(Diagnostic::error(
            "Import is not supported",
            format!("Objects of type {} cannot be imported.", self.type_name()),
        )
        .into())
    }
}
