//! PgBouncer's process and its configuration files.

use super::configuration::{certificate_files, mount, plain};
use super::{CONFIG, ENGINE_SOCKETS, POOLER_ADMINISTRATOR, POOLER_SOCKETS, PORT, quoted, versions};
use crate::{Access, Applies, Place, Process, Setup, Signal};
use berth_domain::{Pooler, TlsMode};
use std::fmt::Write as _;

/// One thread and small buffers: this, and some for each client.
const MEMORY_MB: u32 = 96;
const CLIENTS_PER_MB: u32 = 32;
const CPU_MILLIS_MIN: u32 = 500;
const PROCESSES_MAX: u32 = 16;
const STOP_TIMEOUT_SECONDS: u32 = 30;
/// How soon a server that refused may be tried again, in seconds. The default of 15 would make
/// each start that finds the engine a moment late look slow. Nothing spins meanwhile: PgBouncer
/// looks when something happens on one of its sockets, else three times a second.
const SERVER_LOGIN_RETRY_SECONDS: &str = "0.001";
const QUERY_WAIT_TIMEOUT_SECONDS: u32 = 120;
const PREPARED_STATEMENTS_MAX: u32 = 200;

pub(super) fn process(wanted: &Pooler, setup: &Setup<'_>) -> Process {
    let mut files = vec![
        plain("pgbouncer.ini", settings(wanted), Applies::OnReload),
        plain("userlist.txt", user_list(setup), Applies::OnReload),
        plain("pg_hba.conf", host_rules(setup), Applies::OnReload),
        plain(
            "pg_ident.conf",
            format!("berth {} {POOLER_ADMINISTRATOR}\n", setup.administrator),
            Applies::OnReload,
        ),
    ];
    // PgBouncer gives each client the value that its first server had, and sets it on every
    // server for that client. Only a new PgBouncer forgets it.
    let read_only = if setup.read_only { "on" } else { "off" };
    files.push(plain(
        "remembered.ini",
        format!("; default_transaction_read_only = {read_only}\n"),
        Applies::AtStart,
    ));
    files.extend(certificate_files(setup.certificate));
    Process {
        image: versions::POOLER_IMAGE,
        command: vec![
            "/usr/sbin/pgbouncer".to_owned(),
            format!("{CONFIG}/pgbouncer.ini"),
        ],
        mounts: vec![
            mount(Place::PoolerConfig, CONFIG, Access::Read),
            mount(Place::EngineSockets, ENGINE_SOCKETS, Access::Read),
            mount(Place::PoolerSockets, POOLER_SOCKETS, Access::Write),
        ],
        files,
        config: Place::PoolerConfig,
        port: PORT,
        // SIGTERM would wait for every client to leave.
        stop_signal: Signal::Interrupt,
        stop_timeout_seconds: STOP_TIMEOUT_SECONDS,
        reload_signal: Signal::Hangup,
        cpu_millis: setup.cpu_millis.max(CPU_MILLIS_MIN),
        memory_mb: MEMORY_MB + wanted.max_client_connections.div_ceil(CLIENTS_PER_MB),
        shared_memory_mb: 64,
        processes_max: PROCESSES_MAX,
    }
}

fn settings(wanted: &Pooler) -> String {
    let mut settings: Vec<(&str, String)> = vec![
        ("listen_addr", "*".to_owned()),
        ("listen_port", PORT.to_string()),
        ("unix_socket_dir", POOLER_SOCKETS.to_owned()),
        ("auth_type", "hba".to_owned()),
        ("auth_hba_file", format!("{CONFIG}/pg_hba.conf")),
        ("auth_ident_file", format!("{CONFIG}/pg_ident.conf")),
        ("auth_file", format!("{CONFIG}/userlist.txt")),
        ("admin_users", POOLER_ADMINISTRATOR.to_owned()),
        ("pool_mode", wanted.mode.as_str().to_owned()),
        ("default_pool_size", wanted.default_pool_size.to_string()),
        ("max_client_conn", wanted.max_client_connections.to_string()),
        (
            "max_prepared_statements",
            PREPARED_STATEMENTS_MAX.to_string(),
        ),
        ("server_login_retry", SERVER_LOGIN_RETRY_SECONDS.to_owned()),
        ("query_wait_timeout", QUERY_WAIT_TIMEOUT_SECONDS.to_string()),
        ("ignore_startup_parameters", "extra_float_digits".to_owned()),
        // Each client chooses; the host rules refuse plain where it must not be.
        ("client_tls_sslmode", "allow".to_owned()),
        ("client_tls_cert_file", format!("{CONFIG}/server.crt")),
        ("client_tls_key_file", format!("{CONFIG}/server.key")),
        // Opened even though no client has a certificate.
        ("client_tls_ca_file", format!("{CONFIG}/ca.crt")),
        // The engine is reached over a socket; there is nothing to encrypt.
        ("server_tls_sslmode", "disable".to_owned()),
        ("log_connections", "0".to_owned()),
        ("log_disconnections", "0".to_owned()),
        ("log_stats", "0".to_owned()),
    ];
    if let Some(size) = wanted.reserve_pool_size {
        settings.push(("reserve_pool_size", size.to_string()));
    }
    if let Some(seconds) = wanted.server_idle_timeout_seconds {
        settings.push(("server_idle_timeout", seconds.to_string()));
    }
    settings.extend(
        wanted
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    let head = format!("[databases]\n* = host={ENGINE_SOCKETS} port={PORT}\n\n[pgbouncer]\n");
    settings.iter().fold(head, |mut text, (name, value)| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name} = {value}");
        text
    })
}

/// The administrator has an entry without a password: it must be known here to come in by
/// socket, and without a password it can come in no other way.
fn user_list(setup: &Setup<'_>) -> String {
    let head = format!("{} \"\"\n", quoted(POOLER_ADMINISTRATOR, '"'));
    setup.users.iter().fold(head, |mut text, user| {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{} {}",
            quoted(&user.username, '"'),
            quoted(user.verifier.reveal(), '"')
        );
        text
    })
}

/// Who is let in from where; the first line that fits decides.
fn host_rules(setup: &Setup<'_>) -> String {
    let project = match setup.tls_mode {
        TlsMode::Allow => "host",
        TlsMode::Require => "hostssl",
    };
    let mut rules = format!(
        "local pgbouncer {POOLER_ADMINISTRATOR} peer map=berth\n\
         local all {POOLER_ADMINISTRATOR} reject\n\
         host all {POOLER_ADMINISTRATOR} 0.0.0.0/0 reject\n\
         local all all scram-sha-256\n\
         {project} all all {} scram-sha-256\n",
        setup.project
    );
    for source in setup.public.iter().flat_map(|reach| &reach.sources) {
        // Writing to a text cannot fail.
        let _ = writeln!(rules, "hostssl all all {source} scram-sha-256");
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_domain::PoolMode;
    use std::collections::BTreeMap;

    /// What PgBouncer takes from its section: of a name that stands there twice, the last value.
    fn written(pooler: &Pooler) -> BTreeMap<String, String> {
        let text = settings(pooler);
        let (_, section) = text.split_once("[pgbouncer]\n").unwrap();
        let lines = section.lines().map(|line| line.split_once(" = ").unwrap());
        lines
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn what_nobody_says_is_pooling_by_transactions_for_a_hundred_clients() {
        let found = written(&Pooler::default());
        assert_eq!(found["pool_mode"], "transaction");
        assert_eq!(found["default_pool_size"], "20");
        assert_eq!(found["max_client_conn"], "100");
        for left_to_it in ["reserve_pool_size", "server_idle_timeout"] {
            assert!(!found.contains_key(left_to_it), "{left_to_it}");
        }
    }

    #[test]
    fn what_somebody_says_is_what_is_written() {
        let found = written(&Pooler {
            mode: PoolMode::Session,
            default_pool_size: 7,
            max_client_connections: 321,
            reserve_pool_size: Some(3),
            server_idle_timeout_seconds: Some(45),
            parameters: BTreeMap::from([("query_wait_timeout".to_owned(), "9".to_owned())]),
        });
        for (name, value) in [
            ("pool_mode", "session"),
            ("default_pool_size", "7"),
            ("max_client_conn", "321"),
            ("reserve_pool_size", "3"),
            ("server_idle_timeout", "45"),
            ("query_wait_timeout", "9"),
        ] {
            assert_eq!(found[name], value, "{name}");
        }
    }
}
