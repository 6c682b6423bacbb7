//! A token that is bound to one project, at each operation of the document with the ids of
//! another project: it finds nothing, learns nothing and changes nothing. Who has no token, a
//! wrong one or too small a scope is in `access`.

use crate::support::{Reply, TestBerth, postgres};
use axum::http::Method;
use serde_json::{Value, json};

/// What the other project's token is answered.
enum Foreign {
    /// A refusal: status and code.
    Refused(&'static str),
    /// An answer in which nothing of the other project stands.
    Own,
}

use Foreign::{Own, Refused};

/// Operations whose answer is not the usual one, and those that need a body to be anything. An
/// operation on something (with a variable in its path) is usually 404, a list is usually one's
/// own; whatever else there is needs a row here.
const ROWS: &[(&str, &str, &str, Foreign)] = &[
    (
        "post",
        "/v1/plan",
        r#"{"resources": [{"kind": "project", "id": "PROJECT", "config": {"name": "taken"}}]}"#,
        Own,
    ),
    (
        "post",
        "/v1/projects",
        r#"{"name": "gamma"}"#,
        Refused("403 project_forbidden"),
    ),
    (
        "post",
        "/v1/databases",
        r#"{"name": "bills", "engine": "postgresql", "project_id": "PROJECT"}"#,
        Refused("404 project_not_found [project_id]"),
    ),
    (
        "post",
        "/api/v1/databases",
        r#"{"name": "bills", "engine": "postgresql", "project_id": "PROJECT"}"#,
        Refused("404 project_not_found [project_id]"),
    ),
    (
        "put",
        "/v1/projects/{project}/env/{name}",
        r#"{"value": "x"}"#,
        Refused("404 project_not_found"),
    ),
    (
        "put",
        "/v1/projects/{project}/members/{user}",
        r#"{"role": "viewer"}"#,
        Refused("404 project_not_found"),
    ),
    (
        "patch",
        "/v1/users/{user}",
        "{}",
        Refused("403 administrator_only"),
    ),
    (
        "delete",
        "/v1/users/{user}",
        "",
        Refused("403 administrator_only"),
    ),
    (
        "post",
        "/v1/users",
        r#"{"name": "mallory"}"#,
        Refused("403 administrator_only"),
    ),
    (
        "post",
        "/v1/tokens",
        r#"{"name": "t", "preset": "plan", "project_id": "PROJECT"}"#,
        Refused("404 project_not_found [project_id]"),
    ),
];

/// The other project and everything in it.
struct Theirs {
    project: String,
    database: String,
    destroyed: String,
    operation: String,
    token: String,
    user: String,
}

impl Theirs {
    async fn make(berth: &TestBerth) -> Self {
        let made = berth.post("/v1/projects", json!({"name": "alpha"})).await;
        let project = text(&made.expect(201)["project"], "id");
        let database = |name: &str| {
            let mut body = postgres(name);
            body["project_id"] = json!(project);
            body
        };
        let living = berth.database(database("theirs-alive")).await;
        let destroyed = berth.database(database("theirs-gone")).await;
        for one in [&living, &destroyed] {
            berth.settle(&text(one, "id")).await;
        }
        let path = format!("/v1/databases/{}", text(&destroyed, "id"));
        berth.delete(&path).await.expect(200);
        berth.settle(&text(&destroyed, "id")).await;
        let body = json!({"name": "theirs", "preset": "plan", "project_id": project});
        let token = berth.post("/v1/tokens", body).await.expect(201);
        let person = json!({"name": "theirs-person"});
        let person = berth.post("/v1/users", person).await.expect(201);
        Self {
            operation: text(&living, "operation_id"),
            database: text(&living, "id"),
            destroyed: text(&destroyed, "id"),
            token: text(&token, "id"),
            user: text(&person["user"], "id"),
            project,
        }
    }

    /// A path of the document with their ids in it.
    fn path(&self, template: &str) -> String {
        let database = match template {
            "/v1/trash/{database}" | "/v1/databases/{database}/undelete" => &self.destroyed,
            _ => &self.database,
        };
        template
            .replace("{project}", &self.project)
            .replace("{database}", database)
            .replace("{operation}", &self.operation)
            .replace("{token}", &self.token)
            .replace("{user}", &self.user)
            .replace("{name}", "SECRET")
    }

    fn is_named_in(&self, text: &str) -> bool {
        let ids = [
            &self.project,
            &self.database,
            &self.destroyed,
            &self.operation,
            &self.token,
            &self.user,
        ];
        ids.iter().any(|id| text.contains(id.as_str())) || text.contains("theirs-")
    }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

/// The closed operations of the document: method and path.
fn operations(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] != json!([]) {
                found.push((method.clone(), path.clone()));
            }
        }
    }
    found
}

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
    let theirs = Theirs::make(&berth).await;
    berth
        .post("/v1/projects", json!({"name": "beta"}))
        .await
        .expect(201);
    let other = berth.token("admin", Some("beta")).await;
    let document = berth.get("/openapi.json").await.expect(200);
    let operations = operations(&document);
    assert!(operations.len() > 25, "{}", operations.len());
    for (method, path, _, _) in ROWS {
        let known = operations.iter().any(|(m, p)| m == method && p == path);
        assert!(known, "{method} {path} is in no document");
    }
    for (method, template) in operations {
        let what = format!("{method} {template}");
        let row = ROWS
            .iter()
            .find(|(m, p, _, _)| *m == method && *p == template);
        let body = match row {
            Some((_, _, body, _)) => Some(*body),
            None if ["put", "patch", "post"].contains(&method.as_str()) => Some("{}"),
            None => None,
        };
        let body = body.filter(|body| !body.is_empty()).map(|body| {
            let body = body.replace("PROJECT", &theirs.project);
            serde_json::from_str(&body).unwrap()
        });
        let path = match template.as_str() {
            "/v1/snapshot" => "/v1/snapshot?kind=database".to_owned(),
            _ => theirs.path(&template),
        };
        let before = berth.store.version().await.unwrap();
        let word = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let reply = berth.call(&other, word, &path, body).await;
        match row.map(|(_, _, _, foreign)| foreign) {
            Some(Refused(line)) => assert_refused(&reply, line, &what),
            Some(Own) => assert_own(&reply, &theirs, &what),
            None if !template.contains('{') && method == "get" => {
                assert_own(&reply, &theirs, &what);
            }
            None => {
                let line = usual(&template).unwrap_or_else(|| panic!("{what} has no row"));
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

fn assert_own(reply: &Reply, theirs: &Theirs, what: &str) {
    assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    // What was sent may come back, in a sentence that says that there is no such thing.
    let told = match what.starts_with("post ") {
        true => reply.text.replace(&theirs.project, ""),
        false => reply.text.clone(),
    };
    assert!(!theirs.is_named_in(&told), "{what}: {}", reply.text);
}
