//! Creating, updating and deleting: whatever happens, what is true of the object is answered.

use super::finish::{bug, object_of, repaired, storable};
use super::run::{collect, run};
use super::{ApplyResource, ProviderServer, ResourceEntry, ResourceState, steps};
use crate::core_rules::{self, Violation};
use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::object::Object;
use crate::path::Path;
use crate::private::Private;
use crate::resource::{
    ClientCapabilities, Context, CreateRequest, DeleteRequest, State, StateResponse, UpdateRequest,
};
use crate::timeouts::Operation;
use crate::value::Value;

/// What is to happen, with everything it needs.
enum Act {
    Create {
        planned: Object,
        config: Object,
    },
    Update {
        prior: Object,
        planned: Object,
        config: Object,
    },
    Delete {
        prior: Object,
    },
}

impl ProviderServer {
    /// Makes one planned change.
    ///
    /// # Guarantees
    /// An object that the author's code said exists is in the answer, also when the code
    /// failed or panicked afterwards. The answer can be decoded, holds nothing unknown and
    /// no write-only value. A success without error is compatible with the plan.
    pub async fn apply_resource(&self, request: ApplyResource) -> ResourceState {
        let mut answer = ResourceState {
            state: request.prior.clone(),
            private: request.private.clone(),
            identity: request.identity.clone(),
            diagnostics: Diagnostics::new(),
        };
        if let Err(errors) = self.apply_into(request, &mut answer).await {
            answer.diagnostics.append(errors);
        }
        answer
    }

    async fn apply_into(&self, request: ApplyResource, answer: &mut ResourceState) -> Outcome {
        let entry = self.resource(&request.type_name)?;
        let private = Private::decode(&request.private)?;
        let act = Act::of(request)?;
        let mut response = StateResponse {
            state: act.start(),
            private,
            diagnostics: Diagnostics::new(),
        };
        let (operation, of) = match &act {
            Act::Create { planned, .. } => (Operation::Create, planned),
            Act::Update { planned, .. } => (Operation::Update, planned),
            Act::Delete { prior } => (Operation::Delete, prior),
        };
        let limit = entry.timeouts.limit(operation, Some(of));
        let capabilities = ClientCapabilities {
            write_only_attributes_allowed: true,
            deferral_allowed: false,
        };
        let context = self.context(limit, capabilities);
        let what = format!("{} the {}", operation.name(), entry.resource.type_name());
        let handler = act.run(entry, &context, &mut response);
        let outcome = run(&what, &context, handler).await;
        collect(outcome, &mut response.diagnostics);
        finish(entry, &act, response, answer);
        Ok(())
    }
}

impl Act {
    fn of(request: ApplyResource) -> Outcome<Self> {
        let prior = object_of(request.prior, "prior state")?;
        let planned = object_of(request.planned, "planned state")?;
        let config = object_of(request.config, "configuration")?;
        match (prior, planned, config) {
            (None, Some(planned), Some(config)) => Ok(Self::Create { planned, config }),
            (Some(prior), Some(planned), Some(config)) => Ok(Self::Update {
                prior,
                planned,
                config,
            }),
            (Some(prior), None, _) => Ok(Self::Delete { prior }),
            _ => Err(Diagnostic::error(
                "Unexpected request",
                "The host asked to apply a change that neither makes nor takes anything.",
            )
            .into()),
        }
    }

    fn start(&self) -> State {
        match self {
            Self::Create { planned, .. } => State::absent(planned.clone()),
            Self::Update { prior, .. } | Self::Delete { prior } => State::present(prior.clone()),
        }
    }

    async fn run(
        &self,
        entry: &ResourceEntry,
        context: &Context,
        response: &mut StateResponse,
    ) -> Outcome {
        let resource = &entry.resource;
        match self {
            Self::Create { planned, config } => {
                let request = CreateRequest {
                    config,
                    planned,
                    context,
                };
                resource.create(request, response).await
            }
            Self::Update {
                prior,
                planned,
                config,
            } => {
                let request = UpdateRequest {
                    config,
                    prior,
                    planned,
                    context,
                };
                resource.update(request, response).await
            }
            Self::Delete { prior } => {
                resource
                    .delete(DeleteRequest { prior, context }, response)
                    .await
            }
        }
    }

    fn planned(&self) -> Option<&Object> {
        match self {
            Self::Create { planned, .. } | Self::Update { planned, .. } => Some(planned),
            Self::Delete { .. } => None,
        }
    }

    fn prior(&self) -> Option<&Object> {
        match self {
            Self::Create { .. } => None,
            Self::Update { prior, .. } | Self::Delete { prior } => Some(prior),
        }
    }
}

fn finish(entry: &ResourceEntry, act: &Act, response: StateResponse, answer: &mut ResourceState) {
    let mut diagnostics = response.diagnostics;
    let Some(planned) = act.planned() else {
        return finish_delete(
            entry,
            act,
            response.state,
            response.private,
            diagnostics,
            answer,
        );
    };
    answer.private = response.private.encode();
    let state = response.state.into_object().map(|object| {
        let object = repaired(&entry.schema, object, Some(planned), &mut diagnostics);
        let object = steps::keep_meaning(&entry.schema.root, planned, object);
        storable(&entry.schema, object, &mut diagnostics)
    });
    match &state {
        Some(object) => {
            hold_against_plan(planned, object, &mut diagnostics);
            answer.identity =
                identity(entry, act.prior(), object, &mut diagnostics).or(answer.identity.take());
        }
        None if !diagnostics.has_errors() => {
            let violation = Violation::new(&Path::root(), "was reported neither made nor failed");
            diagnostics.push(bug("Provider returned no object", violation));
        }
        None => {}
    }
    answer.state = state.into();
    answer.diagnostics = diagnostics;
}

fn finish_delete(
    entry: &ResourceEntry,
    act: &Act,
    state: State,
    private: Private,
    mut diagnostics: Diagnostics,
    answer: &mut ResourceState,
) {
    if diagnostics.has_errors() {
        let state = state.into_object().map(|object| {
            let object = repaired(&entry.schema, object, act.prior(), &mut diagnostics);
            storable(&entry.schema, object, &mut diagnostics)
        });
        answer.private = private.encode();
        let identity = act.prior().and_then(|prior| entry.identity_of(prior));
        answer.identity = identity.map(Value::Object).or(answer.identity.take());
        answer.state = state.into();
    } else {
        answer.state = Value::Null;
        answer.private = Vec::new();
        answer.identity = None;
    }
    answer.diagnostics = diagnostics;
}

fn hold_against_plan(planned: &Object, object: &Object, diagnostics: &mut Diagnostics) {
    if diagnostics.has_errors() {
        return;
    }
    let (planned, actual) = (
        Value::Object(planned.clone()),
        Value::Object(object.clone()),
    );
    for violation in core_rules::compatible(&planned, &actual) {
        diagnostics.push(bug("Provider did otherwise than planned", violation));
    }
}

/// The identity of `object`, which never changes. On the way of an error it is whatever can
/// be told.
pub(super) fn identity(
    entry: &ResourceEntry,
    prior: Option<&Object>,
    object: &Object,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    entry.identity.as_ref()?;
    let before = prior.and_then(|prior| entry.identity_of(prior));
    let after = entry.identity_of(object);
    if !diagnostics.has_errors() {
        let problem = match (&before, &after) {
            (_, None) => Some("has no identity after the operation"),
            (Some(before), Some(after)) if before != after => {
                Some("has another identity than before")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            let violation = Violation::new(&Path::root(), problem);
            diagnostics.push(bug("Provider changed an identity", violation));
        }
    }
    before.or(after).map(Value::Object)
}
