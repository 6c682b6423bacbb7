//! `berthd trash`: lists, restores and purges destroyed databases through the running berthd.

use crate::cli::TrashCommand;
use crate::local::{Error, Local};
use crate::say;
use berth_api::{Database, DatabaseEnvelope, DatabaseList};
use serde_json::json;

/// Runs one of the trash commands.
pub async fn run(local: &Local, command: TrashCommand) -> Result<(), Error> {
    match command {
        TrashCommand::List => list(local).await,
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
    if !any {
        say(format_args!("The trash is empty."));
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
