//! The smaller nouns to the wire.

use berth_domain::{Operation, Plan, Timestamp};
use berth_services::databases::{Credentials, Rules, UriTls};
use berth_services::{Capacity, OfferedEngine, OfferedVersion};

pub(crate) fn operation(operation: &Operation) -> berth_api::Operation {
    berth_api::Operation {
        id: operation.id.to_string(),
        kind: operation.kind.as_str().to_owned(),
        database_id: operation.database_id.to_string(),
        project_id: operation.project_id.to_string(),
        state: operation.state.as_str().to_owned(),
        step: operation.step.clone(),
        attempt: operation.attempt,
        failure: operation
            .failure
            .as_ref()
            .map(|failure| berth_api::OperationFailure {
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
        created_at: operation.created_at.to_string(),
        finished_at: operation.finished_at.as_ref().map(Timestamp::to_string),
    }
}

pub(crate) fn credentials(found: Credentials) -> berth_api::Credentials {
    let ssl_mode = match found.tls {
        UriTls::Disable => "disable",
        UriTls::Require => "require",
    };
    berth_api::Credentials {
        host: found.host,
        port: found.port,
        pooler_host: found.pooler_host,
        pooler_port: found.pooler_port,
        username: found.username,
        password: found.password.reveal().to_owned(),
        database: found.database,
        ssl_mode: ssl_mode.to_owned(),
        uri: found.uri.reveal().to_owned(),
        pooled_uri: found.pooled_uri.reveal().to_owned(),
        connection_string: found.pooled_uri.reveal().to_owned(),
        ca_certificate: found.ca_certificate,
        network: found.network.as_str().to_owned(),
        credential_version: found.credential_version,
        inert: found.inert,
    }
}

pub(crate) fn catalogue(engines: Vec<OfferedEngine<'_>>, rules: &Rules) -> berth_api::Catalogue {
    berth_api::Catalogue {
        engines: engines.into_iter().map(engine).collect(),
        plans: rules.catalogue.plans.iter().map(plan).collect(),
        regions: rules
            .catalogue
            .regions
            .iter()
            .map(|name| berth_api::Region { name: name.clone() })
            .collect(),
    }
}

fn engine(offered: OfferedEngine<'_>) -> berth_api::Engine {
    let engine = offered.engine;
    berth_api::Engine {
        name: engine.name().to_owned(),
        title: engine.title().to_owned(),
        synonyms: engine.synonyms().iter().map(|s| (*s).to_owned()).collect(),
        default_version: engine.default_version().to_owned(),
        versions: offered.versions.into_iter().map(version).collect(),
        has_pooler: engine.pooler_image().is_some(),
        port: engine.port(),
    }
}

fn version(offered: OfferedVersion) -> berth_api::EngineVersion {
    berth_api::EngineVersion {
        version: offered.version.name.to_owned(),
        state: offered.version.state.as_str().to_owned(),
        image: offered.version.image.to_owned(),
        notes: offered
            .version
            .notes
            .iter()
            .map(|n| (*n).to_owned())
            .collect(),
        unavailable: offered.unavailable,
    }
}

fn plan(plan: &Plan) -> berth_api::Plan {
    berth_api::Plan {
        name: plan.name.clone(),
        description: plan.description.clone(),
        cpu_millis: plan.cpu_millis,
        memory_mb: plan.memory_mb,
        storage_gb_default: plan.storage_gb_default,
        storage_gb_min: plan.storage_gb_min,
        storage_gb_max: plan.storage_gb_max,
        max_connections: plan.max_connections,
    }
}

pub(crate) fn server(
    capacity: Capacity,
    rules: &Rules,
    version: &str,
    runtime: &str,
) -> berth_api::Server {
    berth_api::Server {
        version: version.to_owned(),
        installation: rules.addresses.installation().to_string(),
        runtime: runtime.to_owned(),
        capacity: berth_api::Capacity {
            cpu_millis: capacity.host.map_or(0, |h| h.cpu_millis),
            memory_mb: capacity.host.map_or(0, |h| h.memory_mb),
            memory_mb_allowed: capacity.memory_mb_allowed,
            memory_mb_promised: capacity.memory_mb_promised,
            storage_gb_promised: capacity.storage_gb_promised,
            databases: capacity.databases,
        },
    }
}
