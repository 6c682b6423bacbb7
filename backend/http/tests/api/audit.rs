//! The journal: who changed what to what, with which token.

use crate::calls::{Call, Scene, operations};
use crate::support::{TestBerth, postgres, request};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// The events of a question.
async fn events(berth: &TestBerth, query: &str) -> Vec<Value> {
    let body = berth.get(&format!("/v1/events?{query}")).await.expect(200);
    body["events"].as_array().unwrap().clone()
}

/// The events of a question, two a page, until a page says that it is the last.
async fn all_pages(berth: &TestBerth, query: &str) -> Vec<Value> {
    let mut read = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("/v1/events?{query}&page_size=2{next}");
        let page = berth.get(&path).await.expect(200);
        read.extend(page["events"].as_array().unwrap().clone());
        let Some(token) = page["next_page_token"].as_str() else {
            return read;
        };
        assert!(read.len() < 1000, "the pages never end");
        next = format!("&page_token={token}");
    }
}

/// One change of an event, as `[from, to]`.
fn change(event: &Value, field: &str) -> Option<Value> {
    let found = event["changes"].as_array().unwrap();
    let found = found.iter().find(|c| c["field"] == json!(field))?;
    assert_eq!(found["sensitive"], json!(false), "{event}");
    Some(json!([found["from"], found["to"]]))
}

fn sensitive(event: &Value, field: &str) -> bool {
    let found = event["changes"].as_array().unwrap();
    let found = found.iter().find(|c| c["field"] == json!(field));
    found.is_some_and(|c| c["sensitive"] == json!(true) && c["from"].is_null() && c["to"].is_null())
}

#[tokio::test]
async fn a_change_says_who_made_what_of_what() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    let person = berth
        .person("ada", Some(("default", "owner")), "apply")
        .await;
    berth.pass_days(1);
    let body = json!({"plan": "large", "pooler": {"default_pool_size": 60}, "tags": {"team": "a"}});
    berth
        .call(
            &person.token,
            Method::PATCH,
            "/v1/databases/orders",
            Some(body),
        )
        .await
        .expect(200);
    let found = events(&berth, &format!("database_id={id}&kind=database.changed")).await;
    assert_eq!(found.len(), 1);
    let event = &found[0];
    assert_eq!(
        event["actor"],
        json!({
            "kind": "token", "token_id": event["actor"]["token_id"], "token_name": "apply",
            "user_id": person.id, "user_name": "ada", "address": null,
        })
    );
    assert!(
        event["actor"]["token_id"]
            .as_str()
            .unwrap()
            .starts_with("tok_")
    );
    assert_eq!(change(event, "plan"), Some(json!(["small", "large"])));
    assert_eq!(
        change(event, "pooler.default_pool_size"),
        Some(json!([20, 60]))
    );
    assert_eq!(change(event, "tags"), Some(json!([{}, {"team": "a"}])));
    assert_eq!(event["changes"].as_array().unwrap().len(), 3, "{event}");
    assert_eq!(event["at"], json!("2026-02-26T10:00:00Z"));
    // Asked since the last look, whoever it was that changed it is named.
    let since = events(
        &berth,
        &format!("database_id={id}&since=2026-02-26T00:00:00Z"),
    )
    .await;
    assert_eq!(since, found);
    let newest = events(
        &berth,
        &format!("database_id={id}&order=newest&page_size=1"),
    )
    .await;
    assert_eq!(newest, found);
}

/// Who destroyed it is asked for when it is gone.
#[tokio::test]
async fn the_events_of_a_destroyed_project_are_found_by_its_id() {
    let berth = TestBerth::start().await;
    let made = berth.post("/v1/projects", json!({"name": "shop"})).await;
    let made = made.expect(201);
    let id = made["project"]["id"].as_str().unwrap();
    let ada = berth.person("ada", Some(("shop", "owner")), "apply").await;
    let eve = berth.person("eve", None, "apply").await;
    let gone = berth
        .call(&ada.token, Method::DELETE, "/v1/projects/shop", None)
        .await;
    assert_eq!(gone.status, 204);
    let path = format!("/v1/events?project_id={id}&kind=project.destroyed");
    for token in [&berth.admin, &ada.token] {
        let found = berth
            .call(token, Method::GET, &path, None)
            .await
            .expect(200);
        assert_eq!(found["events"][0]["actor"]["user_name"], "ada", "{found}");
    }
    let foreign = berth.call(&eve.token, Method::GET, &path, None).await;
    assert_eq!(foreign.line(), "404 project_not_found");
    let named = berth.get("/v1/events?project_id=shop").await;
    assert_eq!(named.line(), "404 project_not_found");
}

#[tokio::test]
async fn each_operation_that_changes_something_or_tells_a_secret_has_its_callers_event() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "caller", "preset": "admin"});
    let caller = berth.post("/v1/tokens", body).await.expect(201);
    let token = caller["secret"].as_str().unwrap();
    for (number, (method, path)) in operations(&berth).await.iter().enumerate() {
        let what = format!("{method} {path}");
        let call = Call::of(method, path);
        let scene = Scene::set(&berth, token, number, call).await;
        let newest = events(&berth, "order=newest&page_size=1").await;
        let before = berth.store.version().await.unwrap();
        let reply = scene.send(&berth, token, call).await;
        assert!(reply.status.is_success(), "{what}: {}", reply.text);
        let changes = method != "get" && path != "/v1/plan";
        let tells = scene.is_told_in(&reply.text);
        assert_eq!(call.event.is_some(), changes || tells, "{what}");
        let raised = events(&berth, &format!("after={}", newest[0]["sequence"])).await;
        for event in &raised {
            assert_eq!(event["actor"]["token_id"], caller["id"], "{what}: {event}");
        }
        let last = raised.last().map(|event| event["kind"].as_str().unwrap());
        assert_eq!(last, call.event, "{what}: {raised:?}");
        let after = berth.store.version().await.unwrap();
        assert_eq!(after == before, call.event.is_none(), "{what}");
    }
}

#[tokio::test]
async fn an_event_tells_what_changed() {
    let berth = TestBerth::start().await;
    let shop = berth.post("/v1/projects", json!({"name": "shop"})).await;
    shop.expect(201);
    let body =
        json!({"name": "orders", "engine": "postgresql", "project_id": "shop", "unclaimed": true});
    let made = berth.database(body).await;
    let id = made["id"].as_str().unwrap();
    let at = |verb: &str| format!("/v1/databases/{id}/{verb}");
    berth.post(&at("claim"), json!({})).await.expect(200);
    berth.settle(id).await;
    for verb in ["stop", "start", "restart", "rotate"] {
        berth.post(&at(verb), json!({})).await.expect(202);
        berth.settle(id).await;
    }
    berth.get(&at("credentials")).await.expect(200);
    berth
        .patch("/v1/projects/shop", json!({"description": "a shop"}))
        .await
        .expect(200);
    let ada = berth.person("ada", Some(("shop", "viewer")), "plan").await;
    berth
        .patch("/v1/users/ada", json!({"email": "ada@example.com"}))
        .await
        .expect(200);
    let member = "/v1/projects/shop/members/ada";
    berth
        .call(
            &berth.admin,
            Method::PUT,
            member,
            Some(json!({"role": "editor"})),
        )
        .await
        .expect(200);
    berth.delete(member).await.expect(204);
    berth.delete("/v1/users/ada").await.expect(204);
    let path = format!("/v1/databases/{id}");
    berth.delete(&path).await.expect(200);
    berth.post(&at("undelete"), json!({})).await.expect(202);
    berth.delete(&path).await.expect(200);
    berth.delete(&format!("/v1/trash/{id}")).await.expect(202);
    let told = events(&berth, "").await;
    let one = |kind: &str| told.iter().find(|e| e["kind"] == json!(kind)).unwrap();
    assert_eq!(
        change(one("database.created"), "name"),
        Some(json!([null, "orders"]))
    );
    assert!(sensitive(one("database.created"), "password"));
    assert!(sensitive(one("token.created"), "secret"));
    assert_eq!(
        change(one("database.claimed"), "claimed"),
        Some(json!([false, true]))
    );
    let stopped = told
        .iter()
        .filter_map(|e| change(e, "desired_status"))
        .any(|c| c == json!(["running", "stopped"]));
    assert!(stopped, "{told:?}");
    let rotated = told
        .iter()
        .find(|e| change(e, "credential_version") == Some(json!([1, 2])));
    assert!(sensitive(rotated.unwrap(), "password"));
    assert_eq!(
        change(one("member.changed"), "role"),
        Some(json!(["viewer", "editor"]))
    );
    let destroyed = change(one("database.destroyed"), "recoverable_until").unwrap();
    assert!(destroyed[0].is_null() && destroyed[1].is_string());
    assert!(change(one("user.deleted"), "id").is_some_and(|c| c[0] == json!(ada.id)));
}

#[tokio::test]
async fn no_event_holds_a_secret() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let id = made["id"].as_str().unwrap();
    berth.settle(id).await;
    berth
        .post(&format!("/v1/databases/{id}/rotate"), json!({}))
        .await
        .expect(202);
    let body = json!({"name": "ci", "preset": "plan", "keep_secret": true});
    let token = berth.post("/v1/tokens", body).await.expect(201);
    let secret = token["secret"].as_str().unwrap();
    let path = format!("/v1/tokens/{}/secret", token["id"].as_str().unwrap());
    berth.get(&path).await.expect(200);
    let password = crate::support::password_of(&berth, id).await;
    let credentials = berth.get(&format!("/v1/databases/{id}/credentials")).await;
    // The same search finds them where they belong.
    assert!(credentials.text.contains(password.reveal()));
    assert!(token.to_string().contains(secret));
    let told = berth.get("/v1/events").await.text;
    for hidden in [password.reveal(), secret] {
        assert!(!told.contains(hidden), "{told}");
    }
}

#[tokio::test]
async fn events_are_filtered_and_paged() {
    let berth = TestBerth::start().await;
    let ada = berth
        .person("ada", Some(("default", "editor")), "apply")
        .await;
    for name in ["orders", "carts"] {
        let body = Some(postgres(name));
        let made = berth
            .call(&ada.token, Method::POST, "/v1/databases", body)
            .await;
        made.expect(201);
    }
    berth.database(postgres("bills")).await;
    assert_eq!(events(&berth, "kind=database").await.len(), 3);
    assert_eq!(events(&berth, "kind=database.created").await.len(), 3);
    assert_eq!(events(&berth, "kind=data").await.len(), 0);
    let own = events(&berth, &format!("actor={}", ada.id)).await;
    assert_eq!(own.len(), 2);
    let token = own[0]["actor"]["token_id"].as_str().unwrap();
    assert_eq!(events(&berth, &format!("actor={token}")).await, own);
    assert_eq!(events(&berth, "database_id=bills").await.len(), 1);
    assert_eq!(events(&berth, "until=2026-02-25T10:00:00Z").await.len(), 0);
    assert_eq!(events(&berth, "since=2026-02-25T10:00:01Z").await.len(), 0);

    let forth = all_pages(&berth, "kind=database&order=oldest").await;
    let mut back = all_pages(&berth, "kind=database&order=newest").await;
    back.reverse();
    assert_eq!(forth, back);
    assert_eq!(forth.len(), 3);

    for (query, line) in [
        ("since=yesterday", "422 invalid_field [since]"),
        ("until=1", "422 invalid_field [until]"),
        ("actor=ada", "422 invalid_field [actor]"),
        ("order=random", "422 invalid_field [order]"),
        ("after=first", "422 invalid_field [after]"),
        ("after=1&order=newest", "422 invalid_field [after]"),
        ("project_id=nope", "404 project_not_found"),
        ("database_id=nope", "404 database_not_found"),
    ] {
        let reply = berth.get(&format!("/v1/events?{query}")).await;
        assert_eq!(reply.line(), line, "{query}");
    }
}

#[tokio::test]
async fn whoever_read_another_journal_is_told_to_begin_anew() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let newest = berth.get("/v1/events?order=newest&page_size=1").await;
    let last = newest.expect(200)["last_sequence"].as_i64().unwrap();
    let stream = async |path: &str, last_event_id: Option<i64>| {
        let mut sent = request(&berth.admin, Method::GET, path, None);
        let headers = sent.headers_mut();
        headers.insert("accept", "text/event-stream".parse().unwrap());
        if let Some(id) = last_event_id {
            headers.insert("last-event-id", id.to_string().parse().unwrap());
        }
        // Of a stream only the beginning is looked at.
        let router = berth_http::router(Arc::clone(&berth.services), berth_http::Config::default());
        router.oneshot(sent).await.unwrap().status()
    };
    for (after, status) in [(last, StatusCode::OK), (last + 1, StatusCode::BAD_REQUEST)] {
        let path = format!("/v1/events?after={after}");
        let reply = berth.get(&path).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        assert_eq!(stream("/v1/events", Some(after)).await, status, "{after}");
        assert_eq!(stream(&path, None).await, status, "{after}");
    }
    let path = format!("/v1/events?after={}", last + 1);
    assert_eq!(berth.get(&path).await.line(), "400 page_gone");
}

#[tokio::test]
async fn whoever_read_the_journal_goes_on_where_it_ended() {
    let berth = TestBerth::start().await;
    let page = |query: &'static str| berth.get(query);
    let none = page("/v1/events?kind=database").await.expect(200);
    assert_eq!(
        none,
        json!({"events": [], "next_page_token": null, "last_sequence": 0})
    );
    berth.database(postgres("orders")).await;
    let newest = page("/v1/events?order=newest&page_size=1").await;
    let last = newest.expect(200)["last_sequence"].as_i64().unwrap();
    let path = format!("/v1/events?after={last}");
    let later = berth.get(&path).await.expect(200);
    // Nothing happened since, and that is where it still goes on.
    assert_eq!(
        later,
        json!({"events": [], "next_page_token": null, "last_sequence": last})
    );
    for name in ["bills", "carts", "drafts"] {
        berth.database(postgres(name)).await;
    }
    // A page token goes on within the question that it came from.
    let read = all_pages(&berth, &format!("after={last}")).await;
    let read: Vec<_> = read
        .iter()
        .map(|e| e["sequence"].as_i64().unwrap())
        .collect();
    assert_eq!(read, [last + 1, last + 2, last + 3]);
}

#[tokio::test]
async fn a_member_reads_the_journal_of_its_projects_only() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    berth.database(postgres("ledger")).await;
    let body = json!({"name": "orders", "engine": "postgresql", "project_id": "shop"});
    berth.database(body).await;
    let vera = berth.person("vera", Some(("shop", "viewer")), "plan").await;
    let read = berth
        .call(&vera.token, Method::GET, "/v1/events", None)
        .await
        .expect(200);
    let read = read["events"].as_array().unwrap();
    assert!(!read.is_empty());
    let shop = berth.get("/v1/projects/shop").await.expect(200);
    for event in read {
        assert_eq!(event["project_id"], shop["project"]["id"], "{event}");
    }
    let kinds: Vec<_> = read.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["project.created", "database.created", "member.added"]
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let berth = TestBerth::start().await;
    let made = berth
        .post("/v1/tokens", json!({"name": "watch", "preset": "plan"}))
        .await
        .expect(201);
    let secret = berth_domain::Secret::new(made["secret"].as_str().unwrap());
    let caller = berth.services.authenticate(&secret, None).await.unwrap();
    let list = berth_services::EventList::default();
    let mut stream = berth
        .services
        .follow_events(&caller, &list, None)
        .await
        .unwrap();
    berth.database(postgres("orders")).await;
    let told = stream.next(10).await.unwrap().unwrap();
    assert_eq!(told[0].kind, "database.created");
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    berth.delete(&path).await.expect(204);
    berth.database(postgres("carts")).await;
    assert_eq!(stream.next(10).await.unwrap(), None);
}

#[tokio::test]
async fn a_secret_that_is_told_again_under_a_key_is_in_the_journal() {
    let berth = TestBerth::start().await;
    let body = json!({"name": "ci", "preset": "plan"});
    let keyed = |body: &Value| {
        let body = Some(body.clone());
        let mut sent = request(&berth.admin, Method::POST, "/v1/tokens", body);
        let headers = sent.headers_mut();
        headers.insert("idempotency-key", "k1".parse().unwrap());
        berth.send(sent)
    };
    let readings = async || {
        let page = berth.get("/v1/events?kind=token.secret_read").await;
        page.expect(200)["events"].as_array().unwrap().clone()
    };
    let made = keyed(&body).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.expect(201);
    assert_eq!(readings().await.len(), 0);
    for again in 1..=2 {
        let reply = keyed(&body).await;
        assert_eq!(reply.header("idempotency-replayed"), "true");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.expect(201), made);
        let told = readings().await;
        assert_eq!(told.len(), again);
        let last = &told[again - 1];
        let message = last["message"].as_str().unwrap();
        assert!(message.contains(made["id"].as_str().unwrap()), "{message}");
        assert_eq!(last["actor"]["token_name"], "admin");
    }
    // Another request under that key is told nothing.
    let other = json!({"name": "other", "preset": "plan"});
    let reply = keyed(&other).await;
    assert_eq!(reply.line(), "422 idempotency_key_reused");
    assert_eq!(readings().await.len(), 2);
}
