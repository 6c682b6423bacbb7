use crate::support::{TestBerth, postgres};
use axum::http::Method;
use serde_json::{Value, json};

async fn shop(berth: &TestBerth) -> String {
    let made = berth.post("/v1/projects", json!({"name": "shop"})).await;
    let made = made.expect(201);
    made["project"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_project_has_one_database_of_its_own() {
    let berth = TestBerth::start().await;
    let project = shop(&berth).await;
    let path = format!("/v1/projects/{project}/database");
    assert_eq!(berth.get(&path).await.line(), "404 database_not_found");
    let made = berth
        .call(&berth.admin, Method::POST, &path, None)
        .await
        .expect(201);
    let data = &made["data"];
    assert_eq!(data["project_id"], project.as_str());
    assert_eq!(data["status"], "provisioning");
    assert_eq!(data["host"], "berth-db-shop");
    assert_eq!(data["db_name"], "shop");
    assert_eq!(data["db_user"], "app_shop");
    assert!(data.get("password").is_none());
    let again = berth.post(&path, json!({})).await;
    assert_eq!(again.line(), "409 database_exists");
    assert!(
        again.text.contains(data["id"].as_str().unwrap()),
        "{}",
        again.text
    );
    assert_eq!(berth.get(&path).await.expect(200), made);
    let by_name = berth.get("/v1/projects/shop/database").await;
    assert_eq!(by_name.expect(200), made);
    let gone = berth.delete(&path).await;
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    assert_eq!(berth.delete(&path).await.line(), "404 database_not_found");
    // Its data stays in the trash, as with every other route.
    let trash = berth.get("/v1/trash").await.expect(200);
    assert_eq!(trash["databases"][0]["id"], data["id"]);
    let next = berth.post(&path, json!({})).await.expect(201);
    assert_ne!(next["data"]["id"], data["id"]);
}

#[tokio::test]
async fn the_own_database_is_the_oldest_by_whichever_route_it_came() {
    let berth = TestBerth::start().await;
    let project = shop(&berth).await;
    let path = format!("/v1/projects/{project}/database");
    let mut body = postgres("orders");
    body["project_id"] = json!(project);
    let first = berth.database(body).await;
    berth.pass_days(1);
    let mut body = postgres("second");
    body["project_id"] = json!(project);
    let second = berth.database(body).await;
    let own = |reply: Value| reply["data"]["id"].clone();
    assert_eq!(own(berth.get(&path).await.expect(200)), first["id"]);
    let refused = berth.post(&path, json!({})).await;
    assert_eq!(refused.line(), "409 database_exists");
    assert_eq!(berth.delete(&path).await.status, 204);
    assert_eq!(own(berth.get(&path).await.expect(200)), second["id"]);
    let elsewhere = berth.get("/v1/projects/default/database").await;
    assert_eq!(elsewhere.line(), "404 database_not_found");
}

#[tokio::test]
async fn more_may_be_said_of_the_own_database_but_not_of_another() {
    let berth = TestBerth::start().await;
    let project = shop(&berth).await;
    let path = format!("/v1/projects/{project}/database");
    for (body, line) in [
        (json!({"engine": "mysql"}), "422 invalid_field [engine]"),
        (
            json!({"project_id": "default"}),
            "422 invalid_field [project_id]",
        ),
        (
            json!({"db_type": "postgres", "technology": "pg"}),
            "422 invalid_field [technology]",
        ),
        (json!({"sizee": 1}), "422 invalid_field [sizee]"),
    ] {
        assert_eq!(berth.post(&path, body.clone()).await.line(), line, "{body}");
    }
    let body = json!({"projectId": "shop", "engine": "postgres", "plan_id": "large", "deletion_protection": true});
    let made = berth.post(&path, body).await.expect(201);
    let id = made["data"]["id"].as_str().unwrap();
    let native = berth.get(&format!("/v1/databases/{id}")).await.expect(200);
    assert_eq!(native["database"]["plan"], "large");
    assert_eq!(native["database"]["technology"], "postgres");
    let held = berth.delete(&path).await;
    assert_eq!(held.line(), "409 protected [deletion_protection]");
    let missing = berth.get("/v1/projects/nothing/database").await;
    assert_eq!(missing.line(), "404 project_not_found");
}

#[tokio::test]
async fn databases_come_without_envelopes_a_page_at_a_time() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "main-postgres", "db_type": "postgresql", "version": "16",
        "plan_id": "large", "region": "nyc1", "storage_gb": 50, "replicas": 1});
    let made = berth
        .post("/api/v1/databases", body.clone())
        .await
        .expect(201);
    for field in [
        "name",
        "db_type",
        "version",
        "plan_id",
        "region",
        "storage_gb",
        "replicas",
    ] {
        assert_eq!(made[field], body[field], "{field}");
    }
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/databases/{id}");
    assert_eq!(berth.get(&path).await.expect(200), made);
    berth.pass_days(1);
    berth.database(postgres("second")).await;
    let first = berth.get("/api/v1/databases?page_size=1").await;
    let link = first.header("link").to_owned();
    assert_eq!(first.expect(200), json!([made]));
    let query = link
        .strip_prefix('<')
        .and_then(|l| l.strip_suffix(">; rel=\"next\""))
        .unwrap();
    let second = berth.get(&format!("/api/v1/databases{query}")).await;
    assert_eq!(second.header("link"), "");
    let second = second.expect(200);
    assert_eq!(second[0]["name"], "second");
    assert_eq!(second.as_array().unwrap().len(), 1);
    let gone = berth.delete(&path).await.expect(200);
    assert_eq!(gone["status"], "destroyed");
    assert_eq!(berth.get(&path).await.expect(200)["status"], "destroyed");
    let missing = berth.get("/api/v1/databases/db_0").await;
    assert_eq!(missing.expect(404)["error"], "Database not found");
}

#[tokio::test]
async fn plain_credentials_are_encrypted_and_written_down() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let path = format!(
        "/api/v1/databases/{}/credentials",
        made["id"].as_str().unwrap()
    );
    let reply = berth.get(&path).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let shown = reply.expect(200);
    let password = shown["password"].as_str().unwrap();
    assert_eq!(shown["ssl_mode"], "require");
    assert_eq!(shown["host"], "berth-pgbouncer-orders");
    assert_eq!(
        shown["connection_string"],
        format!(
            "postgresql://app_orders:{password}@berth-pgbouncer-orders:5432/orders?sslmode=require"
        )
    );
    let events = berth.get("/v1/events").await.expect(200);
    let events = events["events"].as_array().unwrap();
    assert!(events.iter().any(|e| e["kind"] == "credentials.read"));
    // Inert values would look like real ones here: there is no field that says so.
    let planner = berth.token("plan", None).await;
    let refused = berth.call(&planner, Method::GET, &path, None).await;
    assert_eq!(refused.line(), "403 scope_missing");
}

#[tokio::test]
async fn a_technology_is_the_word_that_ordered_it() {
    let berth = TestBerth::start().await;
    for (name, word, shown) in [
        ("first", "postgresql-dr", "postgresql-dr"),
        ("second", "postgres", "postgres"),
        ("third", "postgresql", "postgresql-ng"),
    ] {
        let body = json!({"database": {"name": name, "technology": word, "plan": "tiny"}});
        assert_eq!(berth.database(body).await["technology"], shown);
    }
    let body = json!({"name": "fourth", "technology": "postgresql-ng", "engine": "mysql"});
    let reply = berth.post("/v1/databases", body).await;
    assert_eq!(reply.line(), "422 invalid_field [technology]");
}

#[tokio::test]
async fn addon_providers_are_the_engines_that_can_be_had_with_the_plans() {
    let berth = TestBerth::start().await;
    berth.host.missing.lock().unwrap().push("15".to_owned());
    let list = berth.get("/v1/addon_providers").await.expect(200);
    let provider = &list["addon_providers"][0];
    assert_eq!(provider["id"], "postgresql-ng");
    let description = provider["description"].as_str().unwrap();
    assert!(!description.contains("15"), "{description}");
    let plans = provider["plans"].as_array().unwrap();
    let names: Vec<_> = plans.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["small", "large", "tiny"]);
    assert_eq!(plans[1]["position"], 2);
    for version in ["16", "17", "18"] {
        berth.host.missing.lock().unwrap().push(version.to_owned());
    }
    let none = berth.get("/v1/addon_providers").await.expect(200);
    assert_eq!(none["addon_providers"], json!([]));
}
