//! PostgreSQL and PgBouncer.

mod configuration;
mod initialise;
mod names;
mod pooler;
mod pooler_parameters;
mod scram;
mod sleep;
mod statements;
mod uri;
mod versions;

use crate::{
    Description, Initialisation, InvalidIdentifier, Occasion, Owner, Place, Process, Protocol,
    Setup, Socket, UriParts, UserVerifier, Version,
};
use berth_domain::{Secret, Slug, Statement};

/// The port of engine and pooler inside the project's network.
const PORT: u16 = 5432;
/// The engine's own administrator; it has no password and comes in by socket only.
const ADMINISTRATOR: &str = "postgres";
/// The pooler's administrator; the same holds.
const POOLER_ADMINISTRATOR: &str = "berth_admin";
/// What role and database are called until they are somebody's.
const SPARE: &str = "berth_spare";
/// Connections that only the administrator gets.
const RESERVED_CONNECTIONS: u32 = 3;

/// What holds the data; `DATA` lies in it.
const HOME: &str = "/var/lib/berth";
const DATA: &str = "/var/lib/berth/data";
const CONFIG: &str = "/run/berth/config";
const ENGINE_SOCKETS: &str = "/run/berth/engine";
const POOLER_SOCKETS: &str = "/run/berth/pooler";

/// PostgreSQL, with PgBouncer as its pooler.
#[derive(Debug, Clone, Copy)]
pub struct PostgreSql;

impl Description for PostgreSql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL"
    }

    fn synonyms(&self) -> &'static [&'static str] {
        &["postgres", "pg", "postgresql-ng", "postgresql-dr"]
    }

    fn technology(&self) -> &'static str {
        "postgresql-ng"
    }

    fn protocol(&self) -> Protocol {
        Protocol::PostgreSql
    }

    fn versions(&self) -> &'static [Version] {
        versions::ALL
    }

    fn default_version(&self) -> &'static str {
        versions::DEFAULT
    }

    fn port(&self) -> u16 {
        PORT
    }

    fn pooler_image(&self) -> Option<&'static str> {
        Some(versions::POOLER_IMAGE)
    }

    fn pooler_recipe(&self) -> Option<&'static str> {
        Some(versions::POOLER_RECIPE)
    }

    fn pooler_parameters(&self) -> &'static [crate::Parameter] {
        pooler_parameters::ALL
    }

    fn reserved_connections(&self) -> u32 {
        RESERVED_CONNECTIONS
    }

    fn default_database_name(&self, slug: &Slug) -> String {
        names::default_database(slug)
    }

    fn default_username(&self, slug: &Slug) -> String {
        names::default_login(slug)
    }

    fn check_database_name(&self, name: &str) -> Result<(), InvalidIdentifier> {
        names::check_database(name)
    }

    fn check_username(&self, name: &str) -> Result<(), InvalidIdentifier> {
        names::check_login(name)
    }

    fn verifier(&self, password: &Secret, salt: [u8; 16]) -> Secret {
        scram::verifier(password, &salt)
    }

    fn verifies(&self, password: &Secret, verifier: &Secret) -> bool {
        scram::verifies(password, verifier)
    }

    fn uri(&self, parts: &UriParts<'_>, password: &Secret) -> Secret {
        uri::full(parts, password)
    }

    fn uri_template(&self, parts: &UriParts<'_>) -> String {
        uri::template(parts)
    }

    fn bootstrap(&self, owner: &Owner) -> Vec<Statement> {
        statements::bootstrap(owner)
    }

    fn set_verifier(&self, user: &UserVerifier) -> Vec<Statement> {
        statements::set_verifier(user)
    }

    fn reconnect_pooler(&self) -> Vec<Statement> {
        statements::reconnect_pooler()
    }

    fn ask_paused(&self) -> Statement {
        sleep::ask_paused()
    }

    fn is_paused(&self, answer: &[Vec<Option<String>>]) -> bool {
        sleep::is_paused(answer)
    }

    fn pause_pooler(&self) -> Statement {
        sleep::pause()
    }

    fn resume_pooler(&self) -> Statement {
        sleep::resume()
    }

    fn ask_pooler_activity(&self) -> Vec<Statement> {
        sleep::ask_activity()
    }

    fn pooler_activity(&self, answers: &[Vec<Vec<Option<String>>>]) -> crate::PoolerActivity {
        sleep::activity(answers)
    }

    fn ask_sleep_blockers(&self) -> Statement {
        sleep::ask_blockers()
    }

    fn probe(&self) -> Statement {
        statements::probe()
    }

    fn probe_pooler(&self) -> Statement {
        statements::probe_pooler()
    }

    fn ask_version(&self) -> Statement {
        statements::ask_version()
    }

    fn ask_size(&self) -> Statement {
        statements::ask_size()
    }

    fn ask_connections(&self) -> Statement {
        statements::ask_connections()
    }

    fn initialisation(&self, version: &Version, occasion: Occasion) -> Initialisation {
        initialise::initialisation(version, occasion)
    }

    fn engine_process(&self, version: &Version, setup: &Setup<'_>) -> Process {
        configuration::process(version, setup)
    }

    fn pooler_process(&self, setup: &Setup<'_>) -> Option<Process> {
        setup.pooler.map(|wanted| pooler::process(wanted, setup))
    }

    fn engine_socket(&self) -> Socket {
        Socket {
            place: Place::EngineSockets,
            name: ".s.PGSQL.5432",
            administrator: ADMINISTRATOR,
            database: "postgres",
        }
    }

    fn pooler_socket(&self) -> Option<Socket> {
        Some(Socket {
            place: Place::PoolerSockets,
            name: ".s.PGSQL.5432",
            administrator: POOLER_ADMINISTRATOR,
            database: "pgbouncer",
        })
    }
}

/// A text between quotes of the SQL kind, doubled inside.
fn quoted(text: &str, quote: char) -> String {
    let doubled = text.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}
