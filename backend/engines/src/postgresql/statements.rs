//! What the administrator says to PostgreSQL and PgBouncer.

use super::{ADMINISTRATOR, SPARE, quoted};
use crate::{Owner, UserVerifier};
use berth_domain::{Effect, Statement};

/// A statement that fails would be written to the engine's log with its text, and with the
/// verifier in it.
fn keep_out_of_the_log() -> Statement {
    Statement::new(
        "keep statements out of the log",
        "SET log_min_error_statement TO panic; SET log_statement TO none; SET log_min_duration_statement TO -1",
    )
}

/// A database whose storage is full is read-only for everyone who does not ask for more. What
/// berth itself has to write, such as a new verifier, must not wait for room.
fn write_though_full() -> Statement {
    Statement::new(
        "write though storage is full",
        "SET default_transaction_read_only TO off",
    )
}

/// What nobody was granted cannot leak between the logins of one database: the owner enters
/// its own database and no other.
pub(super) const CLOSE_DATABASES: &str =
    "REVOKE ALL ON DATABASE berth_spare, postgres, template1 FROM PUBLIC";

/// A database gets its last name with everything else that it needs, at once: one that has it
/// is whole.
pub(super) fn bootstrap(owner: &Owner) -> Vec<Statement> {
    let login = quoted(&owner.username, '"');
    let database = quoted(&owner.database_name, '"');
    let login_text = quoted(&owner.username, '\'');
    let database_text = quoted(&owner.database_name, '\'');
    let make = quoted(&format!("CREATE DATABASE {SPARE} OWNER {login}"), '\'');
    vec![
        write_though_full(),
        Statement::new(
            "name the owner's login",
            format!(
                "DO $berth$ BEGIN \
                 IF EXISTS (SELECT FROM pg_roles WHERE rolname = {login_text}) THEN RETURN; END IF; \
                 IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{SPARE}') THEN \
                 CREATE ROLE {SPARE} LOGIN; END IF; \
                 ALTER ROLE {SPARE} RENAME TO {login}; \
                 END $berth$"
            ),
        ),
        // A database is made in no block and in no transaction.
        Statement::deciding(
            "make the first database",
            format!(
                "SELECT {make} WHERE NOT EXISTS \
                 (SELECT FROM pg_database WHERE datname IN ({database_text}, '{SPARE}'))"
            ),
        ),
        Statement::new(
            "name the first database",
            format!(
                "DO $berth$ BEGIN \
                 IF NOT EXISTS (SELECT FROM pg_database WHERE datname = {database_text}) THEN \
                 {CLOSE_DATABASES}; \
                 ALTER DATABASE {SPARE} RENAME TO {database}; \
                 END IF; END $berth$"
            ),
        )
        .with_effect(Effect::Login {
            username: owner.username.clone(),
            database: owner.database_name.clone(),
        }),
    ]
}

pub(super) fn set_verifier(user: &UserVerifier) -> Vec<Statement> {
    vec![
        keep_out_of_the_log(),
        write_though_full(),
        Statement::new(
            "set the login's verifier",
            format!(
                "ALTER ROLE {} LOGIN PASSWORD {}",
                quoted(&user.username, '"'),
                quoted(user.verifier.reveal(), '\'')
            ),
        )
        .with_effect(Effect::Verifier {
            username: user.username.clone(),
            verifier: user.verifier.clone(),
        }),
    ]
}

pub(super) fn reconnect_pooler() -> Vec<Statement> {
    vec![Statement::new(
        "replace the pooler's connections",
        "RECONNECT",
    )]
}

pub(super) fn probe() -> Statement {
    Statement::new("answer", "SELECT 1")
}

pub(super) fn probe_pooler() -> Statement {
    Statement::new("answer", "SHOW VERSION")
}

pub(super) fn ask_version() -> Statement {
    Statement::new(
        "tell its version",
        "SELECT split_part(current_setting('server_version'), ' ', 1)",
    )
}

/// Logs are left out: they take up to a gigabyte that no user can free, and a database of one
/// gigabyte that was filled once would never take writes again.
pub(super) fn ask_size() -> Statement {
    Statement::new(
        "tell its size",
        "SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database",
    )
}

pub(super) fn ask_connections() -> Statement {
    Statement::new(
        "tell its connections",
        format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND usename <> {}",
            quoted(ADMINISTRATOR, '\'')
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_domain::Secret;

    #[test]
    fn a_quote_in_a_name_stays_inside_it() {
        let user = UserVerifier {
            username: "a\"; DROP".to_owned(),
            verifier: Secret::new("it's"),
        };
        let said = set_verifier(&user);
        let text = said.last().unwrap().text().reveal();
        assert_eq!(text, "ALTER ROLE \"a\"\"; DROP\" LOGIN PASSWORD 'it''s'");
    }

    #[test]
    fn a_full_storage_does_not_stop_what_berth_has_to_write() {
        let owner = Owner {
            database_name: "orders".to_owned(),
            username: "app_orders".to_owned(),
        };
        let user = UserVerifier {
            username: "app_orders".to_owned(),
            verifier: Secret::new("verifier"),
        };
        for said in [bootstrap(&owner), set_verifier(&user)] {
            let is_write = |s: &Statement| {
                let text = s.text().reveal();
                text.contains("ALTER ") || text.contains("CREATE ")
            };
            let first_write = said.iter().position(is_write).unwrap();
            let before = &said[..first_write];
            assert!(before.contains(&write_though_full()));
        }
    }
}
