//! What an edit of a database does.

use super::*;
use crate::fake::Fault;
use serde_json::json;

#[tokio::test]
async fn a_database_lives_and_dies() {
    let stage = Stage::start().await;
    let config = stage.database(&[("deletion_protection", false.into())]);
    let mut instance = stage.created(&config).await;
    let id = instance
        .state
        .as_ref()
        .unwrap()
        .string("id")
        .unwrap()
        .unwrap()
        .to_owned();
    assert!(
        stage
            .fake
            .change(|world| world.databases[&id]["claimed"] == json!(true))
    );
    stage.assert_settled(&mut instance, &config).await;

    let bigger = stage.database(&[
        ("deletion_protection", false.into()),
        ("storage_gb", 20.into()),
    ]);
    let plan = stage.host.apply(&mut instance, &bigger).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    assert_eq!(open(&plan), [""; 0]);
    stage.assert_settled(&mut instance, &bigger).await;

    for key in [id.as_str(), "orders", "proj_default/orders"] {
        let mut imported = stage
            .next_run()
            .await
            .host
            .import("berth_database", key)
            .await
            .unwrap();
        assert_eq!(imported.state, instance.state, "{key}");
        stage.assert_settled(&mut imported, &bigger).await;
    }

    let told = stage
        .next_run()
        .await
        .host
        .destroy(&mut instance)
        .await
        .unwrap();
    assert!(warnings(&told)[0].contains("41 GB"), "{told}");
    assert_eq!(instance.state, None);
}

#[tokio::test]
async fn a_plan_leaves_open_only_what_the_server_draws() {
    let stage = Stage::start().await;
    let plan = |config: Object| {
        let stage = &stage;
        async move {
            stage
                .host
                .plan(&stage.host.instance("berth_database"), &config)
                .await
                .unwrap()
        }
    };
    let least = plan(stage.database(&[])).await;
    assert_eq!(open(&least), ["created_at", "id"]);
    let planned = least.planned.unwrap();
    assert_eq!(planned.string("host").unwrap(), Some("berth-db-orders"));
    assert_eq!(planned.string("version").unwrap(), Some("17"));
    assert!(planned.is_null("password").unwrap());

    let exposed = plan(stage.database(&[("expose", true.into())])).await;
    assert_eq!(open(&exposed), ["created_at", "id", "public_port"]);
    let fixed = [("expose", true.into()), ("public_port", 15_007.into())];
    assert_eq!(
        open(&plan(stage.database(&fixed)).await),
        ["created_at", "id"]
    );
    let in_state = plan(stage.database(&[("expose_credentials_in_state", true.into())])).await;
    assert_eq!(
        open(&in_state),
        ["created_at", "id", "password", "pooled_uri", "uri"]
    );
}

#[tokio::test]
async fn more_knowledge_only_refines_a_plan() {
    let stage = Stage::start().await;
    let instance = stage.host.instance("berth_database");
    let pooler = |mode: Value| Value::object([("mode", mode)]);
    let open_config = stage.database(&[
        ("pooler", pooler(Value::unknown())),
        ("tags", Value::map([("team", Value::unknown())])),
    ]);
    let plan = stage.host.plan(&instance, &open_config).await.unwrap();
    let planned = plan.planned.as_ref().unwrap();
    let pooler_planned = planned.object("pooler").unwrap().unwrap();
    assert!(pooler_planned.is_unknown("mode").unwrap());
    assert_eq!(
        pooler_planned.integer("default_pool_size").unwrap(),
        Some(20)
    );

    let config = stage.database(&[
        ("pooler", pooler("session".into())),
        ("tags", Value::map([("team", "shop")])),
    ]);
    let mut instance = instance;
    stage
        .host
        .apply_plan(&mut instance, &plan, &config)
        .await
        .unwrap();
    stage.assert_settled(&mut instance, &config).await;
}

#[tokio::test]
async fn what_is_no_longer_configured_returns_to_its_default() {
    let stage = Stage::start().await;
    let pooler = Value::object([
        ("default_pool_size", Value::from(50)),
        ("mode", "session".into()),
    ]);
    let mut instance = stage.created(&stage.database(&[("pooler", pooler)])).await;

    let half = stage.database(&[("pooler", Value::object([("mode", "session")]))]);
    stage.host.apply(&mut instance, &half).await.unwrap();
    let pooler = instance
        .state
        .as_ref()
        .unwrap()
        .object("pooler")
        .unwrap()
        .unwrap()
        .clone();
    assert_eq!(pooler.integer("default_pool_size").unwrap(), Some(20));
    assert_eq!(pooler.string("mode").unwrap(), Some("session"));

    let none = stage.database(&[]);
    stage.host.apply(&mut instance, &none).await.unwrap();
    let pooler = instance
        .state
        .as_ref()
        .unwrap()
        .object("pooler")
        .unwrap()
        .unwrap()
        .clone();
    assert_eq!(pooler.string("mode").unwrap(), Some("transaction"));
    stage.assert_settled(&mut instance, &none).await;
}

/// The plan after an import may have no difference, of which a host keeps nothing.
#[tokio::test]
async fn what_was_imported_returns_to_its_default_like_what_was_configured() {
    let stage = Stage::start().await;
    let mode = |instance: &Instance| {
        let state = instance.state.as_ref().unwrap();
        let pooler = state.object("pooler").unwrap().unwrap();
        pooler.string("mode").unwrap().map(str::to_owned)
    };
    let session = Value::object([("mode", Value::from("session"))]);
    let given = stage.database(&[("pooler", session)]);
    let id = {
        let made = stage.created(&given).await;
        let state = made.state.as_ref().unwrap();
        state.string("id").unwrap().unwrap().to_owned()
    };
    let none = stage.database(&[]);
    for is_given in [true, false] {
        let run = stage.next_run().await;
        let mut instance = run.host.import("berth_database", &id).await.unwrap();
        run.host.refresh(&mut instance).await.unwrap();
        if is_given {
            let plan = run.host.apply(&mut instance, &given).await.unwrap();
            assert_eq!(plan.action, Action::NoOp, "{:?}", plan.planned);
        }
        assert_eq!(mode(&instance).as_deref(), Some("session"));
        let plan = run.host.apply(&mut instance, &none).await.unwrap();
        assert_eq!(plan.action, Action::Update);
        assert_eq!(mode(&instance).as_deref(), Some("transaction"));
        stage.assert_settled(&mut instance, &none).await;
        run.host.apply(&mut instance, &given).await.unwrap();
    }
    // Whoever may not plan imports it all the same, and what is not known to be given stays.
    let run = stage.next_run().await;
    let refusal = Fault::refusal("POST /v1/plan", 403, "scope_missing");
    run.fake.fail(refusal);
    let mut instance = run.host.import("berth_database", &id).await.unwrap();
    stage.assert_settled(&mut instance, &none).await;
    assert_eq!(mode(&instance).as_deref(), Some("session"));
}

#[tokio::test]
async fn what_was_never_configured_stays_as_others_set_it() {
    let stage = Stage::start().await;
    let config = stage.database(&[]);
    let mut instance = stage.created(&config).await;
    stage.fake.change(|world| {
        let row = world.databases.values_mut().next().unwrap();
        row["pooler"]["mode"] = json!("session");
        row["version"] = json!("16");
    });
    stage.assert_settled(&mut instance, &config).await;
}

#[tokio::test]
async fn a_port_that_is_not_published_any_more_is_kept_without_a_word() {
    let stage = Stage::start().await;
    let exposed = |expose: bool| stage.database(&[("expose", expose.into())]);
    let mut instance = stage.created(&exposed(true)).await;
    let port = |instance: &Instance| {
        let state = instance.state.as_ref().unwrap();
        state.integer("public_port").unwrap()
    };
    let drawn = port(&instance);
    assert!(drawn.is_some());
    for expose in [false, true, false] {
        let config = exposed(expose);
        let plan = stage.host.apply(&mut instance, &config).await.unwrap();
        // Nobody wrote a port, so nobody is warned of one.
        assert_eq!(warnings(&plan.diagnostics), [""; 0]);
        assert_eq!(open(&plan), [""; 0]);
        assert_eq!(port(&instance), drawn);
        stage.assert_settled(&mut instance, &config).await;
    }
}

#[tokio::test]
async fn a_port_that_may_still_change_is_open_until_the_apply() {
    let stage = Stage::start().await;
    let config = |status: &str| {
        stage.database(&[("expose", true.into()), ("desired_status", status.into())])
    };
    let mut instance = stage.created(&config("stopped")).await;
    stage.fake.change(|world| {
        let row = world.databases.values_mut().next().unwrap();
        row["conditions"] = json!([{"type": "PortMayChange", "status": "True", "reason": "NotPublishedYet", "message": "", "since": "t"}]);
    });
    stage
        .assert_settled(&mut instance, &config("stopped"))
        .await;
    let plan = stage.host.apply(&mut instance, &config("running")).await;
    assert_eq!(open(&plan.unwrap()), ["public_port"]);
    let state = instance.state.as_ref().unwrap();
    assert_eq!(state.integer("public_port").unwrap(), Some(15_002));
    stage
        .assert_settled(&mut instance, &config("running"))
        .await;
}

#[tokio::test]
async fn a_pooler_can_be_switched_off_and_on() {
    let stage = Stage::start().await;
    let off = stage.database(&[("pooler", Value::object([("enabled", false)]))]);
    let mut instance = stage.created(&off).await;
    stage.assert_settled(&mut instance, &off).await;
    let state = instance.state.as_ref().unwrap();
    assert!(state.is_null("pooler_host").unwrap());
    let pooler = state.object("pooler").unwrap().unwrap();
    assert_eq!(pooler.string("mode").unwrap(), Some("transaction"));
    let on = stage.database(&[("pooler", Value::object([("enabled", true)]))]);
    let plan = stage.host.apply(&mut instance, &on).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    stage.assert_settled(&mut instance, &on).await;
}

#[tokio::test]
async fn a_pooler_that_others_have_set_can_be_switched_off() {
    let stage = Stage::start().await;
    let mut instance = stage.created(&stage.database(&[])).await;
    stage.fake.change(|world| {
        let row = world.databases.values_mut().next().unwrap();
        row["pooler"]["mode"] = json!("session");
    });
    let run = stage.next_run().await;
    run.host.refresh(&mut instance).await.unwrap();
    let off = stage.database(&[("pooler", Value::object([("enabled", false)]))]);
    run.host.apply(&mut instance, &off).await.unwrap();
    run.assert_settled(&mut instance, &off).await;
}

#[tokio::test]
async fn a_change_carries_only_what_changes() {
    let stage = Stage::start().await;
    let tags = [("tags", Value::map([("a", "b")]))];
    let mut instance = stage.created(&stage.database(&tags)).await;
    let changes = [
        (vec![], "tags"),
        (vec![("storage_gb", 20.into())], "storage_gb"),
        (vec![("credential_version", 2.into())], "credential_version"),
        (vec![("expose", true.into())], "expose"),
        (vec![("tls_mode", "require".into())], "tls_mode expose"),
        (vec![("name", "orders-2".into())], "name tls_mode"),
    ];
    for (attributes, fields) in changes {
        let config = stage.database(&attributes);
        let plan = stage.host.apply(&mut instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Update);
        let mut carried = stage.fake.change(|world| world.patches.pop()).unwrap();
        let mut expected: Vec<&str> = fields.split(' ').collect();
        carried.sort();
        expected.sort();
        assert_eq!(carried, expected);
        stage.assert_settled(&mut instance, &config).await;
    }
}

#[tokio::test]
async fn protection_and_costs_are_told_at_plan() {
    let stage = Stage::start().await;
    let protected = stage.database(&[]);
    let mut instance = stage.created(&protected).await;
    let refused = told(stage.host.plan_destroy(&instance).await);
    assert!(refused.contains("protected"), "{refused}");

    let other = stage.config(
        "berth_database",
        &[("name", "orders".into()), ("engine", "mysql".into())],
    );
    let refused = told(stage.host.plan(&instance, &other).await);
    assert!(
        refused.starts_with("error at engine: Replacement refused"),
        "{refused}"
    );

    let free = stage.database(&[("deletion_protection", false.into())]);
    stage.host.apply(&mut instance, &free).await.unwrap();
    let undecided = stage.config(
        "berth_database",
        &[
            ("name", "orders".into()),
            ("engine", Value::unknown()),
            ("deletion_protection", false.into()),
        ],
    );
    stage.fake.requests();
    let refused = told(stage.host.plan(&instance, &undecided).await);
    assert!(
        refused.starts_with("error at engine: The engine must be known"),
        "{refused}"
    );
    assert!(refused.contains("runs postgresql"), "{refused}");
    assert_eq!(stage.fake.requests(), [""; 0]);
    let other = stage.config(
        "berth_database",
        &[
            ("name", "orders".into()),
            ("engine", "mysql".into()),
            ("deletion_protection", false.into()),
        ],
    );
    let plan = stage.host.plan(&instance, &other).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    assert!(warnings(&plan.diagnostics)[0].contains("41 GB"));
    stage
        .host
        .apply_plan(&mut instance, &plan, &other)
        .await
        .unwrap();
    assert_eq!(
        instance.state.unwrap().string("engine").unwrap(),
        Some("mysql")
    );
}

#[tokio::test]
async fn a_replacement_is_one_also_while_the_backend_is_not_known() {
    let stage = Stage::start().await;
    let attributes = |engine: &'static str, protected: bool| {
        [
            ("name", "orders".into()),
            ("engine", Value::from(engine)),
            ("deletion_protection", protected.into()),
        ]
    };
    let free = stage.config("berth_database", &attributes("postgresql", false));
    let mut instance = stage.created(&free).await;
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let blind = [("endpoint", Value::unknown())];
    host.configure(blind).await.unwrap();
    let other = stage.config("berth_database", &attributes("mysql", false));
    let plan = host.plan(&instance, &other).await.unwrap();
    assert_eq!(plan.action, Action::Replace);

    let kept = stage.config("berth_database", &attributes("postgresql", true));
    stage.host.apply(&mut instance, &kept).await.unwrap();
    let refused = told(host.plan(&instance, &other).await);
    assert!(refused.contains("Replacement refused"), "{refused}");
}

#[tokio::test]
async fn a_destroyed_database_comes_back_and_is_not_restored_twice() {
    let stage = Stage::start().await;
    let free = stage.database(&[("deletion_protection", false.into())]);
    let mut instance = stage.created(&free).await;
    let id = instance
        .state
        .as_ref()
        .unwrap()
        .string("id")
        .unwrap()
        .unwrap()
        .to_owned();
    let mut lost = instance.clone();
    stage.host.destroy(&mut instance).await.unwrap();

    let run = stage.next_run().await;
    let told_at_refresh = run.host.refresh(&mut lost).await.unwrap();
    assert_eq!(lost.state, None);
    assert!(warnings(&told_at_refresh)[0].contains(&format!("deleted_database_id = \"{id}\"")));
    let refused = told(run.host.import("berth_database", &id).await);
    assert!(refused.contains("restore_from = {"), "{refused}");

    let restore = Value::object([("deleted_database_id", id.as_str())]);
    let config = stage.config(
        "berth_database",
        &[("name", "orders".into()), ("restore_from", restore)],
    );
    stage.host.apply(&mut lost, &config).await.unwrap();
    assert_eq!(
        lost.state.as_ref().unwrap().string("id").unwrap(),
        Some(id.as_str())
    );
    stage.fake.requests();

    let edited = Value::object([("deleted_database_id", "db_other")]);
    let config = stage.config(
        "berth_database",
        &[("name", "orders".into()), ("restore_from", edited)],
    );
    let plan = stage.host.apply(&mut lost, &config).await.unwrap();
    assert!(warnings(&plan.diagnostics)[0].contains("no effect"));
    assert_eq!(
        stage.fake.change(|world| world.patches.pop()),
        Some(Vec::new()),
        "an edit of it changes nothing, and claims"
    );
    let removed = stage.database(&[]);
    stage.host.apply(&mut lost, &removed).await.unwrap();
    stage.assert_settled(&mut lost, &removed).await;
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_the_right_word() {
    let stage = Stage::start().await;
    let cases: [(&str, Value, &str); 10] = [
        (
            "engine",
            "postgres".into(),
            "Write \"postgresql\" for \"postgres\"",
        ),
        ("name", "Orders".into(), "\"orders\" would do"),
        ("allow_list", Value::set(["10.1.2.3/8"]), "\"10.0.0.0/8\""),
        ("tls_mode", "requires".into(), "Did you mean \"require\"?"),
        ("storage_gb", 0.into(), "from 1 to 16384"),
        ("recovery_window_days", 91.into(), "from 0 to 90"),
        ("project_id", "shop".into(), "begins with \"proj_\""),
        ("desired_status", "paused".into(), "running, stopped"),
        (
            "tags",
            Value::map([("team", Value::Null)]),
            "An element is null",
        ),
        ("host", "mine".into(), "host"),
    ];
    for (name, value, expected) in cases {
        let refused = told(
            stage
                .host
                .validate("berth_database", &stage.database(&[(name, value)]))
                .await,
        );
        assert!(
            refused.contains(expected) && refused.contains(&format!("error at {name}")),
            "{refused}"
        );
    }
    let nameless = stage.config("berth_database", &[("name", "orders".into())]);
    let refused = told(stage.host.validate("berth_database", &nameless).await);
    assert!(
        refused.contains("error at engine: Missing engine"),
        "{refused}"
    );
}
