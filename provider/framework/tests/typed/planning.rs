//! The property everything else grows under: whatever the schema and the configuration, what
//! is planned while things are unknown, planned again while fewer are, and applied once all
//! are known, obeys the host's rules.

use std::collections::BTreeSet;

use berth_plugin::core_rules::compatible;
use berth_plugin::object::Object;
use berth_plugin::path::Path;
use berth_plugin::schema::{AttributeKind, Block, Schema};
use berth_plugin::testing::{Action, Failure, Instance, Plan, TestHost};
use berth_plugin::value::Value;
use proptest::prelude::*;

use crate::anything::{Anything, Mistake, TYPE, TestProvider};
use crate::generate::{Choices, cases, config, masked, schema};

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn broken(what: &'static str, problem: impl Into<String>) -> Failure {
    let path = Path::root();
    let problem = problem.into();
    Failure::Broken {
        what,
        violations: vec![berth_plugin::core_rules::Violation { path, problem }],
    }
}

/// Fewer unknowns may only turn unknown into known. A change may turn out to be none, and a
/// replacement, which the host makes in two steps anyway, to be anything; nothing else.
fn refines(vague: &Plan, clear: &Plan) -> Result<(), Failure> {
    let allowed = match (vague.action, clear.action) {
        (Action::Replace, _) | (Action::Update, Action::NoOp) => true,
        (vague, clear) => vague == clear,
    };
    if !allowed {
        let problem = format!("is {clear:?} and was {vague:?}");
        return Err(broken("plan with fewer unknowns", problem));
    }
    let value = |plan: &Plan| plan.planned.clone().map_or(Value::Null, Value::Object);
    let violations = compatible(&value(vague), &value(clear));
    if !violations.is_empty() {
        let what = "plan with fewer unknowns";
        return Err(Failure::Broken { what, violations });
    }
    Ok(())
}

/// Brings `instance` to `wanted`, as three hosts would see it who know less and less.
async fn change(
    host: &TestHost,
    instance: &mut Instance,
    (vague, clearer, wanted): (&Object, &Object, &Object),
) -> Result<Action, Failure> {
    let first = host.plan(instance, vague).await?;
    let again = host.plan(instance, vague).await?;
    if first.planned != again.planned || first.requires_replace != again.requires_replace {
        return Err(broken("plan", "differs when asked again"));
    }
    let second = host.plan(instance, clearer).await?;
    refines(&first, &second)?;
    let last = host.plan(instance, wanted).await?;
    refines(&second, &last)?;
    // A change that was planned for want of knowledge may turn out to be another one; a host
    // that planned the vague one only ever applies what it planned.
    let plan = if first.action == last.action {
        &first
    } else {
        &last
    };
    host.apply_plan(instance, plan, wanted).await?;
    Ok(last.action)
}

async fn settled(host: &TestHost, instance: &mut Instance, wanted: &Object) -> Result<(), Failure> {
    let before = instance.clone();
    host.refresh(instance).await?;
    if *instance != before {
        return Err(broken("refresh", "changes what apply had left"));
    }
    let plan = host.plan(instance, wanted).await?;
    if plan.action != Action::NoOp {
        let (before, after) = (instance.state.as_ref(), plan.planned.as_ref());
        let problem = format!(
            "is {:?} for {wanted:?}
{before:?}
{after:?}",
            plan.action
        );
        return Err(broken("second plan", problem));
    }
    Ok(())
}

async fn life(bytes: &[u8], mistake: Mistake, seen: &mut BTreeSet<String>) -> Result<(), Failure> {
    let choices = &mut Choices::new(bytes);
    let schema: Schema = schema(choices);
    let root = schema.root().clone();
    let host = TestHost::new(TestProvider::of(Anything::new(schema, mistake)))?;
    let mut instance = host.instance(TYPE);
    for _ in 0..3 {
        let wanted = config(choices, &root);
        let (vague, clearer) = masked(choices, &root, &wanted);
        let action = change(&host, &mut instance, (&vague, &clearer, &wanted)).await?;
        seen.insert(format!("{action:?}"));
        settled(&host, &mut instance, &wanted).await?;
    }
    let Some(state) = &instance.state else {
        return Err(broken("state", "is lost"));
    };
    let id = state.require_string("id").unwrap();
    let imported = host.import(TYPE, id).await?;
    if imported.state != instance.state || imported.identity != instance.identity {
        return Err(broken("import", "finds another object"));
    }
    host.destroy(&mut instance).await?;
    if instance.state.is_some() {
        return Err(broken("destroy", "leaves a state"));
    }
    Ok(())
}

/// The schema in a few lines, for a failure.
fn outline(block: &Block, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let attributes = block.attributes().iter().map(|attribute| {
        let words = [
            (attribute.is_required(), "required"),
            (attribute.is_optional(), "optional"),
            (attribute.is_computed(), "computed"),
            (attribute.is_write_only(), "write-only"),
        ];
        let words: Vec<_> = words
            .iter()
            .filter(|word| word.0)
            .map(|word| word.1)
            .collect();
        let modifiers = attribute.modifier_names().collect::<Vec<_>>().join(" ");
        let line = format!(
            "{indent}{}: {} {modifiers}",
            attribute.name(),
            words.join(" ")
        );
        match attribute.kind() {
            AttributeKind::Plain(ty) => format!("{line} {}\n", ty.to_json()),
            AttributeKind::Nested(nesting, inner) => {
                format!("{line} {nesting:?}\n{}", outline(inner, depth + 1))
            }
        }
    });
    let blocks = block.blocks().iter().map(|nested| {
        let inner = outline(nested.content(), depth + 1);
        format!(
            "{indent}{}: block {:?}\n{inner}",
            nested.name(),
            nested.nesting()
        )
    });
    attributes.chain(blocks).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_hosts_rules_hold_whatever_the_schema(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Err(failure) = run(life(&bytes, Mistake::None, &mut BTreeSet::new())) {
            let schema = schema(&mut Choices::new(&bytes));
            return Err(TestCaseError::fail(format!("{failure}\n{}", outline(schema.root(), 1))));
        }
    }
}

/// Bytes that are the same on every run.
fn fixed_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..700).map(|_| next()).collect()
}

#[test]
fn the_property_sees_every_kind_of_change() {
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        run(life(&fixed_bytes(seed), Mistake::None, &mut seen)).unwrap();
    }
    let all = ["Create", "NoOp", "Replace", "Update"].map(str::to_owned);
    assert!(all.iter().all(|action| seen.contains(action)), "{seen:?}");
}

#[test]
fn the_property_catches_every_mistake() {
    for mistake in [
        Mistake::ForgetsName,
        Mistake::GuessesName,
        Mistake::PlansAtRandom,
        Mistake::ChangesName,
        Mistake::LeavesUnknown,
        Mistake::MakesNothing,
        Mistake::WrongType,
        Mistake::ChangesIdentity,
    ] {
        let caught = (0..60)
            .filter_map(|seed| run(life(&fixed_bytes(seed), mistake, &mut BTreeSet::new())).err())
            .count();
        assert!(caught > 0, "{mistake:?} went unnoticed");
    }
}
