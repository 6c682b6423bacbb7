use crate::support::{TestBerth, password_of, postgres};
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn a_protected_database_stays() {
    let berth = TestBerth::start().await;
    berth
        .database(json!({"name": "orders", "engine": "postgresql", "deletion_protection": true}))
        .await;
    assert_eq!(
        berth.delete("/v1/databases/orders").await.line(),
        "409 protected [deletion_protection]"
    );
    let apply = berth.token("apply", None).await;
    let off = json!({"deletion_protection": false});
    let reply = berth
        .call(
            &apply,
            Method::PATCH,
            "/v1/databases/orders",
            Some(off.clone()),
        )
        .await;
    assert_eq!(reply.line(), "403 scope_missing [deletion_protection]");
    berth.patch("/v1/databases/orders", off).await.expect(200);
    berth.delete("/v1/databases/orders").await.expect(200);
}

#[tokio::test]
async fn a_destroyed_database_is_absent_but_by_its_id() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.delete("/v1/databases/orders").await.expect(200);
    assert_eq!(
        berth.get("/v1/databases/orders").await.line(),
        "404 database_not_found"
    );
    assert_eq!(
        berth.get("/v1/databases").await.expect(200)["databases"],
        json!([])
    );
    let read = berth.get(&format!("/v1/databases/{id}")).await.expect(200)["database"].clone();
    assert_eq!(read["status"], "destroyed");
    assert_eq!(read["recoverable_until"], "2026-03-04T10:00:00Z");
    // Its name is free, and destroying it again changes nothing.
    berth.database(postgres("orders")).await;
    let again = berth
        .delete(&format!("/v1/databases/{id}"))
        .await
        .expect(200);
    assert_eq!(again["database"]["destroyed_at"], read["destroyed_at"]);
    let trash = berth.get("/v1/trash").await.expect(200);
    assert_eq!(trash["databases"][0]["id"], id);
    for (method, path) in [
        (Method::PATCH, ""),
        (Method::POST, "/start"),
        (Method::POST, "/rotate"),
    ] {
        let path = format!("/v1/databases/{id}{path}");
        let reply = berth
            .call(&berth.admin, method, &path, Some(json!({})))
            .await;
        assert_eq!(reply.line(), "409 database_destroyed", "{path}");
    }
    let reply = berth.get(&format!("/v1/databases/{id}/credentials")).await;
    assert_eq!(reply.line(), "409 database_destroyed");
}

#[tokio::test]
async fn what_a_pipeline_destroys_stays_for_at_least_the_floor() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    for (name, token, until) in [
        ("mine", &berth.admin, "2026-02-25T10:00:00Z"),
        ("theirs", &apply, "2026-02-26T10:00:00Z"),
    ] {
        berth
            .database(json!({"name": name, "engine": "postgresql", "recovery_window_days": 0}))
            .await;
        let reply = berth
            .call(
                token,
                Method::DELETE,
                &format!("/v1/databases/{name}"),
                None,
            )
            .await;
        assert_eq!(reply.expect(200)["database"]["recoverable_until"], until);
    }
    let shorter = json!({"recovery_window_days": 1});
    berth.database(postgres("orders")).await;
    let reply = berth
        .call(&apply, Method::PATCH, "/v1/databases/orders", Some(shorter))
        .await;
    assert_eq!(reply.line(), "403 scope_missing [recovery_window_days]");
}

#[tokio::test]
async fn a_restored_database_has_its_id_login_and_password() {
    let berth = TestBerth::start().await;
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql", "tags": {"a": "b"}}))
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    let password = password_of(&berth, &id).await;
    berth.settle(&id).await;
    berth.delete("/v1/databases/orders").await.expect(200);
    berth.pass_days(6);
    let body = json!({"name": "orders", "restore_from": {"deleted_database_id": id}});
    let back = berth.post("/v1/databases", body).await.expect(201)["database"].clone();
    for field in [
        "id",
        "name",
        "slug",
        "username",
        "database_name",
        "version",
        "plan",
        "host",
        "tags",
        "created_at",
    ] {
        assert_eq!(back[field], made[field], "{field}");
    }
    assert_eq!(
        (&back["status"], &back["destroyed_at"]),
        (&json!("provisioning"), &json!(null))
    );
    assert_eq!(password_of(&berth, &id).await, password);
    // What was true of the process is not; what is true of the data is.
    assert_eq!(
        (&back["connections"], &back["conditions"]),
        (&json!(null), &json!([]))
    );
    assert_eq!(back["storage_used_bytes"], 12_300_000);
    let operation = back["operation_id"].as_str().unwrap();
    let operation = berth
        .get(&format!("/v1/operations/{operation}"))
        .await
        .expect(200);
    assert_eq!(operation["kind"], "restore");
    let again = json!({"name": "orders", "restore_from": {"deleted_database_id": id}});
    assert_eq!(
        berth.post("/v1/databases", again).await.line(),
        "409 database_not_destroyed [restore_from.deleted_database_id, name]"
    );
}

#[tokio::test]
async fn a_name_that_was_reused_is_asked_for_anew() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.delete("/v1/databases/orders").await.expect(200);
    berth.database(postgres("orders")).await;
    let undelete = format!("/v1/databases/{id}/undelete");
    let reply = berth.post(&undelete, json!({})).await;
    assert_eq!(reply.line(), "409 name_taken [name]");
    assert!(reply.text.contains("choose another name"), "{}", reply.text);
    let back = berth
        .post(&undelete, json!({"name": "orders-old"}))
        .await
        .expect(202);
    assert_eq!(back["database"]["host"], "berth-db-orders-old");
    assert_eq!(back["database"]["username"], "app_orders");
    assert_eq!(back["database"]["database_name"], "orders");
    assert_eq!(
        berth.post(&undelete, json!({})).await.line(),
        "409 database_not_destroyed"
    );
}

#[tokio::test]
async fn after_the_window_nothing_comes_back() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.delete("/v1/databases/orders").await.expect(200);
    berth.pass_days(7);
    let reply = berth
        .post(&format!("/v1/databases/{id}/undelete"), json!({}))
        .await;
    assert_eq!(
        reply.line(),
        "409 database_purged [restore_from.deleted_database_id]"
    );
}

#[tokio::test]
async fn a_purge_needs_its_own_right_and_a_destroyed_database() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/trash/{id}");
    assert_eq!(
        berth.delete(&path).await.line(),
        "409 database_not_destroyed"
    );
    berth.delete("/v1/databases/orders").await.expect(200);
    let apply = berth.token("apply", None).await;
    let reply = berth.call(&apply, Method::DELETE, &path, None).await;
    assert_eq!(reply.line(), "403 scope_missing");
    let purged = berth.delete(&path).await.expect(202);
    let operation = purged["database"]["operation_id"].as_str().unwrap();
    let operation = berth
        .get(&format!("/v1/operations/{operation}"))
        .await
        .expect(200);
    assert_eq!(
        (&operation["kind"], &operation["state"]),
        (&json!("purge"), &json!("pending"))
    );
}

#[tokio::test]
async fn a_database_comes_back_with_its_destroyed_project() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    let made = berth
        .database(json!({"name": "orders", "engine": "postgresql", "project_id": "shop"}))
        .await;
    berth.delete("/v1/projects/shop").await.expect(204);
    assert_eq!(
        berth.get("/v1/projects/shop").await.line(),
        "404 project_not_found"
    );
    let undelete = format!("/v1/databases/{}/undelete", made["id"].as_str().unwrap());
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    // A new project of the same name must not keep it from coming back.
    berth.post(&undelete, json!({})).await.expect(202);
    let project = berth.get("/v1/projects/shop-2").await.expect(200);
    assert_eq!(project["project"]["id"], made["project_id"]);
    assert_eq!(project["project"]["slug"], "shop-2");
    berth.delete("/v1/projects/shop-2").await.expect(204);
    berth.delete("/v1/projects/shop").await.expect(204);
    berth.post(&undelete, json!({})).await.expect(202);
    let project = berth.get("/v1/projects/shop-2").await.expect(200);
    assert_eq!(project["project"]["id"], made["project_id"]);
}

#[tokio::test]
async fn a_port_that_is_not_published_yet_is_promised_by_no_plan_and_no_restore() {
    let berth = TestBerth::start().await;
    let config = |status: &str| json!({"name": "orders", "engine": "postgresql", "expose": true, "desired_status": status});
    let made = berth.database(config("stopped")).await;
    let id = made["id"].as_str().unwrap();
    for (status, open) in [("running", vec!["public_port"]), ("stopped", vec![])] {
        let item = json!({"kind": "database", "id": id, "config": config(status)});
        let planned = berth.plan_one(&berth.admin, item).await;
        assert_eq!(planned["unknown"], json!(open), "{status}: {planned}");
    }
    let restored = |config: serde_json::Value| {
        let berth = &berth;
        async move {
            berth.delete("/v1/databases/orders").await.expect(200);
            let mut body = json!({"name": "orders", "restore_from": {"deleted_database_id": id}});
            body.as_object_mut()
                .unwrap()
                .extend(config.as_object().unwrap().clone());
            berth.post("/v1/databases", body).await.expect(201)["database"].clone()
        }
    };
    let back = restored(json!({})).await;
    assert_eq!(back["public_port"], made["public_port"]);
    assert_eq!(back["conditions"], made["conditions"]);
    let asked_for = restored(json!({"public_port": made["public_port"]})).await;
    assert_eq!(asked_for["conditions"], json!([]));
}
