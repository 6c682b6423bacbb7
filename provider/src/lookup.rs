//! Finding a project or a database by what a user calls it, and what to say when there is none.

use berth_api::{Database, Project, Snapshot};
use berth_plugin::diagnostics::{Diagnostic, Outcome};
use berth_plugin::path::Path;
use berth_plugin::validate::nearest;

use crate::client::Client;
use crate::plan;

/// What a user calls a database, and where that is written; the root where it is no attribute.
#[derive(Debug, Clone)]
pub struct DatabaseKey<'a> {
    /// Its id or name.
    pub key: &'a str,
    /// Where that is written.
    pub at: Path,
    /// The project in which a name is looked up, by id or name.
    pub project: Option<&'a str>,
    /// Where that is written.
    pub project_at: Path,
    /// Whether the project is the provider's own word.
    pub is_preset: bool,
    /// What else may be written there, as a sentence; nothing where the schema says it.
    pub forms: &'static str,
}

/// The project with the id or name `key`, which is written at `at`.
pub async fn project(client: &Client, key: &str, at: Path) -> Outcome<Project> {
    match client.project(key).await {
        Ok(project) => Ok(project),
        Err(error) if error.is_absence() => Err(no_project(client, key, at).await.into()),
        Err(error) => Err(error.about(&at, |_| None)),
    }
}

/// The database that the key names.
pub async fn database(client: &Client, key: DatabaseKey<'_>) -> Outcome<Database> {
    let error = match client.database(key.key, key.project).await {
        Ok(database) => return Ok(database),
        Err(error) => error,
    };
    Err(match key.project {
        Some(project) if error.code() == Some("project_not_found") => {
            let mut told = no_project(client, project, key.project_at).await;
            let origin = match key.is_preset {
                true => format!("{} ", plan::named("project_id")),
                false => String::new(),
            };
            told.detail = format!("{} {origin}{}", told.detail, key.forms)
                .trim_end()
                .to_owned();
            told.into()
        }
        _ if error.is_absence() => no_database(client, key).await.into(),
        _ => error.about(&key.at, |_| None),
    })
}

async fn no_project(client: &Client, key: &str, at: Path) -> Diagnostic {
    let names = |page: Snapshot| {
        page.projects
            .unwrap_or_default()
            .into_iter()
            .map(|p| p.name)
    };
    let there = names_of(client, "project", None, names).await;
    let detail = format!(
        "No project that the provider's token sees has the name or id {key:?}.{}",
        advice(key, &there)
    );
    Diagnostic::error("Project not found", detail).at(at)
}

async fn no_database(client: &Client, key: DatabaseKey<'_>) -> Diagnostic {
    let names = |page: Snapshot| {
        page.databases
            .unwrap_or_default()
            .into_iter()
            .map(|d| d.name)
    };
    let there = names_of(client, "database", key.project, names).await;
    let place = match key.project {
        Some(project) => format!("in project {project}"),
        None => "that the provider's token sees".to_owned(),
    };
    let detail = format!(
        "No database {place} has the name or id {:?}.{} {}",
        key.key,
        advice(key.key, &there),
        key.forms
    );
    Diagnostic::error("Database not found", detail.trim_end()).at(key.at)
}

/// What there is, for advice; nothing when that cannot be told, since then the error itself
/// says enough.
async fn names_of<N: Iterator<Item = String>>(
    client: &Client,
    kind: &'static str,
    project: Option<&str>,
    names: impl Fn(Snapshot) -> N,
) -> Vec<String> {
    match client.snapshot(kind, project).await {
        Ok(pages) => pages.into_iter().flat_map(names).collect(),
        Err(error) => {
            tracing::debug!(%error, "nothing can be offered instead");
            Vec::new()
        }
    }
}

fn advice(key: &str, there: &[String]) -> String {
    nearest(key, there)
        .map(|name| format!(" Did you mean {name:?}?"))
        .unwrap_or_default()
}
