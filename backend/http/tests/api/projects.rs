use crate::support::{TestBerth, postgres};
use serde_json::json;

#[tokio::test]
async fn a_project_is_made_read_changed_and_destroyed() {
    let berth = TestBerth::start().await;
    let made = berth
        .post("/v1/projects", json!({"project": {"name": "shop"}}))
        .await
        .expect(201)["project"]
        .clone();
    assert_eq!(made["network_name"], "berth-shop-0123abcd");
    assert_eq!(
        (&made["default_region"], &made["on_destroy"]),
        (&json!("local"), &json!("refuse"))
    );
    let path = format!("/v1/projects/{}", made["id"].as_str().unwrap());
    let changed = berth
        .patch(&path, json!({"name": "store", "default_region": "nyc1"}))
        .await
        .expect(200);
    assert_eq!(changed["project"]["slug"], "shop");
    assert_eq!(changed["project"]["network_name"], made["network_name"]);
    assert_eq!(changed["project"]["description"], json!(null));
    let body = json!({"name": "orders", "engine": "postgresql", "project_id": "store"});
    assert_eq!(berth.database(body).await["region"], "nyc1");
    assert_eq!(
        berth.get("/v1/projects/shop").await.line(),
        "404 project_not_found"
    );
    assert_eq!(
        berth.get("/v1/projects").await.expect(200)["projects"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn wrong_projects_are_refused() {
    let berth = TestBerth::start().await;
    for (body, line) in [
        (json!({}), "422 invalid_field [name]"),
        (json!({"name": "x"}), "422 invalid_field [name]"),
        (json!({"name": "default"}), "409 name_taken [name]"),
        (
            json!({"name": "shop", "default_region": "mars"}),
            "422 invalid_field [default_region]",
        ),
        (
            json!({"name": "shop", "on_destroy": "drop"}),
            "422 invalid_field [on_destroy]",
        ),
        (
            json!({"name": "shop", "description": "x".repeat(257)}),
            "422 invalid_field [description]",
        ),
        (
            json!({"name": "shop", "tags": {"": "x"}}),
            "422 invalid_field [tags]",
        ),
        (
            json!({"name": "shop", "nam": "shop"}),
            "422 invalid_field [nam]",
        ),
    ] {
        assert_eq!(
            berth.post("/v1/projects", body.clone()).await.line(),
            line,
            "{body}"
        );
    }
    let body = json!({"name": "orders", "engine": "postgresql", "project_id": "defalt"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "404 project_not_found [project_id]");
    assert!(
        reply.text.contains("did you mean \\\"default\\\"?"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_project_goes_with_what_is_in_it_unless_something_holds_it() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    let made = berth.database(json!({"name": "orders", "engine": "postgresql", "project_id": "shop", "deletion_protection": true})).await;
    assert_eq!(
        berth.delete("/v1/projects/shop?if_empty=true").await.line(),
        "409 project_not_empty"
    );
    assert_eq!(
        berth.delete("/v1/projects/shop").await.line(),
        "409 protected [deletion_protection]"
    );
    let path = format!("/v1/databases/{}", made["id"].as_str().unwrap());
    berth
        .patch(&path, json!({"deletion_protection": false}))
        .await
        .expect(200);
    berth
        .patch("/v1/projects/shop", json!({"deletion_protection": true}))
        .await
        .expect(200);
    assert_eq!(
        berth.delete("/v1/projects/shop").await.line(),
        "409 protected [deletion_protection]"
    );
    berth
        .patch("/v1/projects/shop", json!({"deletion_protection": false}))
        .await
        .expect(200);
    berth.delete("/v1/projects/shop").await.expect(204);
    assert_eq!(
        berth.get(&path).await.expect(200)["database"]["status"],
        "destroyed"
    );
    assert_eq!(
        berth.delete("/v1/projects/default").await.line(),
        "409 protected"
    );
    berth.database(postgres("orders")).await;
}
