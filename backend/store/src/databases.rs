//! Databases as they are wanted.

use crate::kept::Touches;
use crate::observations::{self, observation_columns};
use crate::projects::{claim_columns, read_claim};
use crate::sql::{Fields, Link, Statement, to_json};
use crate::{Error, Tx};
use berth_domain::{
    Database, DatabaseId, EngineName, EnvName, InstanceId, Intent, InvalidEnvName, Name,
    Observation, OperationId, PoolMode, Pooler, ProjectId, Slug, TlsMode,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

const TABLE: &str = "databases";

macro_rules! columns {
    () => {
        "id, project_id, name, slug, engine, technology, version, plan, region, storage_gb, \
         replicas, intent, instance, database_name, username, pooler, credential_version, expose, \
         public_port, allow_list, tls_mode, deletion_protection, recovery_window_days, tags, \
         claim_token, claim_request, generation, created_at, updated_at, destroyed_at, \
         recoverable_until, purged_at, sleep_after_minutes, inject_env"
    };
}
pub(crate) use columns as database_columns;

/// A database, what was last seen of it, and its last operation; and more columns, when they are
/// given.
macro_rules! record {
    ($($more:literal)?) => {
        concat!(
            "SELECT ",
            $($more, ", ",)?
            database_columns!(),
            ", ",
            observation_columns!(),
            ", (SELECT operations.id FROM operations WHERE operations.database_id = databases.id \
               ORDER BY ordinal DESC LIMIT 1) AS operation_id \
             FROM databases LEFT JOIN observations ON observations.database_id = databases.id "
        )
    };
}
pub(crate) use record;

/// A database with what was last seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRecord {
    /// What is wanted.
    pub database: Database,
    /// What was found; none when nobody has looked yet.
    pub observation: Option<Observation>,
    /// The operation that is under way or was last.
    pub operation_id: Option<OperationId>,
}

reads! {
    /// The database with that id, destroyed or not.
    fn database_by_id(id: &DatabaseId) -> Option<Database>;
    /// The database with that id, destroyed or not, and what was last seen of it.
    fn database_record(id: &DatabaseId) -> Option<DatabaseRecord>;
    /// The database that an instance serves.
    fn database_by_instance(instance: &InstanceId) -> Option<Database>;
    /// The living databases of that name, of one project when given.
    fn databases_by_name(name: &Name, project: Option<&ProjectId>) -> Vec<Database>;
    /// The living database that holds that slug in its project.
    fn living_database_by_slug(project: &ProjectId, slug: &Slug) -> Option<Database>;
    /// The databases that sleep.
    fn sleeping_databases() -> Vec<DatabaseRecord>;
}

pub(crate) async fn database_by_id(
    link: &mut Link<'_>,
    id: &DatabaseId,
) -> Result<Option<Database>, Error> {
    sql!(
        "database_by_id",
        "SELECT ",
        columns!(),
        " FROM databases WHERE id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

pub(crate) async fn database_record(
    link: &mut Link<'_>,
    id: &DatabaseId,
) -> Result<Option<DatabaseRecord>, Error> {
    sql!("database_record", record!(), "WHERE databases.id = $1")
        .bind(id.as_str())
        .optional(link)
        .await?
        .map(|row| read_record(&row))
        .transpose()
}

async fn database_by_instance(
    link: &mut Link<'_>,
    instance: &InstanceId,
) -> Result<Option<Database>, Error> {
    sql!(
        "database_by_instance",
        "SELECT ",
        columns!(),
        " FROM databases WHERE instance = $1"
    )
    .bind(instance.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

async fn databases_by_name(
    link: &mut Link<'_>,
    name: &Name,
    project: Option<&ProjectId>,
) -> Result<Vec<Database>, Error> {
    sql!(
        "databases_by_name",
        "SELECT ",
        columns!(),
        " FROM databases WHERE name = $1 AND intent <> 'destroy' \
         AND ($2 = '' OR project_id = $2) ORDER BY created_at, id"
    )
    .bind(name.as_str())
    .bind(project.map_or("", ProjectId::as_str))
    .each(link, read)
    .await
}

async fn living_database_by_slug(
    link: &mut Link<'_>,
    project: &ProjectId,
    slug: &Slug,
) -> Result<Option<Database>, Error> {
    sql!(
        "living_database_by_slug",
        "SELECT ",
        columns!(),
        " FROM databases WHERE project_id = $1 AND slug = $2 AND intent <> 'destroy'"
    )
    .bind(project.as_str())
    .bind(slug.as_str())
    .optional(link)
    .await?
    .map(|row| read(&row))
    .transpose()
}

/// The same, and the version of the store that it shows; none when there is no such database.
pub(crate) async fn database_record_and_version(
    link: &mut Link<'_>,
    id: &DatabaseId,
) -> Result<Option<(i64, DatabaseRecord)>, Error> {
    let found = sql!(
        "database_record_and_version",
        record!("(SELECT value FROM counters WHERE name = 'version') AS version_of_store"),
        "WHERE databases.id = $1"
    )
    .bind(id.as_str())
    .optional(link)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let version = Fields::of("counters", &row).integer("version_of_store")?;
    Ok(Some((version, read_record(&row)?)))
}

async fn sleeping_databases(link: &mut Link<'_>) -> Result<Vec<DatabaseRecord>, Error> {
    sql!(
        "sleeping_databases",
        record!(),
        "WHERE intent = 'sleep' ORDER BY databases.id"
    )
    .each(link, read_record)
    .await
}

impl Tx {
    /// Writes a new database. Name and slug must be free among the living of its project, the
    /// public port among the living of the installation.
    pub async fn insert_database(&mut self, database: &Database) -> Result<(), Error> {
        let statement = sql!(
            "insert_database",
            "INSERT INTO databases (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, \
             $34)"
        );
        bind(statement, database)?
            .execute(&mut self.write(Touches::Database(&database.id)))
            .await?;
        Ok(())
    }

    /// Writes a changed database over the row whose generation is one less; a `Conflict` when
    /// the row has another.
    pub async fn update_database(&mut self, database: &Database) -> Result<(), Error> {
        let statement = sql!(
            "update_database",
            "UPDATE databases SET project_id = $2, name = $3, slug = $4, engine = $5, \
             technology = $6, version = $7, plan = $8, region = $9, storage_gb = $10, \
             replicas = $11, intent = $12, instance = $13, database_name = $14, username = $15, \
             pooler = $16, credential_version = $17, expose = $18, public_port = $19, \
             allow_list = $20, tls_mode = $21, deletion_protection = $22, \
             recovery_window_days = $23, tags = $24, claim_token = $25, claim_request = $26, \
             generation = $27, created_at = $28, updated_at = $29, destroyed_at = $30, \
             recoverable_until = $31, purged_at = $32, sleep_after_minutes = $33, \
             inject_env = $34 WHERE id = $1 AND generation = $27 - 1"
        );
        match bind(statement, database)?
            .execute(&mut self.write(Touches::Database(&database.id)))
            .await?
        {
            0 => Err(Error::Conflict {
                id: database.id.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Marks a living database as taken over by its client: what would return it to the trash
    /// is forgotten. The generation stays: nothing else is wanted.
    pub async fn claim_database(&mut self, id: &DatabaseId) -> Result<(), Error> {
        let touched = sql!(
            "claim_database",
            "UPDATE databases SET claim_token = NULL, claim_request = NULL, recoverable_until = \
             CASE WHEN intent = 'destroy' THEN recoverable_until END WHERE id = $1"
        )
        .bind(id.as_str())
        .execute(&mut self.write(Touches::Database(id)))
        .await?;
        match touched {
            0 => Err(Error::Conflict { id: id.to_string() }),
            _ => Ok(()),
        }
    }
}

fn bind<'q>(statement: Statement<'q>, database: &'q Database) -> Result<Statement<'q>, Error> {
    let (claim_token, claim_request) = claim_columns(&database.claim);
    let pooler = database
        .pooler
        .as_ref()
        .map(|pooler| to_json(TABLE, "pooler", &StoredPooler::of(pooler)))
        .transpose()?;
    let allow_list: Vec<String> = database
        .allow_list
        .iter()
        .map(ToString::to_string)
        .collect();
    let inject_env: BTreeMap<&str, &str> = database
        .inject_env
        .iter()
        .map(|(ours, theirs)| (ours.as_str(), theirs.as_str()))
        .collect();
    Ok(statement
        .bind(database.id.as_str())
        .bind(database.project_id.as_str())
        .bind(database.name.as_str())
        .bind(database.slug.as_str())
        .bind(database.engine.as_str())
        .bind(database.technology.as_deref())
        .bind(database.version.as_str())
        .bind(database.plan.as_str())
        .bind(database.region.as_str())
        .bind(i64::from(database.storage_gb))
        .bind(i64::from(database.replicas))
        .bind(database.intent.as_str())
        .bind(database.instance.as_str())
        .bind(database.database_name.as_str())
        .bind(database.username.as_str())
        .bind(pooler)
        .bind(database.credential_version)
        .bind(i64::from(database.expose))
        .bind(database.public_port.map(i64::from))
        .bind(to_json(TABLE, "allow_list", &allow_list)?)
        .bind(database.tls_mode.as_str())
        .bind(i64::from(database.deletion_protection))
        .bind(i64::from(database.recovery_window_days))
        .bind(to_json(TABLE, "tags", &database.tags)?)
        .bind(claim_token)
        .bind(claim_request)
        .bind(database.generation)
        .bind_time(database.created_at)
        .bind_time(database.updated_at)
        .bind_optional_time(database.destroyed_at)
        .bind_optional_time(database.recoverable_until)
        .bind_optional_time(database.purged_at)
        .bind(database.sleep_after_minutes.map(i64::from))
        .bind(to_json(TABLE, "inject_env", &inject_env)?))
}

pub(crate) fn read(row: &AnyRow) -> Result<Database, Error> {
    let fields = Fields::of(TABLE, row);
    let networks: Vec<String> = fields.json("allow_list")?;
    let inject_env: BTreeMap<String, String> = fields.json("inject_env")?;
    Ok(Database {
        id: fields.parsed("id", DatabaseId::parse)?,
        project_id: fields.parsed("project_id", ProjectId::parse)?,
        name: fields.parsed("name", Name::parse)?,
        slug: Slug::from_store(fields.text("slug")?),
        engine: EngineName::new(fields.text("engine")?),
        technology: fields.optional_text("technology")?,
        version: fields.text("version")?,
        plan: fields.text("plan")?,
        region: fields.text("region")?,
        storage_gb: fields.narrow("storage_gb")?,
        replicas: fields.narrow("replicas")?,
        intent: fields.word("intent", Intent::from_word)?,
        instance: fields.parsed("instance", InstanceId::parse)?,
        database_name: fields.text("database_name")?,
        username: fields.text("username")?,
        pooler: fields
            .optional_json::<StoredPooler>("pooler")?
            .map(|stored| stored.pooler().ok_or_else(|| fields.meaningless("pooler")))
            .transpose()?,
        credential_version: fields.integer("credential_version")?,
        expose: fields.flag("expose")?,
        public_port: fields.optional_narrow("public_port")?,
        allow_list: networks
            .iter()
            .map(|network| network.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| fields.meaningless("allow_list"))?,
        tls_mode: fields.parsed("tls_mode", TlsMode::parse)?,
        deletion_protection: fields.flag("deletion_protection")?,
        recovery_window_days: fields.narrow("recovery_window_days")?,
        sleep_after_minutes: fields.optional_narrow("sleep_after_minutes")?,
        tags: fields.json("tags")?,
        inject_env: inject_env
            .into_iter()
            .map(|(ours, theirs)| Ok((ours, EnvName::parse(&theirs)?)))
            .collect::<Result<_, InvalidEnvName>>()
            .map_err(|_| fields.meaningless("inject_env"))?,
        claim: read_claim(&fields)?,
        generation: fields.integer("generation")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        destroyed_at: fields.optional_time("destroyed_at")?,
        recoverable_until: fields.optional_time("recoverable_until")?,
        purged_at: fields.optional_time("purged_at")?,
    })
}

pub(crate) fn read_record(row: &AnyRow) -> Result<DatabaseRecord, Error> {
    Ok(DatabaseRecord {
        database: read(row)?,
        observation: observations::read_joined(row)?,
        operation_id: Fields::of("operations", row)
            .optional_parsed("operation_id", OperationId::parse)?,
    })
}

/// A pooler as it stands in its JSON column.
#[derive(Serialize, Deserialize)]
struct StoredPooler {
    mode: String,
    default_pool_size: u32,
    max_client_connections: u32,
    reserve_pool_size: Option<u32>,
    server_idle_timeout_seconds: Option<u32>,
    parameters: BTreeMap<String, String>,
}

impl StoredPooler {
    fn of(pooler: &Pooler) -> Self {
        Self {
            mode: pooler.mode.as_str().to_owned(),
            default_pool_size: pooler.default_pool_size,
            max_client_connections: pooler.max_client_connections,
            reserve_pool_size: pooler.reserve_pool_size,
            server_idle_timeout_seconds: pooler.server_idle_timeout_seconds,
            parameters: pooler.parameters.clone(),
        }
    }

    fn pooler(self) -> Option<Pooler> {
        Some(Pooler {
            mode: PoolMode::parse(&self.mode).ok()?,
            default_pool_size: self.default_pool_size,
            max_client_connections: self.max_client_connections,
            reserve_pool_size: self.reserve_pool_size,
            server_idle_timeout_seconds: self.server_idle_timeout_seconds,
            parameters: self.parameters,
        })
    }
}
