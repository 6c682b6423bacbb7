//! What a pipeline's token must not lose: projects, what people typed into them, and who is in
//! them.

use crate::support::{Reply, TestBerth, postgres};
use axum::http::Method;
use berth_domain::{EnvName, EnvVariable, ProjectId, Secret, Timestamp};
use serde_json::{Value, json};

const ENV: &str = "/v1/projects/shop/env";

async fn shop(berth: &TestBerth, more: Value) -> String {
    let mut body = json!({"name": "shop"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = berth.post("/v1/projects", body).await.expect(201);
    made["project"]["id"].as_str().unwrap().to_owned()
}

async fn put(berth: &TestBerth, token: &str, name: &str, value: &str) -> Reply {
    let body = Some(json!({"value": value}));
    let path = format!("{ENV}/{name}");
    berth.call(token, Method::PUT, &path, body).await
}

/// The variables of the project as `NAME=value`.
async fn lines(berth: &TestBerth, project: &str) -> Vec<String> {
    let path = format!("/v1/projects/{project}/env");
    let found = berth.get(&path).await.expect(200);
    let variables = found["variables"].as_array().unwrap().iter();
    let text = |v: &Value, field: &str| v[field].as_str().unwrap().to_owned();
    variables
        .map(|v| format!("{}={}", text(v, "name"), text(v, "value")))
        .collect()
}

#[tokio::test]
async fn variables_hold_a_project_as_databases_do() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    let id = shop(&berth, json!({"deletion_protection": true})).await;
    put(&berth, &berth.admin, "STRIPE_KEY", "sk_live")
        .await
        .expect(201);
    let destroy = json!({"kind": "project", "id": id, "destroy": true});
    for (query, line) in [
        ("", "409 protected [deletion_protection]"),
        ("?if_empty=true", "409 project_not_empty"),
    ] {
        let path = format!("/v1/projects/shop{query}");
        let refused = berth.call(&apply, Method::DELETE, &path, None).await;
        assert_eq!(refused.line(), line, "{query}: {}", refused.text);
        assert!(
            refused.text.contains("1 variable of its own (STRIPE_KEY)"),
            "{}",
            refused.text
        );
    }
    let planned = berth.plan_one(&apply, destroy.clone()).await;
    assert_eq!(
        planned["errors"][0]["field"], "deletion_protection",
        "{planned}"
    );
    // Without protection, an edit of on_destroy agrees to it, and the plan says what goes.
    berth
        .patch("/v1/projects/shop", json!({"deletion_protection": false}))
        .await
        .expect(200);
    let planned = berth.plan_one(&apply, destroy.clone()).await;
    assert_eq!(planned["errors"][0]["field"], "on_destroy", "{planned}");
    berth
        .patch("/v1/projects/shop", json!({"on_destroy": "cascade"}))
        .await
        .expect(200);
    let planned = berth.plan_one(&apply, destroy).await;
    assert_eq!(planned["errors"], json!([]));
    let note = planned["notes"][0]["message"].as_str().unwrap();
    for part in ["(STRIPE_KEY)", "30 days", &format!("trash restore {id}")] {
        assert!(note.contains(part), "{part} is not in: {note}");
    }
    berth.delete("/v1/projects/shop").await.expect(204);
}

#[tokio::test]
async fn further_members_hold_a_protected_project() {
    let berth = TestBerth::start().await;
    let id = shop(&berth, json!({"deletion_protection": true})).await;
    berth.person("ada", Some(("shop", "owner")), "admin").await;
    let apply = berth.token("apply", None).await;
    let refused = berth
        .call(
            &apply,
            Method::DELETE,
            "/v1/projects/shop?if_empty=true",
            None,
        )
        .await;
    assert_eq!(refused.line(), "409 protected [deletion_protection]");
    assert!(
        refused.text.contains("1 further member"),
        "{}",
        refused.text
    );
    let planned = json!({"kind": "project", "id": id, "destroy": true});
    let planned = berth.plan_one(&apply, planned).await;
    let note = planned["notes"][0]["message"].as_str().unwrap();
    assert!(note.contains("the apply is refused"), "{planned}");
    // The one who made a project is in it, and that alone is nothing to lose.
    let grace = berth
        .person("grace", Some(("shop", "owner")), "apply")
        .await;
    let body = json!({"name": "mine", "deletion_protection": true});
    berth
        .call(&grace.token, Method::POST, "/v1/projects", Some(body))
        .await
        .expect(201);
    berth
        .call(&grace.token, Method::DELETE, "/v1/projects/mine", None)
        .await
        .expect(204);
}

#[tokio::test]
async fn a_destroyed_project_comes_back_with_all_that_people_gave_it() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    let id = shop(
        &berth,
        json!({"on_destroy": "cascade", "description": "sells"}),
    )
    .await;
    let ada = berth.person("ada", Some(("shop", "owner")), "admin").await;
    put(&berth, &berth.admin, "STRIPE_KEY", "sk_live")
        .await
        .expect(201);
    let mut orders = postgres("orders");
    orders["project_id"] = json!("shop");
    let orders = berth.database(orders).await;
    let gone = berth
        .call(&apply, Method::DELETE, "/v1/projects/shop", None)
        .await;
    gone.expect(204);
    let path = format!("/v1/projects/{id}/undelete");
    assert_eq!(
        berth.get("/v1/projects/shop").await.line(),
        "404 project_not_found"
    );
    let listed = berth.get("/v1/trash/projects").await.expect(200);
    assert_eq!(listed["projects"][0]["id"], json!(id), "{listed}");
    assert_eq!(
        listed["projects"][0]["recoverable_until"],
        "2026-03-27T10:00:00Z"
    );
    // Whoever makes one of that name anew is told what it will not have.
    let wish = json!({"kind": "project", "config": {"name": "shop"}});
    let planned = berth.plan_one(&apply, wish).await;
    let note = planned["notes"][0]["message"].as_str().unwrap();
    assert!(
        note.contains(&format!("{id} has 1 variable of its own")),
        "{planned}"
    );
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);

    berth.pass_days(29);
    let back = berth
        .call(&apply, Method::POST, &path, None)
        .await
        .expect(200);
    let back = &back["project"];
    assert_eq!(
        (&back["id"], &back["name"], &back["description"]),
        (&json!(id), &json!("shop-2"), &json!("sells"))
    );
    assert_eq!(lines(&berth, &id).await, ["STRIPE_KEY=sk_live"]);
    let members = berth
        .get(&format!("/v1/projects/{id}/members"))
        .await
        .expect(200);
    assert_eq!(members["members"][0]["user_id"], json!(ada.id), "{members}");
    let again = berth.call(&apply, Method::POST, &path, None).await;
    assert_eq!(again.line(), "409 project_not_destroyed");
    let listed = berth.get("/v1/trash/projects").await.expect(200);
    assert_eq!(listed["projects"], json!([]));
    // Its database has a window of its own.
    let path = format!("/v1/databases/{}", orders["id"].as_str().unwrap());
    assert_eq!(
        berth.get(&path).await.expect(200)["database"]["status"],
        "destroyed"
    );
    let unknown = "/v1/projects/proj_0000000000000000/undelete";
    assert_eq!(
        berth.post(unknown, json!({})).await.line(),
        "404 project_not_found"
    );
}

/// All that is kept of what variables were, read in pages of that size: each but the last is
/// full, and they are in one order.
async fn kept_versions(berth: &TestBerth, size: usize) -> Vec<Value> {
    let first = format!("/v1/projects/shop/env_versions?page_size={size}");
    let (mut path, mut kept) = (first.clone(), Vec::new());
    loop {
        let page = berth.get(&path).await.expect(200);
        let rows = page["versions"].as_array().unwrap();
        kept.extend(rows.clone());
        let Some(next) = page["next_page_token"].as_str() else {
            assert!(rows.len() <= size, "{}", rows.len());
            let number = |one: &Value| one["version"].as_i64();
            assert!(kept.is_sorted_by(|a, b| number(a) > number(b)), "{kept:?}");
            return kept;
        };
        assert_eq!(rows.len(), size);
        path = format!("{first}&page_token={next}");
    }
}

#[tokio::test]
async fn what_variables_were_is_paged_like_any_list() {
    let berth = TestBerth::start().await;
    shop(&berth, json!({})).await;
    for number in 0..=101 {
        let reply = put(&berth, &berth.admin, "KEY", &format!("{number}")).await;
        assert!(reply.status.is_success(), "{}", reply.text);
    }
    let path = "/v1/projects/shop/env_versions";
    let page = berth.get(path).await.expect(200);
    assert_eq!(page["versions"].as_array().unwrap().len(), 100);
    assert!(page["next_page_token"].is_string());
    assert_eq!(kept_versions(&berth, 100).await.len(), 101);
    // A page that ends with the list is the last.
    assert_eq!(kept_versions(&berth, 1).await.len(), 101);
    for (query, line) in [
        ("page_size=0", "422 invalid_field [page_size]"),
        ("page_size=101", "422 invalid_field [page_size]"),
        ("page_token=no", "422 invalid_field [page_token]"),
        ("limit=1", "400 invalid_request"),
    ] {
        let reply = berth.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.line(), line, "{query}");
    }
}

#[tokio::test]
async fn what_a_variable_was_comes_back() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    shop(&berth, json!({})).await;
    put(&berth, &berth.admin, "STRIPE_KEY", "sk_live")
        .await
        .expect(201);
    put(&berth, &apply, "STRIPE_KEY", "rubbish")
        .await
        .expect(200);
    // The same again ends nothing.
    put(&berth, &apply, "STRIPE_KEY", "rubbish")
        .await
        .expect(200);
    let path = format!("{ENV}/STRIPE_KEY");
    berth
        .call(&apply, Method::DELETE, &path, None)
        .await
        .expect(204);
    let versions = kept_versions(&berth, 1).await;
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert!(!format!("{versions:?}").contains("sk_live"));
    assert_eq!(versions[0]["recoverable_until"], "2026-03-04T10:00:00Z");
    let first = json!({"version": versions[1]["version"]});
    let restore = format!("{path}/restore");
    let reply = berth.post(&restore, first).await;
    assert!(!reply.text.contains("sk_live"), "{}", reply.text);
    reply.expect(200);
    assert_eq!(lines(&berth, "shop").await, ["STRIPE_KEY=sk_live"]);
    // Without a number it is the one that ended last.
    berth.post(&restore, json!({})).await.expect(200);
    assert_eq!(lines(&berth, "shop").await, ["STRIPE_KEY=rubbish"]);
    for (name, body) in [
        ("OTHER", json!({})),
        ("1", json!({})),
        ("STRIPE_KEY", json!({"version": 99})),
    ] {
        let reply = berth.post(&format!("{ENV}/{name}/restore"), body).await;
        assert_eq!(reply.line(), "404 variable_not_found", "{name}");
    }
    let wrong = berth.post(&restore, json!({"number": 1})).await;
    assert_eq!(wrong.line(), "422 invalid_field [number]");
}

#[tokio::test]
async fn nobody_drowns_what_a_variable_was() {
    let berth = TestBerth::start().await;
    let apply = berth.token("apply", None).await;
    shop(&berth, json!({})).await;
    put(&berth, &berth.admin, "STRIPE_KEY", "sk_live")
        .await
        .expect(201);
    let mut refused = None;
    for number in 0..1000 {
        let value = format!("{number:05}{}", "x".repeat(60_000));
        let reply = put(&berth, &apply, "STRIPE_KEY", &value).await;
        if reply.status != 200 {
            refused = Some(reply.line());
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("409 environment_full"));
    let path = format!("{ENV}/STRIPE_KEY");
    let removed = berth.call(&apply, Method::DELETE, &path, None).await;
    assert_eq!(removed.line(), "409 environment_full");
    let kept = kept_versions(&berth, 100).await;
    assert!(kept.len() > 100, "{}", kept.len());
    let first = kept.last().unwrap();
    // A person who may give data up goes on, and so does everybody once the floor has passed.
    put(&berth, &berth.admin, "STRIPE_KEY", "sk_new")
        .await
        .expect(200);
    berth.pass_days(2);
    put(&berth, &apply, "STRIPE_KEY", "newer").await.expect(200);
    let kept = kept_versions(&berth, 100).await;
    let last = kept.last().unwrap();
    assert!(
        last["version"].as_i64() > first["version"].as_i64(),
        "{last} {first}"
    );
}

#[tokio::test]
async fn a_name_that_is_refused_today_does_not_come_back() {
    let berth = TestBerth::start().await;
    let id = shop(&berth, json!({})).await;
    let now = Timestamp::from_millis(1_000);
    let kept = EnvVariable {
        project_id: ProjectId::parse(&id).unwrap(),
        name: EnvName::parse("LD_PRELOAD").unwrap(),
        value: Secret::new("/tmp/a.so"),
        sensitive: true,
        created_at: now,
        updated_at: now,
    };
    let mut tx = berth.store.begin().await.unwrap();
    tx.keep_env_version(&kept, now).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("{ENV}/LD_PRELOAD/restore");
    let refused = berth.post(&path, json!({})).await;
    assert_eq!(refused.line(), "422 invalid_field [name]");
}
