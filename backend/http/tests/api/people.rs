//! People, what they are in projects, and how far their tokens reach.

use crate::support::{TestBerth, postgres};
use axum::http::Method;
use serde_json::{Value, json};

async fn shop(berth: &TestBerth) -> Value {
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    berth
        .database(json!({"name": "orders", "engine": "postgresql", "project_id": "shop"}))
        .await
}

#[tokio::test]
async fn people_are_made_read_changed_and_deleted() {
    let berth = TestBerth::start().await;
    let body = json!({"user": {"name": "ada", "email": "ada@example.com"}});
    let made = berth.post("/v1/users", body).await.expect(201)["user"].clone();
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("usr_"), "{made}");
    for reference in [id, "ada"] {
        let path = format!("/v1/users/{reference}");
        assert_eq!(berth.get(&path).await.expect(200)["user"], made);
    }
    let listed = berth.get("/v1/users").await.expect(200);
    let names: Vec<_> = listed["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"admin") && names.contains(&"ada"));
    berth.pass_days(1);
    let path = format!("/v1/users/{id}");
    let changed = berth
        .patch(&path, json!({"name": "ada l", "email": null}))
        .await;
    let changed = changed.expect(200)["user"].clone();
    assert_eq!(
        (&changed["name"], &changed["email"]),
        (&json!("ada l"), &Value::Null)
    );
    assert_eq!(changed["created_at"], made["created_at"]);
    assert_ne!(changed["updated_at"], made["updated_at"]);
    berth.delete(&path).await.expect(204);
    for reply in [berth.get(&path).await, berth.delete(&path).await] {
        assert_eq!(reply.line(), "404 user_not_found");
    }
    // The first one stays, since every token of the installation's own is its.
    assert_eq!(
        berth.delete("/v1/users/admin").await.line(),
        "409 protected"
    );
}

#[tokio::test]
async fn wrong_people_are_refused() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/users", json!({"name": "ada"}))
        .await
        .expect(201);
    for (body, line) in [
        (json!({}), "422 invalid_field [name]"),
        (json!({"name": ""}), "422 invalid_field [name]"),
        (json!({"name": " ada"}), "422 invalid_field [name]"),
        (json!({"name": "a".repeat(65)}), "422 invalid_field [name]"),
        (json!({"name": "usr_1"}), "422 invalid_field [name]"),
        (json!({"name": "a/b"}), "422 invalid_field [name]"),
        (json!({"name": 5}), "422 invalid_field [name]"),
        (json!({"name": "ada"}), "409 name_taken [name]"),
        (
            json!({"name": "bob", "email": "bob"}),
            "422 invalid_field [email]",
        ),
        (
            json!({"name": "bob", "mail": "b@c"}),
            "422 invalid_field [mail]",
        ),
    ] {
        let reply = berth.post("/v1/users", body.clone()).await;
        assert_eq!(reply.line(), line, "{body}");
    }
    let reply = berth.patch("/v1/users/ada", json!({"name": null})).await;
    assert_eq!(reply.line(), "422 invalid_field [name]");
    let reply = berth.patch("/v1/users/ada", json!({"name": "admin"})).await;
    assert_eq!(reply.line(), "409 name_taken [name]");
}

#[tokio::test]
async fn whoever_is_no_member_sees_nothing() {
    let berth = TestBerth::start().await;
    let orders = shop(&berth).await;
    let id = orders["id"].as_str().unwrap();
    let operation = orders["operation_id"].as_str().unwrap();
    let outside = berth.person("bob", None, "admin").await;
    for (method, path) in [
        (Method::GET, format!("/v1/databases/{id}")),
        (Method::GET, "/v1/databases/orders".to_owned()),
        (Method::PATCH, format!("/v1/databases/{id}")),
        (Method::DELETE, format!("/v1/databases/{id}")),
        (Method::GET, format!("/v1/databases/{id}/credentials")),
        (Method::GET, format!("/v1/operations/{operation}")),
        (Method::GET, "/v1/projects/shop".to_owned()),
        (Method::GET, "/v1/projects/default".to_owned()),
        (Method::GET, "/v1/projects/shop/members".to_owned()),
        (Method::DELETE, "/v1/projects/shop/members/bob".to_owned()),
        (Method::GET, "/v1/events?project_id=shop".to_owned()),
        (
            Method::GET,
            "/v1/snapshot?kind=database&project_id=shop".to_owned(),
        ),
        (Method::GET, "/v1/users/admin".to_owned()),
    ] {
        let reply = berth
            .call(&outside.token, method.clone(), &path, None)
            .await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text);
    }
    for (path, field) in [
        ("/v1/databases", "databases"),
        ("/v1/projects", "projects"),
        ("/v1/trash", "databases"),
        ("/v1/snapshot?kind=database", "databases"),
        ("/v1/snapshot?kind=project", "projects"),
        ("/v1/events", "events"),
    ] {
        let reply = berth.call(&outside.token, Method::GET, path, None).await;
        let body = reply.expect(200);
        assert_eq!(body[field], json!([]), "{path}: {body}");
    }
    // A name that is taken is all that it learns of another's project.
    let body = Some(json!({"name": "shop"}));
    let taken = berth
        .call(&outside.token, Method::POST, "/v1/projects", body)
        .await;
    assert_eq!(taken.line(), "409 name_taken [name]");
    let project = orders["project_id"].as_str().unwrap();
    assert!(!taken.text.contains(project), "{}", taken.text);
    // It sees itself and its own token, and makes nobody.
    let path = "/v1/users";
    let own = berth.call(&outside.token, Method::GET, path, None).await;
    assert_eq!(own.expect(200)["users"][0]["id"], json!(outside.id));
    let body = Some(json!({"name": "eve"}));
    let reply = berth.call(&outside.token, Method::POST, path, body).await;
    assert_eq!(reply.line(), "403 administrator_only");
    let own = berth
        .call(&outside.token, Method::GET, "/v1/tokens", None)
        .await
        .expect(200);
    let own = own["tokens"].as_array().unwrap();
    assert!(
        own.iter().all(|t| t["user_id"] == json!(outside.id)) && own.len() == 1,
        "{own:?}"
    );
    let body = Some(json!({"name": "t", "preset": "plan", "user_id": "admin"}));
    let reply = berth
        .call(&outside.token, Method::POST, "/v1/tokens", body)
        .await;
    assert_eq!(reply.line(), "404 user_not_found [user_id]");
}

#[tokio::test]
async fn a_role_bounds_what_a_token_may_do() {
    let berth = TestBerth::start().await;
    let orders = shop(&berth).await;
    let elsewhere = berth.database(postgres("ledger")).await;
    let id = orders["id"].as_str().unwrap();
    let viewer = berth
        .person("vera", Some(("shop", "viewer")), "admin")
        .await;
    let editor = berth.person("ed", Some(("shop", "editor")), "admin").await;
    let owner = berth.person("olga", Some(("shop", "owner")), "admin").await;
    let patch = || Some(json!({"tags": {"a": "b"}}));
    let shrink = || Some(json!({"recovery_window_days": 0}));
    let database = format!("/v1/databases/{id}");
    let credentials = format!("{database}/credentials");
    let member = "/v1/projects/shop/members/vera";
    let role = || Some(json!({"role": "viewer"}));
    for (who, method, path, body, line) in [
        (&viewer, Method::GET, database.as_str(), None, "200 -"),
        (&viewer, Method::GET, "/v1/databases/orders", None, "200 -"),
        (&viewer, Method::GET, "/v1/projects/shop", None, "200 -"),
        (
            &viewer,
            Method::GET,
            "/v1/projects/shop/members",
            None,
            "200 -",
        ),
        (
            &viewer,
            Method::PATCH,
            &database,
            patch(),
            "403 role_missing",
        ),
        (&viewer, Method::GET, &credentials, None, "403 role_missing"),
        (&viewer, Method::DELETE, &database, None, "403 role_missing"),
        (&viewer, Method::PUT, member, role(), "403 role_missing"),
        (&editor, Method::PATCH, &database, patch(), "200 -"),
        (&editor, Method::GET, &credentials, None, "200 -"),
        (&editor, Method::PUT, member, role(), "403 role_missing"),
        (&editor, Method::DELETE, member, None, "403 role_missing"),
        (&owner, Method::PUT, member, role(), "200 -"),
        (&owner, Method::PATCH, &database, shrink(), "200 -"),
    ] {
        let reply = berth.call(&who.token, method.clone(), path, body).await;
        assert_eq!(reply.line(), line, "{} {method} {path}", who.id);
    }
    // A token of its own may be bound to a project that it sees, whatever its role there.
    for (project, status) in [("shop", 201), ("default", 404)] {
        let body = Some(json!({"name": "t", "preset": "plan", "project_id": project}));
        let made = berth
            .call(&viewer.token, Method::POST, "/v1/tokens", body)
            .await;
        assert_eq!(made.status, status, "{}", made.text);
    }
    // Of other projects a member sees nothing, and what names no project goes into its own.
    let other = elsewhere["id"].as_str().unwrap();
    for who in [&viewer, &editor, &owner] {
        let path = format!("/v1/databases/{other}");
        let reply = berth.call(&who.token, Method::GET, &path, None).await;
        assert_eq!(reply.line(), "404 database_not_found");
        for path in ["/v1/databases", "/v1/snapshot?kind=database"] {
            let reply = berth.call(&who.token, Method::GET, path, None).await;
            let found = reply.expect(200)["databases"].clone();
            assert_eq!(found.as_array().unwrap().len(), 1, "{path}");
            assert_eq!(found[0]["id"], json!(id), "{path}");
        }
    }
    let body = Some(postgres("carts"));
    let made = berth
        .call(&editor.token, Method::POST, "/v1/databases", body)
        .await;
    assert_eq!(
        made.expect(201)["database"]["project_id"],
        orders["project_id"]
    );
    let body = Some(postgres("carts-2"));
    let reply = berth
        .call(&viewer.token, Method::POST, "/v1/databases", body)
        .await;
    assert_eq!(reply.line(), "403 role_missing");
}

#[tokio::test]
async fn a_role_bounds_what_makes_data_unrecoverable() {
    let berth = TestBerth::start().await;
    let orders = shop(&berth).await;
    let path = format!("/v1/databases/{}", orders["id"].as_str().unwrap());
    let protect = json!({"deletion_protection": true});
    berth.patch(&path, protect).await.expect(200);
    let editor = berth.person("ed", Some(("shop", "editor")), "admin").await;
    let owner = berth.person("olga", Some(("shop", "owner")), "admin").await;
    let off = || Some(json!({"deletion_protection": false}));
    let reply = berth.call(&editor.token, Method::PATCH, &path, off()).await;
    assert!(reply.status.is_client_error(), "{}", reply.text);
    assert!(reply.text.contains("unprotect"), "{}", reply.text);
    let reply = berth.call(&owner.token, Method::PATCH, &path, off()).await;
    reply.expect(200);
    berth
        .call(&editor.token, Method::DELETE, &path, None)
        .await
        .expect(200);
    let trash = path.replace("/databases/", "/trash/");
    let reply = berth
        .call(&editor.token, Method::DELETE, &trash, None)
        .await;
    assert_eq!(reply.line(), "403 role_missing");
    let reply = berth.call(&owner.token, Method::DELETE, &trash, None).await;
    reply.expect(202);
}

#[tokio::test]
async fn a_token_reaches_no_further_than_its_scopes_and_its_project() {
    let berth = TestBerth::start().await;
    let orders = shop(&berth).await;
    let person = berth.person("olga", Some(("shop", "owner")), "plan").await;
    let path = format!("/v1/databases/{}", orders["id"].as_str().unwrap());
    let body = || Some(json!({"tags": {}}));
    let reply = berth
        .call(&person.token, Method::PATCH, &path, body())
        .await;
    assert_eq!(reply.line(), "403 scope_missing");
    // Bound to a project that its user is no member of, it sees nothing.
    let body = json!({"name": "t", "preset": "apply", "user_id": "olga", "project_id": "default"});
    let made = berth.post("/v1/tokens", body).await.expect(201);
    assert_eq!(made["user_id"], json!(person.id));
    let bound = made["secret"].as_str().unwrap();
    for path in [path.as_str(), "/v1/projects/shop", "/v1/projects/default"] {
        let reply = berth.call(bound, Method::GET, path, None).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    let reply = berth.call(bound, Method::GET, "/v1/databases", None).await;
    assert_eq!(reply.expect(200)["databases"], json!([]));
}

#[tokio::test]
async fn who_makes_a_project_owns_it_and_a_project_keeps_an_owner() {
    let berth = TestBerth::start().await;
    let olga = berth.person("olga", None, "admin").await;
    let ed = berth.person("ed", None, "admin").await;
    let body = Some(json!({"name": "shop"}));
    let made = berth
        .call(&olga.token, Method::POST, "/v1/projects", body)
        .await
        .expect(201);
    let id = made["project"]["id"].as_str().unwrap();
    let members = berth.get("/v1/projects/shop/members").await.expect(200);
    assert_eq!(members["members"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &members["members"][0]["user_id"],
            &members["members"][0]["role"],
            &members["members"][0]["project_id"]
        ),
        (&json!(olga.id), &json!("owner"), &json!(id))
    );
    let at = |user: &str| format!("/v1/projects/shop/members/{user}");
    let role = |role: &str| Some(json!({"role": role}));
    for (method, body) in [(Method::PUT, role("viewer")), (Method::DELETE, None)] {
        let reply = berth.call(&olga.token, method, &at(&olga.id), body).await;
        assert_eq!(reply.line(), "409 last_owner");
    }
    let reply = berth
        .call(&olga.token, Method::PUT, &at("ed"), role("owner"))
        .await;
    assert_eq!(reply.expect(201)["member"]["role"], "owner");
    let read = berth.call(&ed.token, Method::GET, &at("ed"), None).await;
    assert_eq!(read.expect(200)["member"]["user_id"], json!(ed.id));
    let again = berth
        .call(&olga.token, Method::PUT, &at(&ed.id), role("owner"))
        .await;
    again.expect(200);
    berth
        .call(&olga.token, Method::DELETE, &at("olga"), None)
        .await
        .expect(204);
    let reply = berth
        .call(&olga.token, Method::GET, "/v1/projects/shop", None)
        .await;
    assert_eq!(reply.line(), "404 project_not_found");
    // The administrator can always choose another.
    berth.delete(&at("ed")).await.expect(204);
    assert_eq!(berth.delete(&at("ed")).await.line(), "404 member_not_found");
    for (user, body, line) in [
        ("nobody", role("owner"), "404 user_not_found"),
        ("ed", role("boss"), "422 invalid_field [role]"),
        ("ed", Some(json!({})), "422 invalid_field [role]"),
        (
            "ed",
            Some(json!({"rol": "owner"})),
            "422 invalid_field [rol]",
        ),
    ] {
        let reply = berth.call(&berth.admin, Method::PUT, &at(user), body).await;
        assert_eq!(reply.line(), line, "{user}");
    }
}

/// The journal of a project tells its owners of each member that left.
#[tokio::test]
async fn a_deleted_person_leaves_each_project_in_its_journal() {
    let berth = TestBerth::start().await;
    let orders = shop(&berth).await;
    let person = berth.person("ed", Some(("shop", "editor")), "apply").await;
    let body = Some(json!({"role": "viewer"}));
    let made = berth.post("/v1/projects", json!({"name": "lab"})).await;
    let lab = made.expect(201)["project"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = "/v1/projects/lab/members/ed";
    let put = berth.call(&berth.admin, Method::PUT, other, body).await;
    put.expect(201);
    berth.delete("/v1/users/ed").await.expect(204);
    let path = "/v1/events?kind=member.removed";
    let told = berth.get(path).await.expect(200);
    let told = told["events"].as_array().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    let shop = orders["project_id"].as_str().unwrap();
    for (project, role) in [(shop, "editor"), (lab.as_str(), "viewer")] {
        let path = format!("{path}&project_id={project}");
        let events = berth.get(&path).await.expect(200);
        let event = &events["events"][0];
        let message = format!("{} is no member any more", person.id);
        assert_eq!(event["message"], json!(message), "{events}");
        assert_eq!(event["actor"]["user_name"], json!("admin"), "{events}");
        let changes = event["changes"].as_array().unwrap();
        let of_role = changes.iter().find(|change| change["field"] == "role");
        assert_eq!(of_role.map(|change| &change["from"]), Some(&json!(role)));
    }
}

#[tokio::test]
async fn a_deleted_persons_tokens_open_nothing() {
    let berth = TestBerth::start().await;
    shop(&berth).await;
    let person = berth.person("ed", Some(("shop", "editor")), "apply").await;
    berth.delete("/v1/users/ed").await.expect(204);
    let reply = berth
        .call(&person.token, Method::GET, "/v1/projects", None)
        .await;
    assert_eq!(reply.line(), "401 unauthenticated");
    let members = berth.get("/v1/projects/shop/members").await.expect(200);
    assert_eq!(members["members"], json!([]));
    let tokens = berth.get("/v1/tokens").await.expect(200);
    let own: Vec<_> = tokens["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["user_id"] == json!(person.id))
        .collect();
    assert_eq!(own.len(), 1);
    assert!(own[0]["revoked_at"].is_string(), "{own:?}");
    // A new one of that name is somebody else.
    let again = berth.person("ed", None, "apply").await;
    assert_ne!(again.id, person.id);
}

#[tokio::test]
async fn a_token_is_read_renamed_and_ends_when_it_is_told_to() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "ci", "preset": "apply", "expires_at": "2026-03-01T00:00:00Z"});
    let made = berth.post("/v1/tokens", body).await.expect(201);
    let secret = made["secret"].as_str().unwrap();
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    let read = berth.get(&path).await.expect(200);
    assert_eq!(
        (&read["user_id"], &read["name"]),
        (&json!("usr_admin"), &json!("ci"))
    );
    assert!(read.get("secret").is_none());
    let changed = berth
        .patch(&path, json!({"name": "deploy", "expires_at": null}))
        .await;
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["expires_at"]),
        (&json!("deploy"), &Value::Null)
    );
    berth.pass_days(30);
    let reply = berth.call(secret, Method::GET, "/v1/projects", None).await;
    reply.expect(200);
    for (body, line) in [
        (
            json!({"expires_at": "2020-01-01T00:00:00Z"}),
            "422 invalid_field [expires_at]",
        ),
        (
            json!({"expires_at": "soon"}),
            "422 invalid_field [expires_at]",
        ),
        (json!({"name": null}), "422 invalid_field [name]"),
        (json!({"scopes": ["read"]}), "422 invalid_field [scopes]"),
    ] {
        assert_eq!(berth.patch(&path, body).await.line(), line);
    }
    berth.delete(&path).await.expect(204);
    let body = json!({"expires_at": null});
    assert_eq!(berth.patch(&path, body).await.line(), "409 token_revoked");
    assert_eq!(
        berth.get("/v1/tokens/tok_ffff").await.line(),
        "404 token_not_found"
    );
}

#[tokio::test]
async fn a_kept_secret_is_handed_out_again_and_each_reading_told() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "ci", "preset": "plan", "keep_secret": true});
    let made = berth.post("/v1/tokens", body).await.expect(201);
    let path = format!("/v1/tokens/{}/secret", made["id"].as_str().unwrap());
    let read = berth.get(&path).await.expect(200);
    assert_eq!(
        (&read["secret"], &read["inert"]),
        (&made["secret"], &json!(false))
    );
    let events = || berth.get("/v1/events?kind=token.secret_read");
    assert_eq!(
        events().await.expect(200)["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Who plans gets one that opens nothing, and leaves no trace.
    let planner = berth.token("plan", None).await;
    let inert = berth.call(&planner, Method::GET, &path, None).await;
    let inert = inert.expect(200);
    assert_eq!(inert["inert"], json!(true));
    let secret = inert["secret"].as_str().unwrap();
    assert_eq!(secret.len(), made["secret"].as_str().unwrap().len());
    let reply = berth.call(secret, Method::GET, "/v1/projects", None).await;
    assert_eq!(reply.line(), "401 unauthenticated");
    let applier = berth.token("apply", None).await;
    let reply = berth.call(&applier, Method::GET, &path, None).await;
    assert_eq!(reply.line(), "403 scope_missing");
    assert_eq!(
        events().await.expect(200)["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let plain = json!({"name": "ci", "preset": "plan"});
    let plain = berth.post("/v1/tokens", plain).await.expect(201);
    let other = format!("/v1/tokens/{}/secret", plain["id"].as_str().unwrap());
    assert_eq!(berth.get(&other).await.line(), "409 secret_not_kept");
    berth
        .delete(path.trim_end_matches("/secret"))
        .await
        .expect(204);
    assert_eq!(berth.get(&path).await.line(), "409 token_revoked");
}
