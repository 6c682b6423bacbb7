//! Planning: what an apply would do, and whether it needs a new object.

use super::finish::{bug, object_of, repaired};
use super::run::{collect, run};
use super::{PlanResource, PlannedResource, ProviderServer, ResourceEntry, steps};
use crate::core_rules;
use crate::diagnostics::{Diagnostics, Outcome};
use crate::object::Object;
use crate::path::Path;
use crate::private::Private;
use crate::resource::{ClientCapabilities, PlanRequest, PlanResponse};
use crate::timeouts::Operation;
use crate::value::Value;

/// The request, taken apart.
struct Question {
    prior: Option<Object>,
    config: Option<Object>,
    private: Private,
    capabilities: ClientCapabilities,
}

impl ProviderServer {
    /// Plans one change. Asked twice with the same question it gives the same answer.
    pub async fn plan_resource(&self, request: PlanResource) -> PlannedResource {
        let mut answer = PlannedResource {
            planned: Value::Null,
            requires_replace: Vec::new(),
            private: request.private.clone(),
            identity: request.identity.clone(),
            diagnostics: Diagnostics::new(),
        };
        if let Err(errors) = self.plan_into(request, &mut answer).await {
            answer.diagnostics.append(errors);
        }
        answer
    }

    async fn plan_into(&self, request: PlanResource, answer: &mut PlannedResource) -> Outcome {
        let entry = self.resource(&request.type_name)?;
        let proposed = object_of(request.proposed, "proposed state")?;
        let question = Question {
            prior: object_of(request.prior, "prior state")?,
            config: object_of(request.config, "configuration")?,
            private: Private::decode(&request.private)?,
            capabilities: request.capabilities,
        };
        let (response, changed) = self.respond(entry, &question, proposed).await;
        answer.diagnostics = response.diagnostics;
        answer.private = response.private.encode();
        let (Some(config), Some(planned)) = (&question.config, response.planned) else {
            return Ok(());
        };
        let planned = settled(entry, &question, config, planned, &mut answer.diagnostics);
        answer.requires_replace = response.requires_replace;
        answer.requires_replace.sort();
        answer.requires_replace.dedup();
        self.identify(entry, &question, &planned, changed, answer);
        answer.planned = Value::Object(planned);
        Ok(())
    }

    async fn respond(
        &self,
        entry: &ResourceEntry,
        question: &Question,
        proposed: Option<Object>,
    ) -> (PlanResponse, bool) {
        let mut response = PlanResponse {
            planned: None,
            requires_replace: Vec::new(),
            private: question.private.clone(),
            diagnostics: Diagnostics::new(),
        };
        let prior = question.prior.as_ref();
        let mut changed = true;
        if let (Some(config), Some(proposed)) = (&question.config, proposed) {
            let block = &entry.schema.root;
            let planned = steps::start(block, config, prior, proposed);
            let planned = steps::defaults_and_write_only(block, config, planned);
            changed = prior != Some(&planned);
            let planned = if changed {
                steps::mark_computed_unknown(block, config, prior, planned)
            } else {
                planned
            };
            let replace = &mut response.requires_replace;
            response.planned = Some(steps::modify(block, config, prior, planned, replace));
        }
        let object = question.config.as_ref().or(prior);
        let limit = entry.timeouts.limit(Operation::Read, object);
        let context = self.context(limit, question.capabilities);
        let request = PlanRequest {
            config: question.config.as_ref(),
            prior,
            private: &question.private,
            changed,
            context: &context,
        };
        let destroys = response.planned.is_none();
        let handler = entry.resource.plan(request, &mut response);
        let outcome = run("plan the change", &context, handler).await;
        collect(outcome, &mut response.diagnostics);
        if destroys {
            response.planned = None;
        }
        (response, changed)
    }

    /// The identity of an object that stays is the one it has; that of a new one is known
    /// once everything in it is.
    fn identify(
        &self,
        entry: &ResourceEntry,
        question: &Question,
        planned: &Object,
        changed: bool,
        answer: &mut PlannedResource,
    ) {
        let replaced = !answer.requires_replace.is_empty();
        let prior = question.prior.as_ref().filter(|_| !replaced || !changed);
        let identity = match prior {
            Some(prior) => entry.identity_of(prior),
            None => entry.identity_of(planned),
        };
        if let Some(identity) = identity {
            let identity = Value::Object(identity);
            answer.identity = identity.is_wholly_known().then_some(identity);
        }
    }
}

/// The author's plan with spellings settled, held against the host's own rules.
fn settled(
    entry: &ResourceEntry,
    question: &Question,
    config: &Object,
    planned: Object,
    diagnostics: &mut Diagnostics,
) -> Object {
    let block = &entry.schema.root;
    let prior = question.prior.as_ref();
    let planned = repaired(&entry.schema, planned, prior, diagnostics);
    let planned = steps::without_write_only(block, planned);
    let planned = steps::settle_spellings(block, config, prior, planned);
    if !diagnostics.has_errors() {
        for violation in core_rules::plan_valid(block, prior, config, &planned) {
            diagnostics.push(bug("Provider planned an invalid change", violation));
        }
    }
    planned
}

/// The attributes, out of `paths`, whose value differs between two objects or is not known
/// in the second. What a host makes of the paths a plan returns.
pub fn differing(paths: &[Path], prior: &Object, planned: &Object) -> Vec<Path> {
    let differs = |path: &&Path| match (prior.at(path), planned.at(path)) {
        (Some(prior), Some(planned)) => prior != planned || !planned.is_wholly_known(),
        (None, None) => false,
        _ => true,
    };
    paths.iter().filter(differs).cloned().collect()
}
