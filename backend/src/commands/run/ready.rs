//! Databases that a command can reach: those that are being made or changed are waited for, and
//! those that sleep are woken, since the way past the pooler wakes nobody.

use crate::local::{Error as LocalError, Local};
use berth_api::{Database, DatabaseList, Operation, ProjectEnvelope};
use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

/// How long databases that were just ordered or woken may take until they run.
const READY_SECONDS_MAX: u64 = 180;
/// The phase of a database whose image is pulled or built.
const OBTAINING_IMAGE: &str = "obtaining_image";
/// How long one question waits for the end of an operation.
const WAIT_SECONDS: u64 = 20;
/// Pause between two looks at databases that are not there yet.
const LOOK_MILLIS: u64 = 200;

/// The project's databases, once those that can be reached are there, or as they are when that
/// takes too long and one of them runs: what is unfinished keeps no command from the others.
pub async fn until_there(local: &Local, project: &str) -> Result<Vec<Database>, Box<dyn Error>> {
    until_there_within(local, project, Duration::from_secs(READY_SECONDS_MAX)).await
}

async fn until_there_within(
    local: &Local,
    project: &str,
    patience: Duration,
) -> Result<Vec<Database>, Box<dyn Error>> {
    loop {
        if let Ok(found) = tokio::time::timeout(patience, look(local, project)).await {
            return Ok(told(found?));
        }
        let found = databases(local, project).await?;
        if found.iter().any(is_running) {
            return Ok(told(found));
        }
        let unfinished: Vec<_> = found.iter().map(sentence).collect();
        let unfinished = unfinished.join("; ");
        // A first image is built for longer than any engine starts, and its end is waited for.
        if !found.iter().any(|db| db.phase == OBTAINING_IMAGE) {
            let seconds = patience.as_secs();
            return Err(
                format!("no database is there after {seconds} seconds: {unfinished}").into(),
            );
        }
        eprintln!("berthd: still waiting: {unfinished}");
    }
}

/// Tells of those that do not run.
fn told(found: Vec<Database>) -> Vec<Database> {
    for database in found.iter().filter(|db| !is_running(db)) {
        eprintln!("berthd: {}", sentence(database));
    }
    found
}

fn sentence(database: &Database) -> String {
    let (name, status, phase) = (&database.name, &database.status, &database.phase);
    match database.desired_status.as_str() {
        "stopped" => format!("{name} is {status}, and stays so until desired_status is running"),
        _ => format!("{name} is {status} ({phase})"),
    }
}

async fn look(local: &Local, project: &str) -> Result<Vec<Database>, LocalError> {
    let mut over = HashSet::new();
    loop {
        let databases = databases(local, project).await?;
        if databases.iter().any(sleeps) {
            let path = format!("/v1/projects/{project}/wake");
            let _woken: ProjectEnvelope = local.post(&path, &serde_json::json!({})).await?;
            continue;
        }
        // One that runs may be about to have another password, which its status does not tell.
        let running = databases.iter().filter(|db| is_running(db));
        let on_their_way = databases.iter().filter(|db| is_on_its_way(db));
        let mut open = running.chain(on_their_way).filter_map(|db| {
            let operation = db.operation_id.clone()?;
            (!over.contains(&operation)).then_some((db, operation))
        });
        let Some((database, operation)) = open.next() else {
            return Ok(databases);
        };
        let path = format!("/v1/operations/{operation}?wait={WAIT_SECONDS}");
        let asked: Operation = local.get(&path).await?;
        let has_ended = asked.finished_at.is_some();
        if asked.state == "failed" || (has_ended && is_running(database)) {
            over.insert(operation);
            continue;
        }
        // One that is being repaired has no operation that could be waited for.
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
}

fn is_running(database: &Database) -> bool {
    database.status == "running"
}

fn sleeps(database: &Database) -> bool {
    database.stop_reason.as_deref() == Some("sleep")
}

/// Whether it will run without anybody's doing; one that is being woken is told as stopped until
/// its engine starts.
fn is_on_its_way(database: &Database) -> bool {
    database.status == "provisioning"
        || (database.status == "stopped" && database.desired_status == "running")
}

async fn databases(local: &Local, project: &str) -> Result<Vec<Database>, LocalError> {
    let path = format!("/v1/databases?project_id={project}");
    let parts = |page: DatabaseList| (page.databases, page.next_page_token);
    local.pages(&path, parts).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Options};
    use axum::routing::get;
    use serde_json::{Value as Json, json};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn settled(local: &Local, status: &str) -> Database {
        for _ in 0..600 {
            let found = databases(local, "proj_default").await.unwrap();
            if let [database] = found.as_slice()
                && database.status == status
            {
                return database.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the database is not {status}");
    }

    async fn until_it_answers(data_root: &Path) -> Local {
        for _ in 0..600 {
            if let Ok(local) = Local::connect(data_root)
                && local.get::<Json>("/v1/server").await.is_ok()
            {
                return local;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("berthd does not answer");
    }

    /// A command waits for what is made, wakes what sleeps, and leaves alone what is stopped.
    async fn story(data_root: &Path) {
        let local = until_it_answers(data_root).await;
        let order = json!({"name": "orders", "engine": "postgresql"});
        let made: Json = local.post("/v1/databases", &order).await.unwrap();
        let id = made["database"]["id"].as_str().unwrap();
        let there = until_there(&local, "proj_default").await.unwrap();
        assert_eq!(there[0].status, "running");

        let empty = json!({});
        let sleep = "/v1/projects/proj_default/sleep";
        local.post::<Json>(sleep, &empty).await.unwrap();
        assert!(sleeps(&settled(&local, "stopped").await));
        let there = until_there(&local, "proj_default").await.unwrap();
        assert_eq!(
            (there[0].status.as_str(), sleeps(&there[0])),
            ("running", false)
        );

        let stop = format!("/v1/databases/{id}/stop");
        local.post::<Json>(&stop, &empty).await.unwrap();
        settled(&local, "stopped").await;
        let there = until_there(&local, "proj_default").await.unwrap();
        assert_eq!(there[0].status, "stopped");
        assert_eq!(there[0].stop_reason.as_deref(), Some("user"));
        let list = local.get("/v1/databases?project_id=proj_default").await;
        unfinished_ones_keep_nobody_waiting(list.unwrap()).await;
    }

    /// The list as it was told, with other words for its one database in each of its rows.
    async fn unfinished_ones_keep_nobody_waiting(list: Json) {
        let row = |name: &str, status: &str| {
            let mut row = list["databases"][0].clone();
            row["name"] = name.into();
            row["status"] = status.into();
            row["desired_status"] = "running".into();
            row["stop_reason"] = Json::Null;
            row["phase"] = "starting".into();
            row["operation_id"] = format!("op_{name}").into();
            row
        };
        let falling = row("falling", "provisioning");
        let orders = row("orders", "running");
        a_new_password_is_waited_for(orders.clone()).await;
        let both = vec![falling.clone(), orders];
        let (soon, ended) = (Duration::from_millis(50), || operation("succeeded"));
        let there = asked_of_a_stand_in(both, soon, ended).await.unwrap();
        assert_eq!(there.len(), 2);
        let refused = asked_of_a_stand_in(vec![falling], soon, ended)
            .await
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("falling is provisioning (starting)"),
            "{refused}"
        );
    }

    /// The password of a database that runs may be changing: the end of that is waited for.
    async fn a_new_password_is_waited_for(row: Json) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let rotation = move || {
            let state = match count.fetch_add(1, Ordering::SeqCst) {
                0 => "running",
                _ => "succeeded",
            };
            operation(state)
        };
        let there = asked_of_a_stand_in(vec![row], Duration::from_secs(60), rotation).await;
        assert_eq!(there.unwrap().len(), 1);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    fn operation(state: &str) -> Json {
        let end = (state != "running").then_some("2026-01-01T00:00:01Z");
        json!({
            "id": "op_1", "kind": "provision", "state": state, "step": "settle",
            "database_id": "db_1", "project_id": "proj_default", "attempt": 0, "failure": null,
            "created_at": "2026-01-01T00:00:00Z", "finished_at": end,
        })
    }

    /// What a command finds where each look tells of those databases, and each question for an
    /// operation is answered so.
    async fn asked_of_a_stand_in(
        rows: Vec<Json>,
        patience: Duration,
        operation: impl Fn() -> Json + Clone + Send + Sync + 'static,
    ) -> Result<Vec<Database>, Box<dyn Error>> {
        let data_root = tempfile::tempdir().unwrap();
        let socket = crate::config::local_socket(data_root.path());
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        let list = json!({"databases": rows, "next_page_token": null});
        let routes = axum::Router::new()
            .route(
                "/v1/databases",
                get(move || async move { axum::Json(list) }),
            )
            .route(
                "/v1/operations/{operation}",
                get(move || async move { axum::Json(operation()) }),
            );
        let local = Local::connect(data_root.path()).unwrap();
        tokio::select! {
            ended = async { axum::serve(listener, routes).await } => panic!("it ended: {ended:?}"),
            found = until_there_within(&local, "proj_default", patience) => found,
        }
    }

    #[tokio::test]
    async fn what_sleeps_is_woken_before_the_command_begins() {
        // One crypto library for the client, as `main` installs it.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data_root = tempfile::tempdir().unwrap();
        let config = Config::load(Options {
            config: Some("/dev/null".into()),
            data_root: Some(data_root.path().to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            runtime: Some("fake".to_owned()),
            ..Options::default()
        });
        tokio::select! {
            ended = crate::serve::run(config.unwrap()) => panic!("berthd ended: {ended:?}"),
            () = story(data_root.path()) => {}
        }
    }
}
