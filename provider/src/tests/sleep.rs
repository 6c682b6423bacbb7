//! Sleep and quotas, as configurations say them.

use super::*;

fn quota(pairs: &[(&'static str, Value)]) -> Value {
    Value::object(pairs.iter().cloned())
}

#[tokio::test]
async fn a_projects_quota_and_patience_are_changed_and_taken_away_in_place() {
    let stage = Stage::start().await;
    let name = ("name", Value::from("shop"));
    let configs = [
        vec![name.clone(), ("quota", quota(&[("databases", 3.into())]))],
        vec![
            name.clone(),
            (
                "quota",
                quota(&[("databases", 3.into()), ("storage_gb", 50.into())]),
            ),
            ("sleep_after_minutes", 30.into()),
        ],
        vec![name.clone(), ("sleep_after_minutes", 60.into())],
        vec![name],
    ];
    let mut instance = stage.host.instance("berth_project");
    for attributes in configs {
        let config = stage.config("berth_project", &attributes);
        let plan = stage.host.plan(&instance, &config).await.unwrap();
        assert_ne!(plan.action, Action::Replace, "{attributes:?}");
        let planned = plan.planned.unwrap();
        stage.host.apply(&mut instance, &config).await.unwrap();
        for (attribute, value) in &attributes {
            let is = planned.get(attribute).unwrap();
            assert!(is.is_wholly_known(), "{attribute} = {value:?}: {is:?}");
        }
        stage.assert_settled(&mut instance, &config).await;
    }
}

#[tokio::test]
async fn what_falls_asleep_or_wakes_is_no_change_of_anybodys() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&stage.database(&[])).await;
    for (phase, warns) in [
        ("falling_asleep", false),
        ("waking", false),
        ("stopping", true),
    ] {
        stage.fake.change(|world| {
            let rows = world.databases.values_mut();
            rows.for_each(|row| _ = row.insert("phase".into(), phase.into()));
        });
        let run = stage.next_run().await;
        let told = run.host.refresh(&mut instance).await.unwrap();
        assert_eq!(warnings(&told).len(), usize::from(warns), "{phase}: {told}");
    }
    stage.fake.change(|world| {
        let rows = world.databases.values_mut();
        rows.for_each(|row| _ = row.insert("stop_reason".into(), "sleep".into()));
    });
    let found = stage
        .host
        .read_data("berth_database", [("name", "orders".into())])
        .await;
    assert_eq!(found.unwrap().string("stop_reason"), Ok(Some("sleep")));
}

#[tokio::test]
async fn what_is_no_patience_and_no_quota_is_refused_without_asking_anybody() {
    let stage = Stage::start().await;
    let wrong = [
        ("sleep_after_minutes", Value::from(0)),
        ("sleep_after_minutes", 43_201.into()),
        ("quota", quota(&[("databases", (-1).into())])),
    ];
    for (attribute, value) in wrong {
        let attributes = [("name", Value::from("shop")), (attribute, value.clone())];
        let config = stage.config("berth_project", &attributes);
        let instance = stage.host.instance("berth_project");
        let said = told(stage.host.plan(&instance, &config).await);
        assert!(said.contains(attribute), "{value:?}: {said}");
    }
    assert_eq!(stage.fake.requests(), [""; 0]);
}
