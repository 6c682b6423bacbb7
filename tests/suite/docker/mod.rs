//! Whole stories on a real Docker engine: where secrets are, who reaches whom, what a database
//! lives through.

mod bad_days;
mod doctor;
mod engine;
mod env;
mod images;
mod isolation;
mod lifecycle;
mod secrets;
mod sleep;
mod storage;
mod strangers;

use serde_json::Value as Json;

use crate::harness::{Runtime, Stack, TestBerth, sql, until};

/// A berthd on the host's engine, and a stack that asks it.
fn stage(arguments: &[&str]) -> Option<(TestBerth, Stack)> {
    Stack::staged(Runtime::Docker, arguments)
}

/// A published database in a project of its own, with `more` said of the database.
fn shop(more: &str) -> String {
    format!(
        r#"
resource "berth_project" "shop" {{
  name                = "shop"
  deletion_protection = false
}}

resource "berth_database" "orders" {{
  name                 = "orders"
  project_id           = berth_project.shop.id
  engine               = "postgresql"
  expose               = true
  deletion_protection  = false
  {more}
}}
"#
    )
}

/// A login as the API gave it once: it stays as it was when the database's changes.
struct Login {
    body: Json,
}

impl Login {
    /// That of the database with this id or name, for the host's own network.
    fn of(berth: &TestBerth, database: &str) -> Self {
        let body = berth.get(&format!("/v1/databases/{database}/credentials"));
        Self { body }
    }

    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap()
    }

    /// Runs statements, again while nobody answers: what a client does after a failure.
    #[track_caller]
    fn query_patiently(&self, statements: &str) -> Vec<String> {
        until(statements, || {
            let answer = self.query(statements);
            answer.map_err(|error| format!("{error}: {:?}", error.as_db_error()))
        })
    }

    /// Runs statements through the published port; the first column of all rows.
    fn query(&self, statements: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        sql::query(
            self.text("pooled_uri"),
            self.text("ca_certificate"),
            statements,
        )
    }
}
