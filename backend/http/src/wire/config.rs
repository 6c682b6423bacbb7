//! Bodies to wishes.

use crate::body::Fields;
use crate::fields::{canonical, nested, typed};
use berth_api::{DatabaseBody, Field, PoolerBody, ProjectBody, Quota, RestoreFrom};
use berth_services::databases::{DatabaseConfig, PoolerConfig};
use berth_services::projects::{ProjectConfig, QuotaConfig};
use berth_services::{FieldError, Given};

pub(crate) fn given<T>(field: Field<T>) -> Given<T> {
    match field {
        Field::Absent => Given::Absent,
        Field::Null => Given::Null,
        Field::Value(value) => Given::Value(value),
    }
}

/// A wish for a database, and whether its client will claim it.
pub(crate) fn database_config(fields: Fields) -> Result<(DatabaseConfig, bool), Vec<FieldError>> {
    let fields = canonical(fields)?;
    nested::<PoolerBody>(&fields, "pooler")?;
    nested::<RestoreFrom>(&fields, "restore_from")?;
    let body: DatabaseBody = typed(&fields, "")?;
    let unclaimed = body.unclaimed.clone().value().unwrap_or(false);
    let config = DatabaseConfig {
        name: given(body.name),
        project: given(body.project_id),
        engine: given(body.engine),
        version: given(body.version),
        plan: given(body.plan),
        region: given(body.region),
        storage_gb: given(body.storage_gb),
        replicas: given(body.replicas),
        desired_status: given(body.desired_status),
        database_name: given(body.database_name),
        username: given(body.username),
        pooler: match given(body.pooler) {
            Given::Value(pooler) => Given::Value(pooler_config(pooler)),
            Given::Null => Given::Null,
            Given::Absent | Given::Unknown => Given::Absent,
        },
        credential_version: given(body.credential_version),
        expose: given(body.expose),
        public_port: given(body.public_port),
        allow_list: given(body.allow_list),
        tls_mode: given(body.tls_mode),
        restore_from: restore(body.restore_from)?,
        deletion_protection: given(body.deletion_protection),
        recovery_window_days: given(body.recovery_window_days),
        sleep_after_minutes: given(body.sleep_after_minutes),
        tags: given(body.tags),
        inject_env: given(body.inject_env),
    };
    Ok((config, unclaimed))
}

fn pooler_config(body: PoolerBody) -> PoolerConfig {
    PoolerConfig {
        enabled: body.enabled.into(),
        mode: body.mode.into(),
        default_pool_size: body.default_pool_size.into(),
        max_client_connections: body.max_client_connections.into(),
        reserve_pool_size: body.reserve_pool_size.into(),
        server_idle_timeout_seconds: body.server_idle_timeout_seconds.into(),
        parameters: body.parameters.into(),
    }
}

fn restore(field: Field<RestoreFrom>) -> Result<Given<String>, Vec<FieldError>> {
    match field {
        Field::Absent => Ok(Given::Absent),
        Field::Null => Ok(Given::Null),
        Field::Value(RestoreFrom {
            deleted_database_id: Some(id),
        }) => Ok(Given::Value(id)),
        Field::Value(RestoreFrom {
            deleted_database_id: None,
        }) => Err(vec![FieldError::invalid(
            "restore_from.deleted_database_id",
            "is required: the id (db_…) of the destroyed database",
        )]),
    }
}

/// A wish for a project, and whether its client will claim it.
pub(crate) fn project_config(fields: Fields) -> Result<(ProjectConfig, bool), Vec<FieldError>> {
    nested::<Quota>(&fields, "quota")?;
    let body: ProjectBody = typed(&fields, "")?;
    let unclaimed = body.unclaimed.clone().value().unwrap_or(false);
    let config = ProjectConfig {
        name: given(body.name),
        description: given(body.description),
        default_region: given(body.default_region),
        deletion_protection: given(body.deletion_protection),
        on_destroy: given(body.on_destroy),
        sleep_after_minutes: given(body.sleep_after_minutes),
        quota: match given(body.quota) {
            Given::Value(quota) => Given::Value(QuotaConfig {
                databases: quota.databases.into(),
                storage_gb: quota.storage_gb.into(),
            }),
            Given::Null => Given::Null,
            Given::Absent | Given::Unknown => Given::Absent,
        },
        tags: given(body.tags),
        auto_provision: given(body.auto_provision),
    };
    Ok((config, unclaimed))
}
