//! How often the backend is asked.

use super::*;
use serde_json::json;

async fn projects(stage: &Stage, count: usize) -> Vec<(Instance, Object)> {
    let mut all = Vec::new();
    for index in 0..count {
        let name = Value::from(format!("project-{index}"));
        let config = stage.config("berth_project", &[("name", name)]);
        let mut instance = stage.host.instance("berth_project");
        stage.host.apply(&mut instance, &config).await.unwrap();
        all.push((instance, config));
    }
    all
}

#[tokio::test]
async fn a_thousand_resources_refresh_in_two_requests() {
    let stage = Stage::start().await;
    let all = projects(&stage, 1).await;
    let (instance, _) = &all[0];
    let mut many = Vec::new();
    stage.fake.change(|world| {
        let row = world.projects.values().next().unwrap().clone();
        for index in 0..1_000 {
            let id = format!("proj_many{index}");
            let mut copy = row.clone();
            copy.insert("id".into(), json!(id));
            copy.insert("name".into(), json!(format!("many-{index}")));
            world.projects.insert(id.clone(), copy);
            let mut state = instance.state.clone().unwrap();
            state.set("id", id).unwrap();
            state.set("name", format!("many-{index}")).unwrap();
            many.push(Instance {
                state: Some(state),
                ..instance.clone()
            });
        }
    });
    let run = stage.next_run().await;
    run.fake.requests();
    for instance in &mut many {
        run.host.refresh(instance).await.unwrap();
        let name = instance
            .state
            .as_ref()
            .unwrap()
            .get("name")
            .unwrap()
            .clone();
        let config = run.config("berth_project", &[("name", name)]);
        assert_eq!(
            run.host.plan(instance, &config).await.unwrap().action,
            Action::NoOp
        );
    }
    assert_eq!(
        run.fake.requests(),
        ["GET /v1/version", "GET /v1/snapshot?kind=project"]
    );
}

#[tokio::test]
async fn plans_of_one_moment_are_one_request() {
    let stage = Stage::start().await;
    let configs: Vec<Object> = (0..8)
        .map(|index| {
            stage.config(
                "berth_project",
                &[("name", Value::from(format!("p-{index}")))],
            )
        })
        .collect();
    let instance = stage.host.instance("berth_project");
    stage.host.plan(&instance, &configs[0]).await.unwrap();
    stage.fake.requests();
    let (host, instance) = (&stage.host, &instance);
    let plan = |at: usize| host.plan(instance, &configs[at]);
    let (a, b, c, d) = tokio::join!(plan(0), plan(1), plan(2), plan(3));
    for plan in [a, b, c, d] {
        let planned = plan.unwrap().planned.unwrap();
        let (name, slug) = (
            planned.string("name").unwrap(),
            planned.string("slug").unwrap(),
        );
        assert_eq!(name, slug, "each gets its own answer");
    }
    assert_eq!(stage.fake.requests(), ["POST /v1/plan"]);
}

#[tokio::test]
async fn one_run_sees_one_version_and_the_next_run_sees_changes() {
    let stage = Stage::start().await;
    let (mut instance, _) = projects(&stage, 1).await.remove(0);
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    stage.fake.change(|world| {
        world.projects.values_mut().next().unwrap()["description"] = json!("changed");
    });
    run.host.refresh(&mut instance).await.unwrap();
    assert!(
        instance
            .state
            .as_ref()
            .unwrap()
            .is_null("description")
            .unwrap()
    );
    stage
        .next_run()
        .await
        .host
        .refresh(&mut instance)
        .await
        .unwrap();
    let description = instance
        .state
        .as_ref()
        .unwrap()
        .string("description")
        .unwrap();
    assert_eq!(description, Some("changed"));
}

#[tokio::test]
async fn a_change_of_its_own_is_seen_in_the_same_run() {
    let stage = Stage::start().await;
    let (mut instance, _) = projects(&stage, 1).await.remove(0);
    stage.host.refresh(&mut instance).await.unwrap();
    let described = [
        ("name", Value::from("project-0")),
        ("description", "new".into()),
    ];
    let config = stage.config("berth_project", &described);
    stage.host.apply(&mut instance, &config).await.unwrap();
    stage.host.refresh(&mut instance).await.unwrap();
    let description = instance
        .state
        .as_ref()
        .unwrap()
        .string("description")
        .unwrap();
    assert_eq!(description, Some("new"));
}

#[tokio::test]
async fn databases_are_fetched_for_one_project_and_then_for_all() {
    let stage = Stage::start().await;
    let mut instances = Vec::new();
    for (name, project) in [
        ("a-one", "proj_a"),
        ("a-two", "proj_a"),
        ("b-one", "proj_b"),
        ("c-one", "proj_c"),
    ] {
        let config = stage.config(
            "berth_database",
            &[
                ("name", name.into()),
                ("engine", "postgresql".into()),
                ("project_id", project.into()),
            ],
        );
        instances.push(stage.created(&config).await);
    }
    let run = stage.next_run().await;
    run.fake.requests();
    for instance in &mut instances {
        run.host.refresh(instance).await.unwrap();
    }
    assert_eq!(
        run.fake.requests(),
        [
            "GET /v1/version",
            "GET /v1/snapshot?kind=database&project_id=proj_a",
            "GET /v1/snapshot?kind=database",
        ]
    );
}

#[tokio::test]
async fn what_is_gone_leaves_the_state() {
    let stage = Stage::start().await;
    let (mut instance, config) = projects(&stage, 1).await.remove(0);
    stage.fake.change(|world| world.projects.clear());
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    assert_eq!(instance.state, None);
    assert_eq!(
        run.host.plan(&instance, &config).await.unwrap().action,
        Action::Create
    );
}

#[tokio::test]
async fn a_view_of_many_pages_is_read_to_its_end() {
    let stage = Stage::start().await;
    let mut all = projects(&stage, 5).await;
    stage.fake.change(|world| world.page_size = 2);
    let run = stage.next_run().await;
    run.fake.requests();
    for (instance, _) in &mut all {
        run.host.refresh(instance).await.unwrap();
        assert!(instance.state.is_some());
    }
    assert_eq!(run.fake.count("GET /v1/snapshot"), 3);
}
