//! The real client against a real berthd.

mod bad_days;
mod containers;
mod fronted;
mod kills;
mod life;
mod limits;
mod people;
mod projects;
mod refusals;
mod secrets;
mod stores;

use crate::harness::{Runtime, Stack, TestBerth};

/// A berthd on the fake runtime, and a stack that asks it.
fn stage() -> Option<(TestBerth, Stack)> {
    Stack::staged(Runtime::Fake, &[])
}

/// A project and a database in it, with `more` said of the database.
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
  deletion_protection  = false
  recovery_window_days = 0
  {more}
}}
"#
    )
}
