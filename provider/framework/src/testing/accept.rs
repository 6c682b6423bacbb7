//! What a host makes of an answer: it takes it over, or says which rule it breaks.

use super::{Action, Failure, Instance, Plan, Step, accepted, checks, rules};
use crate::core_rules;
use crate::diagnostics::Diagnostics;
use crate::object::Object;
use crate::server::{PlannedResource, ResourceEntry, ResourceState, differing};
use crate::value::Value;

/// What a plan starts from.
pub(super) struct Before<'a> {
    pub(super) state: Option<Object>,
    pub(super) private: &'a [u8],
    pub(super) identity: Option<&'a Value>,
}

impl Before<'_> {
    pub(super) const NOTHING: Before<'static> = Before {
        state: None,
        private: &[],
        identity: None,
    };
}

pub(super) fn accept_plan(
    entry: &ResourceEntry,
    before: &Before<'_>,
    config: &Object,
    answer: PlannedResource,
) -> Step<Plan> {
    accepted(&answer.diagnostics)?;
    let prior = before.state.as_ref();
    let planned = checks::received("plan", answer.planned, &entry.schema.ty())?;
    let Some(planned) = planned else {
        return Err(Failure::broken("plan", "plans no object"));
    };
    let block = &entry.schema.root;
    checks::write_only_null("plan", block, &planned)?;
    rules(
        "plan",
        core_rules::plan_valid(block, prior, config, &planned),
    )?;
    for path in &answer.requires_replace {
        if planned.at(path).is_none() && prior.is_none_or(|prior| prior.at(path).is_none()) {
            let problem = format!("needs a new object for {path}, which does not exist");
            return Err(Failure::broken("plan", problem));
        }
    }
    let (action, requires_replace) = match prior {
        None => (Action::Create, Vec::new()),
        Some(prior) => {
            let kept = differing(&answer.requires_replace, prior, &planned);
            let action = match (kept.is_empty(), *prior == planned) {
                (false, _) => Action::Replace,
                (true, true) => Action::NoOp,
                (true, false) => Action::Update,
            };
            (action, kept)
        }
    };
    checks::planned_identity(entry, action, answer.identity.as_ref())?;
    Ok(Plan {
        action,
        planned: Some(planned),
        requires_replace,
        private: answer.private,
        identity: answer.identity,
        diagnostics: answer.diagnostics,
    })
}

/// A plan that is made again with more known may say more, never otherwise.
pub(super) fn final_plan_agrees(first: &Plan, last: &Plan) -> Step {
    let same = match (first.action, last.action) {
        (Action::Replace, Action::Create) | (Action::Update, Action::NoOp) => true,
        (first, last) => first == last,
    };
    if !same {
        let problem = format!("changed from {:?} to {:?}", first.action, last.action);
        return Err(Failure::broken("final plan", problem));
    }
    let value = |plan: &Plan| plan.planned.clone().map_or(Value::Null, Value::Object);
    rules(
        "final plan",
        core_rules::compatible(&value(first), &value(last)),
    )
}

pub(super) fn accept_apply(
    entry: &ResourceEntry,
    instance: &mut Instance,
    planned: Option<&Object>,
    created: bool,
    answer: ResourceState,
) -> Step<Diagnostics> {
    const WHAT: &str = "state after apply";
    let failed = answer.diagnostics.has_errors();
    let Some(state) = checks::received(WHAT, answer.state, &entry.schema.ty())? else {
        accepted(&answer.diagnostics)?;
        return Err(Failure::broken(WHAT, "is null"));
    };
    checks::write_only_null(WHAT, &entry.schema.root, &state)?;
    let unknown = checks::all_known(WHAT, &state);
    let known = Value::Object(state.clone()).unknown_to_null();
    instance.state = known.as_object().cloned();
    instance.private = answer.private;
    instance.identity = answer.identity;
    instance.tainted = created && (failed || unknown.is_err());
    accepted(&answer.diagnostics)?;
    unknown?;
    checks::identity(entry, instance.identity.as_ref())?;
    let planned = planned.cloned().map_or(Value::Null, Value::Object);
    let violations = core_rules::compatible(&planned, &Value::Object(state));
    instance.tainted = created && !violations.is_empty();
    rules(WHAT, violations)?;
    Ok(answer.diagnostics)
}
