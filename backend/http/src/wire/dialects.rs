//! Databases and the catalogue in other platforms' words: each field is one of the native
//! answer's under another name.

use super::database;
use berth_api::{
    AddonCategory, AddonPlan, AddonProvider, AddonProviderList, PlainCredentials, PlainDatabase,
    ProjectDatabase,
};
use berth_services::databases::{Credentials, Rules};
use berth_services::{DatabaseRecord, OfferedEngine};

/// The own database of a project.
pub(crate) fn project_database(record: &DatabaseRecord, rules: &Rules) -> ProjectDatabase {
    let shown = database(record, rules);
    ProjectDatabase {
        id: shown.id,
        project_id: shown.project_id,
        status: shown.status,
        host: shown.host,
        port: shown.port,
        db_name: shown.database_name,
        db_user: shown.username,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
    }
}

/// A database without an envelope.
pub(crate) fn plain_database(record: &DatabaseRecord, rules: &Rules) -> PlainDatabase {
    let shown = database(record, rules);
    PlainDatabase {
        id: shown.id,
        project_id: shown.project_id,
        name: shown.name,
        slug: shown.slug,
        db_type: shown.engine,
        version: shown.version,
        plan_id: shown.plan,
        status: shown.status,
        region: shown.region,
        storage_gb: shown.storage_gb,
        replicas: shown.replicas,
        created_at: shown.created_at,
        updated_at: shown.updated_at,
    }
}

/// How to log in: the one way that the connection string takes.
pub(crate) fn plain_credentials(found: Credentials) -> PlainCredentials {
    let shown = super::credentials(found);
    PlainCredentials {
        host: shown.pooler_host.unwrap_or(shown.host),
        port: shown.pooler_port.unwrap_or(shown.port),
        username: shown.username,
        password: shown.password,
        database: shown.database,
        ssl_mode: shown.ssl_mode,
        connection_string: shown.connection_string,
    }
}

/// The catalogue: an engine is a provider, and every plan is to be had of each.
pub(crate) fn addon_providers(engines: &[OfferedEngine<'_>], rules: &Rules) -> AddonProviderList {
    let mut plans = Vec::new();
    for (plan, position) in rules.catalogue.plans.iter().zip(1..) {
        plans.push(AddonPlan {
            id: plan.name.clone(),
            name: plan.name.clone(),
            display_name: plan.description.clone(),
            description: plan.description.clone(),
            position,
        });
    }
    let providers = engines
        .iter()
        .filter_map(|offered| addon_provider(offered, &plans));
    AddonProviderList {
        addon_providers: providers.collect(),
    }
}

/// None of an engine that cannot be had in any version.
fn addon_provider(offered: &OfferedEngine<'_>, plans: &[AddonPlan]) -> Option<AddonProvider> {
    let engine = offered.engine;
    let had = offered.versions.iter().filter(|v| v.unavailable.is_none());
    let versions: Vec<&str> = had.map(|v| v.version.name).collect();
    if versions.is_empty() {
        return None;
    }
    let title = engine.title();
    Some(AddonProvider {
        id: engine.technology().to_owned(),
        name: title.to_owned(),
        short_description: format!("{title} on this installation's own machines"),
        description: format!("Versions: {}", versions.join(", ")),
        category: AddonCategory {
            id: "databases".to_owned(),
            name: "Databases".to_owned(),
        },
        provider_name: "berth".to_owned(),
        plans: plans.to_vec(),
    })
}
