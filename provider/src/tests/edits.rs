//! Whatever is edited, in whatever order: the plan is kept, and the next one is empty.

use super::*;
use proptest::prelude::*;

const ENGINE: &str = "engine";

/// What one attribute may be set to; nothing stands for leaving it out.
fn choices() -> Vec<(&'static str, Vec<Value>)> {
    let pooler = |pairs: &[(&'static str, Value)]| Value::object(pairs.iter().cloned());
    let tags = |pairs: &[(&'static str, &'static str)]| Value::map(pairs.iter().copied());
    vec![
        (ENGINE, vec!["postgresql".into(), "mysql".into()]),
        ("version", vec!["16".into(), "17".into()]),
        ("storage_gb", vec![20.into(), 30.into()]),
        ("desired_status", vec!["stopped".into()]),
        ("credential_version", vec![2.into(), 3.into()]),
        ("expose", vec![true.into(), false.into()]),
        ("tls_mode", vec!["require".into()]),
        ("deletion_protection", vec![false.into()]),
        ("recovery_window_days", vec![0.into()]),
        ("sleep_after_minutes", vec![5.into(), 60.into()]),
        ("expose_credentials_in_state", vec![true.into()]),
        (
            "tags",
            vec![
                tags(&[]),
                tags(&[("a", "b")]),
                tags(&[("a", "c"), ("d", "")]),
            ],
        ),
        (
            "inject_env",
            vec![
                tags(&[]),
                tags(&[("DATABASE_URL", "PG_URL")]),
                tags(&[("DATABASE_URL", "DB"), ("DIRECT_URL", "DIRECT")]),
            ],
        ),
        ("allow_list", vec![Value::set(["10.0.0.0/8"])]),
        (
            "pooler",
            vec![
                pooler(&[]),
                pooler(&[("mode", "session".into())]),
                pooler(&[
                    ("default_pool_size", 40.into()),
                    ("reserve_pool_size", 5.into()),
                ]),
                pooler(&[("parameters", tags(&[("log_stats", "0")]))]),
                pooler(&[("parameters", tags(&[]))]),
                pooler(&[("enabled", false.into())]),
            ],
        ),
    ]
}

/// For each attribute which choice is taken, and whether its value is unknown at plan.
type Edit = Vec<(Option<prop::sample::Index>, bool)>;

fn edit() -> impl Strategy<Value = Edit> {
    let one = (
        any::<Option<prop::sample::Index>>(),
        prop::bool::weighted(0.15),
    );
    prop::collection::vec(one, choices().len())
}

fn config(stage: &Stage, edit: &Edit, known: bool) -> Object {
    let chosen = choices()
        .into_iter()
        .zip(edit)
        .filter_map(|((name, values), (at, open))| {
            let value = values[at.as_ref()?.index(values.len())].clone();
            Some((name, value, *open && !known))
        });
    let mut chosen: Vec<_> = chosen.collect();
    // Only one of the engines has a pooler to speak of.
    if chosen.iter().any(|(_, value, _)| *value == "mysql".into()) {
        chosen.retain(|(name, ..)| *name != "pooler");
    }
    let attributes = chosen.into_iter().map(|(name, value, open)| match open {
        true => (name, Value::unknown()),
        false => (name, value),
    });
    stage.database(&attributes.collect::<Vec<_>>())
}

/// What an edit of the engine comes to.
#[derive(Debug, PartialEq)]
enum Fate {
    InPlace,
    Anew,
    Refused(&'static str),
}

fn fate(state: Option<&Object>, config: &Object) -> Fate {
    let engine = config.get(ENGINE).unwrap();
    match state {
        None => Fate::InPlace,
        Some(_) if engine.is_unknown() => Fate::Refused("The engine must be known"),
        Some(state) if engine == state.get(ENGINE).unwrap() => Fate::InPlace,
        Some(state) if state.boolean("deletion_protection") == Ok(Some(true)) => {
            Fate::Refused("Replacement refused")
        }
        Some(_) => Fate::Anew,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_edits_converge(edits in prop::collection::vec(edit(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::start().await;
            let mut instance = stage.host.instance("berth_database");
            for edit in &edits {
                let wish = config(&stage, edit, false);
                let fate = fate(instance.state.as_ref(), &wish);
                let planned = stage.host.plan(&instance, &wish).await;
                if let Fate::Refused(reason) = fate {
                    let refused = told(planned);
                    prop_assert!(refused.contains(reason), "{}", refused);
                    continue;
                }
                let plan = planned.unwrap();
                prop_assert_eq!(plan.action == Action::Replace, fate == Fate::Anew);
                let known = config(&stage, edit, true);
                stage.host.apply_plan(&mut instance, &plan, &known).await.unwrap();
                stage.assert_settled(&mut instance, &known).await;
            }
            Ok(())
        })?;
    }
}
