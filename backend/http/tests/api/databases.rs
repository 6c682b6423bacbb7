use crate::support::{TestBerth, password_of, postgres};
use serde_json::{Value, json};

#[tokio::test]
async fn a_database_is_ordered_with_defaults_and_read_by_id_and_name() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    assert_eq!(made["status"], "provisioning");
    assert_eq!(made["project_id"], "proj_default");
    assert_eq!(made["version"], "17");
    assert_eq!(made["plan"], "small");
    assert_eq!(made["region"], "local");
    assert_eq!(made["storage_gb"], 10);
    assert_eq!(made["username"], "app_orders");
    assert_eq!(made["host"], "berth-db-orders");
    assert_eq!(made["pooler_host"], "berth-pgbouncer-orders");
    assert_eq!(made["pooler"]["mode"], "transaction");
    assert_eq!(made["claimed"], true);
    let id = made["id"].as_str().unwrap();
    for reference in [id, "orders"] {
        let read = berth
            .get(&format!("/v1/databases/{reference}"))
            .await
            .expect(200);
        assert_eq!(read["database"], made);
    }
    let operation = made["operation_id"].as_str().unwrap();
    let operation = berth
        .get(&format!("/v1/operations/{operation}"))
        .await
        .expect(200);
    assert_eq!(
        (&operation["kind"], &operation["state"]),
        (&json!("provision"), &json!("pending"))
    );
}

#[tokio::test]
async fn the_status_is_what_was_seen() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    berth.settle(made["id"].as_str().unwrap()).await;
    let read = berth.get("/v1/databases/orders").await.expect(200);
    assert_eq!(read["database"]["status"], "running");
    assert_eq!(read["database"]["version_actual"], "17.2");
}

#[tokio::test]
async fn a_taken_name_is_refused_with_the_import_command() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let reply = berth.post("/v1/databases", postgres("orders")).await;
    assert_eq!(reply.line(), "409 name_taken [name]");
    let id = made["id"].as_str().unwrap();
    assert!(
        reply
            .text
            .contains(&format!("terraform import berth_database.NAME {id}")),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_slug_stays_when_its_database_is_renamed() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let path = format!("/v1/databases/{}", made["id"].as_str().unwrap());
    let renamed = berth
        .patch(&path, json!({"name": "bills"}))
        .await
        .expect(200);
    assert_eq!(renamed["database"]["name"], "bills");
    assert_eq!(renamed["database"]["host"], "berth-db-orders");
    let reply = berth.post("/v1/databases", postgres("orders")).await;
    assert_eq!(reply.line(), "409 slug_taken [name]");
}

#[tokio::test]
async fn a_database_without_a_name_is_named_after_its_project() {
    let berth = TestBerth::start().await;
    for name in ["default", "default-2", "default-3"] {
        assert_eq!(
            berth.database(json!({"engine": "postgresql"})).await["name"],
            name
        );
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "Orders", "engine": "postgresql", "plan": "smal", "region": "mars"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [name, plan, region]");
    assert!(
        reply.text.contains("did you mean \\\"small\\\"?"),
        "{}",
        reply.text
    );
    let body = json!({"name": "orders", "engine": "postgresql", "sizee": 1, "storage_gb": "ten"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [sizee, storage_gb]");
    let body = json!({"name": "orders", "engine": "postgresql", "pooler": {"mod": "session"}});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [pooler.mod]");
}

#[tokio::test]
async fn other_words_for_a_field_are_understood_unless_they_disagree() {
    let berth = TestBerth::start().await;
    let body = json!({"database": {"name": "my-postgres-db", "technology": "postgresql-ng", "plan_id": "large"}});
    let made = berth.post("/v1/databases", body).await.expect(201);
    assert_eq!(made["database"]["engine"], "postgresql");
    assert_eq!(made["database"]["technology"], "postgresql-ng");
    assert_eq!(made["database"]["plan"], "large");
    let body = json!({"projectId": "proj_default", "engine": "postgres", "name": "other"});
    assert_eq!(berth.database(body).await["technology"], "postgres");
    let body = json!({"name": "third", "engine": "postgresql", "db_type": "mysql"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [db_type]");
}

#[tokio::test]
async fn a_version_that_cannot_be_had_is_refused_with_the_reason() {
    let berth = TestBerth::start().await;
    berth.host.missing.lock().unwrap().push("18".to_owned());
    let body = json!({"name": "orders", "engine": "postgresql", "version": "18"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [version]");
    assert!(reply.text.contains("berthd images build"));
    let body = json!({"name": "orders", "engine": "postgresql", "version": "9"});
    let reply = berth.post("/v1/databases", body).await;
    assert!(
        reply.text.contains("use one of 15, 16, 17, 18"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_change_touches_only_what_it_names() {
    let berth = TestBerth::start().await;
    let changes = [
        json!({"name": "bills"}),
        json!({"plan": "large"}),
        json!({"storage_gb": 20}),
        json!({"desired_status": "stopped"}),
        json!({"pooler": {"mode": "session"}}),
        json!({"pooler": {"enabled": false}}),
        json!({"credential_version": 2}),
        json!({"expose": true}),
        json!({"allow_list": ["10.0.0.0/8"]}),
        json!({"tls_mode": "require"}),
        json!({"deletion_protection": true}),
        json!({"recovery_window_days": 9}),
        json!({"tags": {"team": "a"}}),
    ];
    let follows = |field: &str| -> &[&str] {
        match field {
            "expose" => &["public_host", "public_port", "conditions"],
            "tls_mode" => &["uri_template"],
            "pooler" => &["pooler_host", "pooler_port", "uri_template"],
            _ => &[],
        }
    };
    for (number, change) in changes.iter().enumerate() {
        let mut before = berth.database(postgres(&format!("db-{number}"))).await;
        let path = format!("/v1/databases/{}", before["id"].as_str().unwrap());
        let mut after = berth.patch(&path, change.clone()).await.expect(200)["database"].clone();
        let field = change.as_object().unwrap().keys().next().unwrap().clone();
        assert_ne!(before[&field], after[&field], "{field}");
        let volatile = [
            "operation_id",
            "updated_at",
            "status",
            "phase",
            "stop_reason",
        ];
        for gone in volatile
            .iter()
            .chain(follows(&field))
            .chain([&field.as_str()])
        {
            before.as_object_mut().unwrap().remove(*gone);
            after.as_object_mut().unwrap().remove(*gone);
        }
        assert_eq!(before, after, "{change}");
        // The same change again is none.
        let version = berth.store.version().await.unwrap();
        berth.patch(&path, change.clone()).await.expect(200);
        assert_eq!(berth.store.version().await.unwrap(), version, "{change}");
    }
}

#[tokio::test]
async fn a_change_says_what_is_to_be_done() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/databases/{id}");
    let mut last = made["operation_id"].clone();
    for (change, kind) in [
        (json!({"tags": {"a": "b"}}), None),
        (json!({"plan": "large"}), Some("change")),
        (
            json!({"credential_version": 2, "plan": "small"}),
            Some("rotate"),
        ),
        (json!({"desired_status": "stopped"}), Some("change")),
    ] {
        berth.settle(&id).await;
        let after = berth.patch(&path, change.clone()).await.expect(200)["database"].clone();
        match kind {
            None => assert_eq!(after["operation_id"], last, "{change}"),
            Some(kind) => {
                assert_ne!(after["operation_id"], last, "{change}");
                last = after["operation_id"].clone();
                let operation = berth
                    .get(&format!("/v1/operations/{}", last.as_str().unwrap()))
                    .await;
                assert_eq!(operation.expect(200)["kind"], kind, "{change}");
            }
        }
    }
}

#[tokio::test]
async fn a_change_names_the_operation_that_it_ordered_and_no_other() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/databases/{id}");
    let tagged = async |value: &str| {
        let body = json!({"tags": {"team": value}});
        berth.patch(&path, body).await.expect(200)
    };
    // Somebody else's work is under way, and then it has failed.
    let under_way = tagged("a").await;
    assert_eq!(under_way["ordered_operation_id"], Value::Null);
    assert_eq!(under_way["database"]["operation_id"], made["operation_id"]);
    berth.fail(id, "the image cannot be pulled").await;
    let failed = tagged("b").await;
    assert_eq!(failed["ordered_operation_id"], Value::Null);
    let last = failed["database"]["operation_id"].as_str().unwrap();
    let last = berth.get(&format!("/v1/operations/{last}")).await;
    assert_eq!(last.expect(200)["state"], "failed");

    let larger = json!({"plan": "large"});
    let changed = berth.patch(&path, larger.clone()).await.expect(200);
    let ordered = &changed["ordered_operation_id"];
    assert!(ordered.as_str().unwrap().starts_with("op_"), "{changed}");
    assert_eq!(*ordered, changed["database"]["operation_id"]);
    let again = berth.patch(&path, larger).await.expect(200);
    assert_eq!(again["ordered_operation_id"], Value::Null);
    assert_eq!(again["database"]["operation_id"], *ordered);

    berth.settle(id).await;
    for (act, orders) in [("start", false), ("restart", true), ("stop", true)] {
        let acted = berth.post(&format!("{path}/{act}"), json!({})).await;
        let acted = acted.expect(202);
        let ordered = &acted["ordered_operation_id"];
        assert_eq!(ordered.is_string(), orders, "{act}: {ordered}");
    }
}

#[tokio::test]
async fn a_change_of_a_database_that_is_still_made_goes_on_making_it() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let after = berth
        .patch("/v1/databases/orders", json!({"plan": "large"}))
        .await
        .expect(200);
    let first = made["operation_id"].as_str().unwrap();
    let first = berth
        .get(&format!("/v1/operations/{first}"))
        .await
        .expect(200);
    assert_eq!(first["state"], "superseded");
    let second = after["database"]["operation_id"].as_str().unwrap();
    let second = berth
        .get(&format!("/v1/operations/{second}"))
        .await
        .expect(200);
    assert_eq!(second["kind"], "provision");
    let history = berth
        .get("/v1/databases/orders/operations")
        .await
        .expect(200);
    assert_eq!(history["operations"].as_array().unwrap().len(), 2);
    assert_eq!(history["operations"][0]["id"], second["id"]);
}

#[tokio::test]
async fn start_stop_restart_and_rotate_are_orders() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.settle(id).await;
    let act = async |act: &str| {
        berth
            .post(&format!("/v1/databases/{id}/{act}"), json!({}))
            .await
    };
    assert_eq!(
        act("stop").await.expect(202)["database"]["desired_status"],
        "stopped"
    );
    assert_eq!(act("restart").await.line(), "409 database_not_running");
    assert_eq!(
        act("start").await.expect(202)["database"]["desired_status"],
        "running"
    );
    berth.settle(id).await;
    let restarted = act("restart").await.expect(202);
    let operation = restarted["database"]["operation_id"].as_str().unwrap();
    let operation = berth
        .get(&format!("/v1/operations/{operation}"))
        .await
        .expect(200);
    assert_eq!(operation["kind"], "restart");
    assert_eq!(
        act("rotate").await.expect(202)["database"]["credential_version"],
        2
    );
    // While a new password is on its way, the old one is told.
    let credentials = berth
        .get(&format!("/v1/databases/{id}/credentials"))
        .await
        .expect(200);
    assert_eq!(credentials["credential_version"], 1);
}

#[tokio::test]
async fn public_ports_are_given_for_life_and_end() {
    let berth = TestBerth::start().await;
    // This installation begins with the second of the three.
    for (name, port) in [("one", 15_001), ("two", 15_002)] {
        let made = berth
            .database(json!({"name": name, "engine": "postgresql", "expose": true}))
            .await;
        assert_eq!(
            (&made["public_port"], &made["public_host"]),
            (&json!(port), &json!("127.0.0.1"))
        );
        assert_eq!(made["conditions"][0]["type"], "PortMayChange", "{made}");
    }
    let hidden = berth
        .patch("/v1/databases/one", json!({"expose": false}))
        .await
        .expect(200);
    assert_eq!(hidden["database"]["public_host"], json!(null));
    let taken = json!({"name": "three", "engine": "postgresql", "public_port": 15_001});
    assert_eq!(
        berth.post("/v1/databases", taken).await.line(),
        "409 port_taken [public_port]"
    );
    let shown = berth
        .patch("/v1/databases/one", json!({"expose": true}))
        .await
        .expect(200);
    assert_eq!(shown["database"]["public_port"], 15_001);
    let third = berth
        .database(json!({"name": "three", "engine": "postgresql", "expose": true}))
        .await;
    assert_eq!(third["public_port"], 15_000);
    let reply = berth
        .post(
            "/v1/databases",
            json!({"name": "four", "engine": "postgresql", "expose": true}),
        )
        .await;
    assert_eq!(reply.line(), "409 ports_exhausted [expose]");
}

#[tokio::test]
async fn beyond_loopback_exposing_needs_an_allow_list() {
    let berth = TestBerth::start_with(berth_http::Config::default(), "192.0.2.7").await;
    let body = json!({"name": "orders", "engine": "postgresql", "expose": true});
    assert_eq!(
        berth.post("/v1/databases", body).await.line(),
        "422 invalid_field [allow_list]"
    );
    let body = json!({"name": "orders", "engine": "postgresql", "expose": true, "allow_list": ["10.1.2.3/8"]});
    let reply = berth.post("/v1/databases", body).await;
    assert!(
        reply.text.contains("write \\\"10.0.0.0/8\\\""),
        "{}",
        reply.text
    );
    let body = json!({"name": "orders", "engine": "postgresql", "expose": true, "allow_list": ["10.0.0.0/8"]});
    assert_eq!(berth.database(body).await["public_host"], "192.0.2.7");
}

#[tokio::test]
async fn credentials_are_the_only_answer_with_a_password() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql", "expose": true}))
        .await;
    let id = made["id"].as_str().unwrap();
    let password = password_of(&berth, id).await;
    let path = format!("/v1/databases/{id}/credentials");
    let public = berth.get(&path).await;
    assert_eq!(public.header("cache-control"), "no-store");
    let public = public.expect(200);
    assert_eq!(public["password"], password.reveal());
    assert_eq!(
        (&public["network"], &public["port"]),
        (&json!("public"), &made["public_port"])
    );
    assert_eq!(public["ssl_mode"], "require");
    let project = berth
        .get(&format!("{path}?network=project"))
        .await
        .expect(200);
    let uri = format!(
        "postgresql://app_orders:{}@berth-pgbouncer-orders:5432/orders?sslmode=disable",
        password.reveal()
    );
    assert_eq!(project["pooled_uri"], uri);
    assert_eq!(project["connection_string"], uri);
    for path in [
        "/v1/databases",
        "/v1/databases/orders",
        "/v1/snapshot?kind=database",
        "/v1/events",
        "/metrics",
    ] {
        assert!(
            !berth.get(path).await.text.contains(password.reveal()),
            "{path}"
        );
    }
    let events = berth.get("/v1/events?page_size=100").await.expect(200);
    let reads = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["kind"] == "credentials.read");
    assert_eq!(reads.count(), 2);
}

#[tokio::test]
async fn a_plan_token_gets_inert_credentials_of_the_right_form() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let plan = berth.token("plan", None).await;
    let reply = berth
        .call(
            &plan,
            axum::http::Method::GET,
            "/v1/databases/orders/credentials",
            None,
        )
        .await;
    let inert = reply.expect(200);
    assert_eq!(
        (&inert["inert"], &inert["password"]),
        (&json!(true), &json!("0".repeat(32)))
    );
    assert_eq!(inert["username"], "app_orders");
    let events = berth.get("/v1/events?page_size=100").await.text;
    assert!(!events.contains("credentials.read"));
    let reply = berth
        .get("/v1/databases/orders/credentials?network=public")
        .await;
    assert_eq!(reply.line(), "422 invalid_field [network]");
}

#[tokio::test]
async fn names_are_looked_up_in_all_projects_and_may_be_ambiguous() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    berth.database(postgres("orders")).await;
    berth
        .database(json!({"name": "orders", "engine": "postgresql", "project_id": "shop"}))
        .await;
    let reply = berth.get("/v1/databases/orders").await;
    assert_eq!(reply.line(), "409 name_ambiguous [id, id]");
    let narrowed = berth
        .get("/v1/databases/orders?project_id=shop")
        .await
        .expect(200);
    assert_ne!(narrowed["database"]["project_id"], "proj_default");
    assert_eq!(
        berth.get("/v1/databases/nothing").await.line(),
        "404 database_not_found"
    );
    assert_eq!(
        berth.get("/v1/databases/db_ffff").await.line(),
        "404 database_not_found"
    );
    assert_eq!(
        berth.get("/v1/databases/nothing").await.body["error"],
        "Database not found"
    );
}

#[tokio::test]
async fn lists_are_paged_and_narrowed() {
    let berth = TestBerth::start().await;
    for number in 0..5 {
        berth.database(postgres(&format!("db-{number}"))).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/databases?page_size=2".to_owned();
    for _ in 0..3 {
        let page = berth.get(&path).await.expect(200);
        seen.extend(
            page["databases"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| d["name"].as_str().unwrap().to_owned()),
        );
        match page["next_page_token"].as_str() {
            Some(token) => path = format!("/v1/databases?page_size=2&page_token={token}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["db-0", "db-1", "db-2", "db-3", "db-4"]);
    let named = berth.get("/v1/databases?name=db-3").await.expect(200);
    assert_eq!(named["databases"].as_array().unwrap().len(), 1);
    let none = berth.get("/v1/databases?project_id=nothing").await;
    assert_eq!(none.line(), "404 project_not_found");
    assert_eq!(
        berth.get("/v1/databases?page_size=0").await.line(),
        "422 invalid_field [page_size]"
    );
    assert_eq!(
        berth.get("/v1/databases?page_token=x").await.line(),
        "422 invalid_field [page_token]"
    );
    assert_eq!(
        berth.get("/v1/databases?pagesize=1").await.line(),
        "400 invalid_request"
    );
}

#[tokio::test]
async fn the_host_is_not_promised_more_memory_than_it_has_times_the_overcommit() {
    let berth = TestBerth::start().await;
    for number in 0..4 {
        berth
            .database(
                json!({"name": format!("db-{number}"), "engine": "postgresql", "plan": "large"}),
            )
            .await;
    }
    let reply = berth.post("/v1/databases", postgres("more")).await;
    assert_eq!(reply.line(), "409 capacity_exceeded [plan]");
    let server = berth.get("/v1/server").await.expect(200);
    assert_eq!(server["capacity"]["memory_mb_promised"], 16_384);
    berth
        .patch("/v1/databases/db-0", json!({"tags": {"a": "b"}}))
        .await
        .expect(200);
    berth
        .patch("/v1/databases/db-0", json!({"plan": "small"}))
        .await
        .expect(200);
    berth.database(postgres("more")).await;
}
