//! `berthd trash`: lists, restores and purges what was destroyed through the running berthd.

use crate::cli::TrashCommand;
use crate::local::{Error, Local, segment};
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
                .post(
                    &format!("/v1/projects/{}/undelete", segment(&id)?),
                    &json!({}),
                )
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
            let (project, name) = (segment(&project)?, segment(&name)?);
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
                .post(
                    &format!("/v1/databases/{}/undelete", segment(&id)?),
                    &json!({}),
                )
                .await?;
            say(format_args!(
                "{id} ({}) is coming back with its id, login and password",
                restored.database.name
            ));
            Ok(())
        }
        TrashCommand::Purge { id, yes: true } => {
            local
                .delete(&format!("/v1/trash/{}", segment(&id)?))
                .await?;
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
    let parts = |page: DatabaseList| (page.databases, page.next_page_token);
    let databases = local.pages("/v1/trash", parts).await?;
    for database in &databases {
        say(format_args!("{}", line(database)));
    }
    let parts = |page: DestroyedProjectList| (page.projects, page.next_page_token);
    let projects = local.pages("/v1/trash/projects", parts).await?;
    for project in &projects {
        say(format_args!("{}", project_line(project)));
    }
    if databases.is_empty() && projects.is_empty() {
        say(format_args!("The trash is empty."));
    }
    Ok(())
}

fn project_line(project: &DestroyedProject) -> String {
    format!(
        "{}  {}  project  recoverable until {}",
        project.id, project.name, project.recoverable_until
    )
}

async fn variables(local: &Local, project: &str) -> Result<(), Error> {
    let path = format!("/v1/projects/{}/env_versions", segment(project)?);
    let parts = |page: EnvVersionList| (page.versions, page.next_page_token);
    let versions = local.pages(&path, parts).await?;
    for one in &versions {
        say(format_args!(
            "{}  {}  given {}  ended {}  recoverable until {}",
            one.version, one.name, one.given_at, one.ended_at, one.recoverable_until
        ));
    }
    if versions.is_empty() {
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
