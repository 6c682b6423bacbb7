//! The engine's process and its configuration files.

use super::{
    ADMINISTRATOR, CONFIG, DATA, ENGINE_SOCKETS, HOME, PORT, RESERVED_CONNECTIONS, quoted, versions,
};
use crate::{
    AWAITED, Access, Applies, Certificate, ConfigFile, Mount, Place, Process, Setup, Signal,
    Version,
};
use berth_domain::{Secret, TlsMode};
use std::fmt::Write as _;

/// Memory that parallel queries share; Docker's own 64 MB are too little for them.
const SHARED_MEMORY_MB: u32 = 256;
/// Processes beside those of connections: the postmaster, its helpers, parallel workers.
const PROCESSES_BESIDE_CONNECTIONS: u32 = 100;
/// How often a container looks for its data, a hundred times a second: five minutes in all.
const AWAIT_POLLS_MAX: u32 = 30_000;
/// An orderly end writes a checkpoint first.
const STOP_TIMEOUT_SECONDS: u32 = 120;

pub(super) fn process(version: &Version, setup: &Setup<'_>) -> Process {
    let file = |name| format!("{CONFIG}/{name}");
    let command = [
        "bash".to_owned(),
        "-c".to_owned(),
        begin(),
        versions::program(version, "postgres"),
        "-D".to_owned(),
        DATA.to_owned(),
        "-c".to_owned(),
        format!("config_file={}", file("postgresql.conf")),
        "-c".to_owned(),
        format!("hba_file={}", file("pg_hba.conf")),
        "-c".to_owned(),
        format!("ident_file={}", file("pg_ident.conf")),
    ];
    let mut files = vec![
        plain("postgresql.conf", start_settings(setup), Applies::AtStart),
        plain("live.conf", live_settings(setup), Applies::OnReload),
        plain("pg_hba.conf", host_rules(setup), Applies::OnReload),
        plain(
            "pg_ident.conf",
            format!("berth {} {ADMINISTRATOR}\n", setup.administrator),
            Applies::OnReload,
        ),
    ];
    files.extend(certificate_files(setup.certificate));
    Process {
        image: version.image,
        command: command.to_vec(),
        mounts: vec![
            mount(Place::Data, HOME, Access::Write),
            mount(Place::EngineConfig, CONFIG, Access::Read),
            mount(Place::EngineSockets, ENGINE_SOCKETS, Access::Write),
        ],
        files,
        config: Place::EngineConfig,
        port: PORT,
        // A fast stop: connections are ended, a checkpoint is written.
        stop_signal: Signal::Interrupt,
        stop_timeout_seconds: STOP_TIMEOUT_SECONDS,
        reload_signal: Signal::Hangup,
        cpu_millis: setup.cpu_millis,
        memory_mb: setup.memory_mb,
        shared_memory_mb: SHARED_MEMORY_MB,
        processes_max: setup.max_connections + PROCESSES_BESIDE_CONNECTIONS,
    }
}

/// Starts a container while its data is still being made: what is left then is the server's
/// own start. The server makes no data, and where none is awaited it says that it is gone.
fn begin() -> String {
    format!(
        "awaited() {{ [[ -e {HOME}/{AWAITED} && ! -e {DATA}/PG_VERSION ]]; }}; \
         if awaited; then trap 'exit 1' INT TERM; exec 3<> <(:); \
         for ((n = 0; n < {AWAIT_POLLS_MAX}; n++)); do awaited || break; read -rt 0.01 -u 3; done; \
         exec 3>&-; trap - INT TERM; fi; exec \"$0\" \"$@\""
    )
}

pub(super) fn mount(place: Place, path: &'static str, access: Access) -> Mount {
    Mount {
        place,
        path,
        access,
    }
}

pub(super) fn plain(name: &'static str, text: String, applies: Applies) -> ConfigFile {
    ConfigFile {
        name,
        content: Secret::new(text),
        applies,
    }
}

/// The same three files for the engine and the pooler.
pub(super) fn certificate_files(certificate: &Certificate) -> [ConfigFile; 3] {
    [
        plain("server.crt", certificate.chain.clone(), Applies::OnReload),
        ConfigFile {
            name: "server.key",
            content: certificate.key.clone(),
            applies: Applies::OnReload,
        },
        plain("ca.crt", certificate.authority.clone(), Applies::OnReload),
    ]
}

fn start_settings(setup: &Setup<'_>) -> String {
    let settings = [
        ("listen_addresses", "*".to_owned()),
        ("port", PORT.to_string()),
        ("unix_socket_directories", ENGINE_SOCKETS.to_owned()),
        (
            "max_connections",
            (setup.max_connections + RESERVED_CONNECTIONS).to_string(),
        ),
        (
            "superuser_reserved_connections",
            RESERVED_CONNECTIONS.to_string(),
        ),
        (
            "shared_buffers",
            format!("{}MB", (setup.memory_mb / 4).max(16)),
        ),
        // Upgrades and branches replicate logically; changing it later would be a restart.
        ("wal_level", "logical".to_owned()),
        ("huge_pages", "off".to_owned()),
        ("logging_collector", "off".to_owned()),
    ];
    let mut text = lines(settings.iter().map(|(name, value)| (*name, value.as_str())));
    text.push_str("include 'live.conf'\n");
    // The user's last word stands last.
    text + &lines(setup.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())))
}

fn live_settings(setup: &Setup<'_>) -> String {
    let memory = setup.memory_mb;
    let work_mem_kb = (memory * 1024 / (setup.max_connections.max(1) * 4)).clamp(1024, 65_536);
    let cores = (setup.cpu_millis / 1000).max(1);
    let read_only = if setup.read_only { "on" } else { "off" };
    let settings = [
        ("ssl", "on".to_owned()),
        ("ssl_cert_file", format!("{CONFIG}/server.crt")),
        ("ssl_key_file", format!("{CONFIG}/server.key")),
        ("ssl_min_protocol_version", "TLSv1.2".to_owned()),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("default_transaction_read_only", read_only.to_owned()),
        (
            "effective_cache_size",
            format!("{}MB", (memory / 4 * 3).max(16)),
        ),
        ("work_mem", format!("{work_mem_kb}kB")),
        (
            "maintenance_work_mem",
            format!("{}MB", (memory / 16).clamp(16, 1024)),
        ),
        ("max_parallel_workers", cores.to_string()),
        ("max_parallel_workers_per_gather", (cores / 2).to_string()),
        // The images come without LLVM.
        ("jit", "off".to_owned()),
        // A forgotten replication slot must not fill the disk.
        ("max_slot_wal_keep_size", "1GB".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".to_owned()),
    ];
    lines(settings.iter().map(|(name, value)| (*name, value.as_str())))
}

fn lines<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    settings.fold(String::new(), |mut text, (name, value)| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name} = {}", quoted(value, '\''));
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
        "local all {ADMINISTRATOR} peer map=berth\n\
         local all all scram-sha-256\n\
         host all {ADMINISTRATOR} all reject\n\
         {project} all all {} scram-sha-256\n",
        setup.project
    );
    for source in setup.public.iter().flat_map(|reach| &reach.sources) {
        // Writing to a text cannot fail.
        let _ = writeln!(rules, "hostssl all all {source} scram-sha-256");
    }
    rules
}
