//! Databases that a command can reach: those that are being made are waited for, and those that
//! sleep are woken, since the way past the pooler wakes nobody.

use crate::local::{Error as LocalError, Local};
use berth_api::{Database, DatabaseList, Operation, ProjectEnvelope};
use std::error::Error;
use std::time::Duration;

/// How long databases that were just ordered or woken may take until they run.
const READY_SECONDS_MAX: u64 = 180;
/// How long one question waits for the end of an operation.
const WAIT_SECONDS: u64 = 20;
/// Pause between two looks at databases that are not there yet.
const LOOK_MILLIS: u64 = 200;

/// The project's databases, once those that can be reached are there.
pub async fn until_there(local: &Local, project: &str) -> Result<Vec<Database>, Box<dyn Error>> {
    let patience = Duration::from_secs(READY_SECONDS_MAX);
    let found = tokio::time::timeout(patience, look(local, project))
        .await
        .map_err(|_| format!("no database is there after {READY_SECONDS_MAX} seconds"))??;
    for database in found.iter().filter(|db| db.status != "running") {
        let stays = match database.desired_status.as_str() {
            "stopped" => ", and stays so until desired_status is running",
            _ => "",
        };
        eprintln!("berthd: {} is {}{stays}", database.name, database.status);
    }
    Ok(found)
}

async fn look(local: &Local, project: &str) -> Result<Vec<Database>, LocalError> {
    loop {
        let databases = databases(local, project).await?;
        if databases.iter().any(sleeps) {
            let path = format!("/v1/projects/{project}/wake");
            let _woken: ProjectEnvelope = local.post(&path, &serde_json::json!({})).await?;
            continue;
        }
        let made = databases.iter().find(|db| is_on_its_way(db));
        let Some(operation) = made.and_then(|db| db.operation_id.as_ref()) else {
            return Ok(databases);
        };
        let path = format!("/v1/operations/{operation}?wait={WAIT_SECONDS}");
        let ended: Operation = local.get(&path).await?;
        if ended.state == "failed" {
            return Ok(databases);
        }
        // One that is being repaired has no operation that could be waited for.
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
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
    let first = format!("/v1/databases?project_id={project}");
    let mut path = first.clone();
    let mut all = Vec::new();
    loop {
        let page: DatabaseList = local.get(&path).await?;
        all.extend(page.databases);
        match page.next_page_token {
            Some(token) => path = format!("{first}&page_token={token}"),
            None => return Ok(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Options};
    use serde_json::{Value as Json, json};
    use std::path::Path;

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
