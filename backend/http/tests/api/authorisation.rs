//! A token that is bound to one project, at each operation of the document with the ids of
//! another project: it finds nothing, learns nothing and changes nothing. Who has no token, a
//! wrong one or too small a scope is in `access`.

use crate::calls::{Call, Scene, operations};
use crate::support::{Reply, TestBerth};
use axum::http::Method;
use serde_json::json;

/// What the other project's token is answered.
enum Foreign {
    /// A refusal: status and code.
    Refused(&'static str),
    /// An answer in which nothing of the other project stands.
    Own,
}

use Foreign::{Own, Refused};

/// Operations whose answer is not the usual one. An operation on something (with a variable in
/// its path) is usually 404, a list is usually one's own; whatever else there is needs a row.
const ROWS: &[(&str, &str, Foreign)] = &[
    ("post", "/v1/plan", Own),
    ("post", "/v1/projects", Refused("403 project_forbidden")),
    ("post", "/v1/databases", Refused(NO_SUCH_PROJECT)),
    ("post", "/api/v1/databases", Refused(NO_SUCH_PROJECT)),
    ("post", "/v1/tokens", Refused(NO_SUCH_PROJECT)),
    ("post", "/v1/users", Refused("403 administrator_only")),
    (
        "patch",
        "/v1/users/{user}",
        Refused("403 administrator_only"),
    ),
    (
        "delete",
        "/v1/users/{user}",
        Refused("403 administrator_only"),
    ),
];
const NO_SUCH_PROJECT: &str = "404 project_not_found [project_id]";

/// The usual refusal: what the path names first does not exist for this token. What it names
/// after that is not even looked for.
fn usual(template: &str) -> Option<&'static str> {
    let (_, rest) = template.split_once('{')?;
    Some(match rest.split_once('}')?.0 {
        "project" => "404 project_not_found",
        "database" => "404 database_not_found",
        "operation" => "404 operation_not_found",
        "token" => "404 token_not_found",
        "user" => "404 user_not_found",
        _ => return None,
    })
}

fn assert_refused(reply: &Reply, line: &str, what: &str) {
    assert_eq!(reply.line(), line, "{what}: {}", reply.text);
}

#[tokio::test]
async fn a_token_of_another_project_finds_nothing_and_changes_nothing() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "beta"}))
        .await
        .expect(201);
    let other = berth.token("admin", Some("beta")).await;
    let operations = operations(&berth).await;
    for (method, path, _) in ROWS {
        let known = operations.iter().any(|(m, p)| m == method && p == path);
        assert!(known, "{method} {path} is in no document");
    }
    for (number, (method, template)) in operations.iter().enumerate() {
        let what = format!("{method} {template}");
        let call = Call::of(method, template);
        let theirs = Scene::set(&berth, &berth.admin, number, call).await;
        let before = berth.store.version().await.unwrap();
        let reply = theirs.send(&berth, &other, call).await;
        let mut rows = ROWS.iter();
        match rows.find(|(m, p, _)| m == method && p == template) {
            Some((_, _, Refused(line))) => assert_refused(&reply, line, &what),
            Some((_, _, Own)) => assert_own(&reply, &theirs, &what),
            None if !template.contains('{') && method == "get" => {
                assert_own(&reply, &theirs, &what);
            }
            None => {
                let line = usual(template).unwrap_or_else(|| panic!("{what} has no row"));
                assert_refused(&reply, line, &what);
            }
        }
        // Nor does a list that is narrowed to the other project.
        if method == "get" && !template.contains('{') && template != "/v1/snapshot" {
            let path = format!("{template}?project_id={}", theirs.project);
            let narrowed = berth.call(&other, Method::GET, &path, None).await;
            assert!(narrowed.status.as_u16() < 500, "{what}: {}", narrowed.text);
            let told = narrowed.text.replace(&theirs.project, "");
            assert!(!theirs.is_named_in(&told), "{what}: {}", narrowed.text);
        }
        let after = berth.store.version().await.unwrap();
        assert_eq!(after, before, "{what} changed something");
    }
}

fn assert_own(reply: &Reply, theirs: &Scene, what: &str) {
    assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    // What was sent may come back, in a sentence that says that there is no such thing.
    let told = match what.starts_with("post ") {
        true => reply.text.replace(&theirs.project, ""),
        false => reply.text.clone(),
    };
    assert!(!theirs.is_named_in(&told), "{what}: {}", reply.text);
}
