use crate::support::{TestBerth, postgres};
use axum::http::Method;
use serde_json::{Value, json};

fn create(config: Value) -> Value {
    json!({"kind": "database", "config": config})
}

#[tokio::test]
async fn what_is_planned_is_what_is_answered() {
    let berth = TestBerth::start().await;
    let config = json!({"name": "orders", "engine": "postgresql", "expose": true, "pooler": {"mode": "session"}});
    let planned = berth.plan_one(&berth.admin, create(config.clone())).await;
    assert_eq!(planned["errors"], json!([]));
    assert_eq!(
        planned["unknown"],
        json!(["id", "public_port", "created_at"])
    );
    let made = berth.database(config).await;
    for (field, value) in planned["planned"].as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let change = json!({"plan": "large", "tls_mode": "require", "public_port": 15_002});
    let mut whole = json!({"name": "orders", "engine": "postgresql", "expose": true, "pooler": {"mode": "session"}});
    whole
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    let item = json!({"kind": "database", "id": made["id"], "config": whole});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(
        (&planned["errors"], &planned["unknown"]),
        (&json!([]), &json!([]))
    );
    let changed = berth
        .patch("/v1/databases/orders", change)
        .await
        .expect(200)["database"]
        .clone();
    for (field, value) in planned["planned"].as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_planned_project_is_what_is_answered() {
    let berth = TestBerth::start().await;
    let config = json!({"name": "shop", "description": "x", "tags": {"a": "b"}});
    let planned = berth
        .plan_one(&berth.admin, json!({"kind": "project", "config": config}))
        .await;
    assert_eq!(planned["unknown"], json!(["id", "created_at"]));
    let made = berth.post("/v1/projects", config).await.expect(201)["project"].clone();
    for (field, value) in planned["planned"].as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let item = json!({"kind": "project", "config": {"name": "shop"}, "unknown": ["description"]});
    assert_eq!(
        berth.plan_one(&berth.admin, item).await["errors"][0]["field"],
        "name"
    );
}

#[tokio::test]
async fn what_depends_on_an_unknown_is_unknown() {
    let berth = TestBerth::start().await;
    let item = json!({"kind": "database", "config": {"engine": "postgresql"}, "unknown": ["name", "pooler.mode", "project_id"]});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"], json!([]));
    let unknown: Vec<_> = planned["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect();
    for field in [
        "id",
        "name",
        "slug",
        "host",
        "pooler_host",
        "username",
        "database_name",
        "uri_template",
        "project_id",
        "pooler.mode",
        "region",
    ] {
        assert!(unknown.contains(&field), "{field} in {unknown:?}");
        assert_eq!(planned["planned"].get(field), None, "{field}");
    }
    assert_eq!(planned["planned"]["pooler"]["default_pool_size"], 20);
    assert_eq!(planned["planned"]["pooler"].get("mode"), None);
    assert_eq!(planned["planned"]["version"], "17");
    let item = json!({"kind": "database", "config": {"engine": "postgresql"}, "unknown": ["nme"]});
    assert_eq!(
        berth.plan_one(&berth.admin, item).await["errors"][0]["field"],
        "unknown"
    );
}

#[tokio::test]
async fn a_plan_writes_nothing() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let before = berth.store.version().await.unwrap();
    let made = berth.get("/v1/databases/orders").await.expect(200)["database"]["id"].clone();
    for item in [
        create(json!({"name": "bills", "engine": "postgresql", "expose": true})),
        json!({"kind": "database", "id": made, "config": {"name": "other", "engine": "postgresql"}}),
        json!({"kind": "database", "id": made, "destroy": true}),
        json!({"kind": "project", "config": {"name": "shop"}}),
    ] {
        berth.plan_one(&berth.admin, item).await;
    }
    assert_eq!(berth.store.version().await.unwrap(), before);
}

#[tokio::test]
async fn the_later_of_two_that_clash_is_refused() {
    let berth = TestBerth::start().await;
    let items: Vec<Value> = vec![
        create(
            json!({"name": "one", "engine": "postgresql", "plan": "large", "public_port": 15_001}),
        ),
        create(json!({"name": "one", "engine": "postgresql", "plan": "large"})),
        create(
            json!({"name": "two", "engine": "postgresql", "plan": "large", "public_port": 15_001}),
        ),
        create(json!({"name": "three", "engine": "postgresql", "plan": "large"})),
        create(json!({"name": "four", "engine": "postgresql", "plan": "large"})),
        create(json!({"name": "five", "engine": "postgresql", "plan": "large"})),
        create(json!({"name": "six", "engine": "postgresql"})),
        json!({"kind": "project", "config": {"name": "shop"}}),
        json!({"kind": "project", "config": {"name": "shop"}}),
        json!({"kind": "bucket", "config": {}}),
        json!({"kind": "database", "config": {"nam": 1}}),
    ];
    let answer = berth
        .post("/v1/plan", json!({"resources": items}))
        .await
        .expect(200);
    let errors: Vec<_> = answer["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            item["errors"][0]["field"]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        })
        .collect();
    assert_eq!(
        errors,
        [
            "-",
            "name",
            "public_port",
            "-",
            "-",
            "-",
            "plan",
            "-",
            "name",
            "kind",
            "nam"
        ]
    );
}

#[tokio::test]
async fn what_is_refused_takes_nothing_from_those_after_it() {
    let berth = TestBerth::start().await;
    let quota = json!({"name": "shop", "quota": {"databases": 1}});
    berth.post("/v1/projects", quota).await.expect(201);
    // The host carries one that is large, twice its memory being promised.
    berth
        .host
        .capacity
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .memory_mb = 2048;
    let wish = |name: &str, tls_mode: &str| {
        create(json!({
            "name": name, "project_id": "shop", "engine": "postgresql", "plan": "large",
            "expose": true, "public_port": 15_001, "tls_mode": tls_mode,
        }))
    };
    let items = [
        wish("wrong", "maybe"),
        wish("right", "allow"),
        wish("too-many", "allow"),
    ];
    let answer = berth.post("/v1/plan", json!({"resources": items})).await;
    let answer = answer.expect(200);
    let refused = |at: usize| {
        let errors = answer["resources"][at]["errors"].as_array().unwrap();
        let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
        fields.collect::<Vec<_>>()
    };
    assert_eq!(refused(0), ["tls_mode"]);
    assert_eq!(refused(1), [""; 0]);
    assert_eq!(refused(2), ["public_port", "plan", "project_id"]);
}

#[tokio::test]
async fn a_destroy_states_the_stakes() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.settle(id).await;
    let item = json!({"kind": "database", "id": id, "destroy": true});
    let planned = berth.plan_one(&berth.admin, item.clone()).await;
    assert_eq!(planned["planned"], json!(null));
    let note = planned["notes"][0]["message"].as_str().unwrap();
    for part in ["12.3 MB", "3 connections", "7 days", "restore_from", id] {
        assert!(note.contains(part), "{part} in {note}");
    }
    assert_eq!(planned["notes"][0]["severity"], "warning");
    berth
        .patch("/v1/databases/orders", json!({"deletion_protection": true}))
        .await
        .expect(200);
    let planned = berth.plan_one(&berth.admin, item.clone()).await;
    assert_eq!(planned["errors"][0]["field"], "deletion_protection");
    // What is gone already need not go.
    berth
        .patch(
            "/v1/databases/orders",
            json!({"deletion_protection": false}),
        )
        .await
        .expect(200);
    berth.delete("/v1/databases/orders").await.expect(200);
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(
        (&planned["errors"], &planned["notes"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn a_replacement_may_have_the_name_of_what_it_replaces() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql", "public_port": 15_000}))
        .await;
    let config = json!({"name": "orders", "engine": "postgresql", "public_port": 15_000});
    let planned = berth.plan_one(&berth.admin, create(config.clone())).await;
    assert_eq!(planned["errors"].as_array().unwrap().len(), 2);
    let item = json!({"kind": "database", "config": config, "replaces": made["id"]});
    assert_eq!(
        berth.plan_one(&berth.admin, item).await["errors"],
        json!([])
    );
}

#[tokio::test]
async fn a_restart_and_a_rotation_are_warned_of() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    berth.settle(made["id"].as_str().unwrap()).await;
    let config =
        json!({"name": "orders", "engine": "postgresql", "plan": "large", "credential_version": 2});
    let item = json!({"kind": "database", "id": made["id"], "config": config});
    let planned = berth.plan_one(&berth.admin, item).await;
    let warned: Vec<_> = planned["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["field"].as_str().unwrap())
        .collect();
    assert_eq!(warned, ["plan", "credential_version"]);
    assert!(
        planned["notes"][0]["message"]
            .as_str()
            .unwrap()
            .contains("3 connections")
    );
}

#[tokio::test]
async fn a_plan_token_plans_and_no_more() {
    let berth = TestBerth::start().await;
    let token = berth.token("plan", None).await;
    let item = create(json!({"name": "orders", "engine": "postgresql"}));
    assert_eq!(berth.plan_one(&token, item).await["errors"], json!([]));
    let reply = berth
        .call(
            &token,
            Method::POST,
            "/v1/databases",
            Some(postgres("orders")),
        )
        .await;
    assert_eq!(reply.line(), "403 scope_missing");
}

#[tokio::test]
async fn a_project_that_is_not_empty_warns_unless_all_of_it_goes() {
    let berth = TestBerth::start().await;
    berth
        .post(
            "/v1/projects",
            json!({"name": "shop", "on_destroy": "cascade"}),
        )
        .await
        .expect(201);
    let project = berth.get("/v1/projects/shop").await.expect(200)["project"]["id"].clone();
    let made = berth.database(json!({"name": "orders", "engine": "postgresql", "project_id": "shop", "deletion_protection": true})).await;
    let alone = berth
        .plan_one(
            &berth.admin,
            json!({"kind": "project", "id": project, "destroy": true}),
        )
        .await;
    assert!(
        alone["notes"][0]["message"]
            .as_str()
            .unwrap()
            .contains("orders")
    );
    assert_eq!(alone["errors"][0]["field"], "deletion_protection");
    let both = json!({"resources": [
        {"kind": "project", "id": project, "destroy": true},
        {"kind": "database", "id": made["id"], "destroy": true},
    ]});
    let both = berth.post("/v1/plan", both).await.expect(200);
    assert_eq!(both["resources"][0]["notes"], json!([]));
}

#[tokio::test]
async fn a_window_that_closes_and_a_port_that_is_not_open_are_told() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql"}))
        .await;
    let item = json!({
        "kind": "database", "id": made["id"],
        "config": {
            "name": "orders", "engine": "postgresql", "recovery_window_days": 0,
            "public_port": 15_001,
        },
    });
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["errors"], json!([]));
    let notes: Vec<_> = planned["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| (note["field"].as_str().unwrap(), &note["severity"]))
        .collect();
    assert_eq!(
        notes,
        [
            ("public_port", &json!("warning")),
            ("recovery_window_days", &json!("warning"))
        ]
    );
}

#[tokio::test]
async fn a_port_that_a_stranger_holds_is_told_at_plan() {
    let berth = TestBerth::start().await;
    berth.host.held_ports.lock().unwrap().push(15_001);
    let wish = |port: u16, expose: bool| {
        let config = json!({
            "name": "orders", "engine": "postgresql", "expose": expose, "public_port": port,
        });
        json!({"kind": "database", "config": config})
    };
    for (port, expose, is_told) in [
        (15_001, true, true),
        (15_001, false, false),
        (15_000, true, false),
    ] {
        let planned = berth.plan_one(&berth.admin, wish(port, expose)).await;
        assert_eq!(planned["errors"], json!([]));
        let told = planned["notes"]
            .to_string()
            .contains("15001 is in use on this host");
        assert_eq!(told, is_told, "{port} {expose}: {planned}");
    }
    // What it has itself is in nobody's way.
    let mut order = wish(15_000, true)["config"].clone();
    berth.host.held_ports.lock().unwrap().push(15_000);
    let made = berth.database(order.clone()).await;
    order["tags"] = json!({"a": "b"});
    let change = json!({"kind": "database", "id": made["id"], "config": order});
    let planned = berth.plan_one(&berth.admin, change).await;
    assert_eq!(planned["notes"], json!([]), "{planned}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_by_its_place_in_the_plan() {
    let berth = TestBerth::start().await;
    let well = json!({"kind": "project", "config": {"name": "shop"}});
    for (wrong, field) in [
        (
            json!({"kind": "database", "config": null}),
            "resources[1].config",
        ),
        (json!({"kind": "database", "conf": {}}), "resources[1].conf"),
        (json!({"kind": 1}), "resources[1].kind"),
        (json!({"config": {}}), "resources[1].kind"),
        (json!([]), "resources[1]"),
        (json!(null), "resources[1]"),
    ] {
        let body = json!({"resources": [well, wrong]});
        let reply = berth.post("/v1/plan", body).await;
        assert_eq!(
            reply.line(),
            format!("422 invalid_field [{field}]"),
            "{wrong}"
        );
    }
    for (body, field) in [
        (json!({"resources": {}}), "resources"),
        (json!({"resources": [], "more": 1}), "more"),
    ] {
        let reply = berth.post("/v1/plan", body).await;
        assert_eq!(reply.line(), format!("422 invalid_field [{field}]"));
    }
}
