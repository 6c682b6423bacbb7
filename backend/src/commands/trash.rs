//! `berthd trash`: lists, restores and purges what was destroyed through the running berthd.

use crate::cli::TrashCommand;
use crate::local::{Error, Local};
use crate::say;
use berth_api::{
    Database, DatabaseEnvelope, DatabaseList, DestroyedProject, DestroyedProjectList,
    EnvRestoreBody, EnvVariableEnvelope, EnvVersionList, ProjectEnvelope,
};
use serde_json::json;

/// Runs one of the trash commands.
pub async fn run(local: &Local, command: TrashCommand) -> Result<(), Error> {
    match command {
        TrashCommand::List => list(local).await,
        TrashCommand::Restore { id } if id.starts_with("proj_") => {
            let restored: ProjectEnvelope = local
                .post(&format!("/v1/projects/{id}/undelete"), &json!({}))
                .await?;
            say(format_args!(
                "{id} ({}) is back with its variables and members; its databases come back one by one",
                restored.project.name
            ));
            Ok(())
        }
        TrashCommand::Variables { project } => variables(local, &project).await,
        TrashCommand::RestoreVariable {
            project,
            name,
            number,
        } => {
            let path = format!("/v1/projects/{project}/env/{name}/restore");
            let body = EnvRestoreBody { version: number };
            let restored: EnvVariableEnvelope = local.post(&path, &body).await?;
            say(format_args!(
                "{} has its value again",
                restored.variable.name
            ));
            Ok(())
        }
        TrashCommand::Restore { id } => {
            let restored: DatabaseEnvelope = local
                .post(&format!("/v1/databases/{id}/undelete"), &json!({}))
                .await?;
            say(format_args!(
                "{id} ({}) is coming back with its id, login and password",
                restored.database.name
            ));
            Ok(())
        }
        TrashCommand::Purge { id, yes: true } => {
            local.delete(&format!("/v1/trash/{id}")).await?;
            say(format_args!("{id} is being removed for good"));
            Ok(())
        }
        TrashCommand::Purge { id, yes: false } => Err(Error::Refused {
            code: "not_confirmed".to_owned(),
            message: format!(
                "the data of {id} would be gone for good; add --yes to say that this is meant"
            ),
        }),
    }
}

async fn list(local: &Local) -> Result<(), Error> {
    let mut path = "/v1/trash".to_owned();
    let mut any = false;
    loop {
        let page: DatabaseList = local.get(&path).await?;
        for database in &page.databases {
            any = true;
            say(format_args!("{}", line(database)));
        }
        match page.next_page_token {
            Some(next) => path = format!("/v1/trash?page_token={next}"),
            None => break,
        }
    }
    any |= projects(local).await?;
    if !any {
        say(format_args!("The trash is empty."));
    }
    Ok(())
}

/// Lists the destroyed projects; tells whether there are any.
async fn projects(local: &Local) -> Result<bool, Error> {
    let mut path = "/v1/trash/projects".to_owned();
    let mut any = false;
    loop {
        let page: DestroyedProjectList = local.get(&path).await?;
        for project in &page.projects {
            any = true;
            say(format_args!("{}", project_line(project)));
        }
        match page.next_page_token {
            Some(next) => path = format!("/v1/trash/projects?page_token={next}"),
            None => return Ok(any),
        }
    }
}

fn project_line(project: &DestroyedProject) -> String {
    format!(
        "{}  {}  project  recoverable until {}",
        project.id, project.name, project.recoverable_until
    )
}

async fn variables(local: &Local, project: &str) -> Result<(), Error> {
    let first = format!("/v1/projects/{project}/env_versions");
    let mut path = first.clone();
    let mut any = false;
    loop {
        let page: EnvVersionList = local.get(&path).await?;
        for one in &page.versions {
            any = true;
            say(format_args!(
                "{}  {}  given {}  ended {}  recoverable until {}",
                one.version, one.name, one.given_at, one.ended_at, one.recoverable_until
            ));
        }
        match page.next_page_token {
            Some(next) => path = format!("{first}?page_token={next}"),
            None => break,
        }
    }
    if !any {
        say(format_args!("No earlier value is kept."));
    }
    Ok(())
}

fn line(database: &Database) -> String {
    let until = database.recoverable_until.as_deref().unwrap_or("?");
    let size = database.storage_used_bytes.map_or_else(
        || "size unknown".to_owned(),
        |b| format!("{} MB", b / 1_000_000),
    );
    format!(
        "{}  {}  {} {}  {size}  recoverable until {until}",
        database.id, database.name, database.engine, database.version
    )
}
