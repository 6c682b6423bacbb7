//! A call of each closed operation of the document that does what the operation is there for.
//!
//! Whoever looks at all operations goes through these: who may not is refused the call that
//! others may make, and whoever makes it is in the journal. An operation without a row is found.

use crate::support::{Reply, TestBerth, password_of, postgres};
use axum::http::Method;
use serde_json::{Value, json};

/// One operation, and what is sent.
pub struct Call {
    pub method: &'static str,
    /// The path as the document has it.
    pub path: &'static str,
    /// The right without which it is refused.
    pub right: &'static str,
    /// The last event of it, where it changes something or tells a secret.
    pub event: Option<&'static str>,
    query: &'static str,
    body: &'static str,
    /// What is done first, so that it can be done: method and path.
    after: &'static [(&'static str, &'static str)],
}

/// A call that only reads.
const fn reads(path: &'static str) -> Call {
    Call {
        method: "get",
        path,
        right: "read",
        event: None,
        query: "",
        body: "",
        after: &[],
    }
}

/// A call that leaves an event of that kind.
const fn writes(method: &'static str, path: &'static str, event: &'static str) -> Call {
    Call {
        method,
        right: "write",
        event: Some(event),
        ..reads(path)
    }
}

impl Call {
    const fn needs(self, right: &'static str) -> Self {
        Self { right, ..self }
    }

    const fn tells(self, event: &'static str) -> Self {
        let event = Some(event);
        Self { event, ..self }
    }

    const fn with(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    const fn after(self, after: &'static [(&'static str, &'static str)]) -> Self {
        Self { after, ..self }
    }

    /// The row of an operation.
    pub fn of(method: &str, path: &str) -> &'static Self {
        let mut calls = CALLS.iter();
        let found = calls.find(|call| call.method == method && call.path == path);
        found.unwrap_or_else(|| panic!("{method} {path} has no row"))
    }
}

/// All of them.
pub const CALLS: &[Call] = &[
    reads("/v1/server"),
    reads("/v1/catalogue"),
    Call {
        method: "post",
        ..reads("/v1/plan").needs("plan").with(
            r#"{"resources": [{"kind": "project", "id": "PROJECT", "config": {"name": "taken"}}]}"#,
        )
    },
    Call {
        query: "?kind=database",
        ..reads("/v1/snapshot")
    },
    reads("/v1/events"),
    reads("/v1/operations/{operation}"),
    reads("/v1/projects"),
    writes("post", "/v1/projects", "project.created").with(r#"{"name": "another"}"#),
    reads("/v1/projects/{project}"),
    writes("patch", "/v1/projects/{project}", "project.changed")
        .with(r#"{"description": "changed"}"#),
    writes("delete", "/v1/projects/{project}", "project.destroyed"),
    writes("post", "/v1/projects/{project}/claim", "project.claimed"),
    writes(
        "post",
        "/v1/projects/{project}/undelete",
        "project.restored",
    )
    .after(&[("delete", "/v1/projects/{project}")]),
    writes(
        "post",
        "/v1/projects/{project}/sleep",
        "project.sleep_ordered",
    ),
    writes(
        "post",
        "/v1/projects/{project}/wake",
        "project.wake_ordered",
    )
    .after(&[("post", "/v1/projects/{project}/sleep")]),
    reads("/v1/projects/{project}/env").tells("env.read"),
    writes("put", "/v1/projects/{project}/env/{name}", "env.changed")
        .with(r#"{"value": "another"}"#),
    writes("delete", "/v1/projects/{project}/env/{name}", "env.removed"),
    reads("/v1/projects/{project}/env_versions"),
    writes(
        "post",
        "/v1/projects/{project}/env/{name}/restore",
        "env.changed",
    ),
    reads("/v1/projects/{project}/database"),
    writes(
        "post",
        "/v1/projects/{project}/database",
        "database.created",
    )
    .after(&[("delete", "/v1/projects/{project}/database")]),
    writes(
        "delete",
        "/v1/projects/{project}/database",
        "database.destroyed",
    ),
    reads("/v1/addon_providers"),
    reads("/api/v1/databases"),
    writes("post", "/api/v1/databases", "database.created").with(ANOTHER),
    reads("/api/v1/databases/{database}"),
    writes(
        "delete",
        "/api/v1/databases/{database}",
        "database.destroyed",
    ),
    reads("/api/v1/databases/{database}/credentials")
        .needs("credentials")
        .tells("credentials.read"),
    reads("/v1/databases"),
    writes("post", "/v1/databases", "database.created").with(ANOTHER),
    reads("/v1/databases/{database}"),
    writes("patch", "/v1/databases/{database}", "database.changed")
        .with(r#"{"tags": {"team": "blue"}}"#),
    writes("delete", "/v1/databases/{database}", "database.destroyed"),
    writes("post", "/v1/databases/{database}/claim", "database.claimed"),
    reads("/v1/databases/{database}/credentials")
        .needs("credentials")
        .tells("credentials.read"),
    writes(
        "post",
        "/v1/databases/{database}/rotate",
        "database.changed",
    ),
    writes(
        "post",
        "/v1/databases/{database}/undelete",
        "database.restored",
    )
    .after(&[("delete", "/v1/databases/{database}")]),
    writes("post", "/v1/databases/{database}/start", "database.changed")
        .after(&[("post", "/v1/databases/{database}/stop")]),
    writes("post", "/v1/databases/{database}/stop", "database.changed"),
    writes(
        "post",
        "/v1/databases/{database}/restart",
        "database.restarted",
    ),
    reads("/v1/databases/{database}/operations"),
    reads("/v1/trash"),
    reads("/v1/trash/projects"),
    writes("delete", "/v1/trash/{database}", "database.purge_ordered")
        .needs("unprotect")
        .after(&[("delete", "/v1/databases/{database}")]),
    reads("/v1/tokens").needs("admin"),
    writes("post", "/v1/tokens", "token.created")
        .needs("admin")
        .with(r#"{"name": "another", "preset": "plan", "project_id": "PROJECT"}"#),
    reads("/v1/tokens/{token}").needs("admin"),
    writes("patch", "/v1/tokens/{token}", "token.changed")
        .needs("admin")
        .with(r#"{"name": "renamed"}"#),
    writes("delete", "/v1/tokens/{token}", "token.revoked").needs("admin"),
    reads("/v1/tokens/{token}/secret")
        .needs("admin")
        .tells("token.secret_read"),
    reads("/v1/projects/{project}/members"),
    reads("/v1/projects/{project}/members/{user}"),
    writes(
        "put",
        "/v1/projects/{project}/members/{user}",
        "member.changed",
    )
    .needs("admin")
    .with(r#"{"role": "editor"}"#),
    writes(
        "delete",
        "/v1/projects/{project}/members/{user}",
        "member.removed",
    )
    .needs("admin"),
    reads("/v1/users").needs("admin"),
    writes("post", "/v1/users", "user.created")
        .needs("admin")
        .with(r#"{"name": "another"}"#),
    reads("/v1/users/{user}").needs("admin"),
    writes("patch", "/v1/users/{user}", "user.changed")
        .needs("admin")
        .with(r#"{"email": "changed@example.com"}"#),
    writes("delete", "/v1/users/{user}", "user.deleted").needs("admin"),
];

const ANOTHER: &str = r#"{"name": "another", "engine": "postgresql", "project_id": "PROJECT"}"#;

/// A project with one of everything in it, in which a call can be made.
pub struct Scene {
    pub project: String,
    database: String,
    operation: String,
    token: String,
    user: String,
    /// What no answer tells without an event.
    secrets: [String; 3],
}

impl Scene {
    /// Made by a token of an administrator, for one call; the number tells it from others.
    pub async fn set(berth: &TestBerth, token: &str, number: usize, call: &Call) -> Self {
        // A host is no larger for there being many of them.
        *berth.host.capacity.lock().unwrap() = None;
        let send = async |method: Method, path: &str, body: Value| {
            let reply = berth.call(token, method, path, Some(body)).await;
            assert!(reply.status.is_success(), "{path}: {}", reply.text);
            reply.body
        };
        let shop =
            json!({"name": format!("scene-{number}"), "unclaimed": true, "on_destroy": "cascade"});
        let project = text(
            &send(Method::POST, "/v1/projects", shop).await["project"],
            "id",
        );
        let mut wish = postgres("scene-orders");
        wish["project_id"] = json!(project);
        wish["unclaimed"] = json!(true);
        let database = send(Method::POST, "/v1/databases", wish).await["database"].clone();
        berth.settle(&text(&database, "id")).await;
        let variable = format!("/v1/projects/{project}/env/KEY");
        for value in ["scene-before", "scene-value"] {
            send(Method::PUT, &variable, json!({"value": value})).await;
        }
        let person = json!({"name": format!("scene-{number}")});
        let user = text(&send(Method::POST, "/v1/users", person).await["user"], "id");
        let member = format!("/v1/projects/{project}/members/{user}");
        send(Method::PUT, &member, json!({"role": "viewer"})).await;
        let body =
            json!({"name": "scene", "preset": "plan", "project_id": project, "keep_secret": true});
        let kept = send(Method::POST, "/v1/tokens", body).await;
        let password = password_of(berth, &text(&database, "id")).await;
        let scene = Self {
            project,
            operation: text(&database, "operation_id"),
            database: text(&database, "id"),
            token: text(&kept, "id"),
            user,
            secrets: [
                password.reveal().to_owned(),
                text(&kept, "secret"),
                "scene-value".to_owned(),
            ],
        };
        for (method, path) in call.after {
            send(word(method), &scene.path(path), json!({})).await;
        }
        scene
    }

    /// Makes the call in it.
    pub async fn send(&self, berth: &TestBerth, token: &str, call: &Call) -> Reply {
        let body = match call.body {
            "" => None,
            body => serde_json::from_str(&body.replace("PROJECT", &self.project)).unwrap(),
        };
        let path = self.path(call.path) + call.query;
        berth.call(token, word(call.method), &path, body).await
    }

    /// A path of the document with what is there in it.
    fn path(&self, template: &str) -> String {
        template
            .replace("{project}", &self.project)
            .replace("{database}", &self.database)
            .replace("{operation}", &self.operation)
            .replace("{token}", &self.token)
            .replace("{user}", &self.user)
            .replace("{name}", "KEY")
    }

    /// Whether a text has something of it, or of any other scene.
    pub fn is_named_in(&self, text: &str) -> bool {
        let ids = [
            &self.project,
            &self.database,
            &self.operation,
            &self.token,
            &self.user,
        ];
        ids.iter().any(|id| text.contains(id.as_str())) || text.contains("scene-")
    }

    /// Whether a text has one of its secrets in it.
    pub fn is_told_in(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret))
    }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

fn word(method: &str) -> Method {
    Method::from_bytes(method.to_uppercase().as_bytes()).unwrap()
}

/// The closed operations of the document: method and path.
pub async fn operations(berth: &TestBerth) -> Vec<(String, String)> {
    let document = berth.get("/openapi.json").await.expect(200);
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] != json!([]) {
                found.push((method.clone(), path.clone()));
            }
        }
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}
