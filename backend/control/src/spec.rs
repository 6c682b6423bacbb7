//! Renders rows as the instance that is asked of the platform; pure.

use crate::{Error, certificates::ServerCertificate, storage::Pressure};
use berth_domain::{Addresses, Database, Intent, Plan, Project, Secret};
use berth_platform::{
    Exposure, Hosts, InstanceSpec, Network, Origin, Power, Resources, Tls, User, Writes,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Everything that an instance follows from.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The database as it is wanted.
    pub database: &'a Database,
    /// Its project.
    pub project: &'a Project,
    /// The plan that the database names.
    pub plan: &'a Plan,
    /// What the login's password is checked against.
    pub verifier: &'a Secret,
    /// Its certificate.
    pub certificate: &'a ServerCertificate,
    /// The authority's certificate, in PEM.
    pub authority: &'a str,
    /// How full it is.
    pub pressure: Pressure,
    /// Whether it may begin with nothing.
    pub origin: Origin,
}

/// The instance that these rows ask for. Equal rows, equal instance: nothing is looked up, so
/// what already runs right is recognised by comparison.
pub fn instance_spec(rows: &Rows<'_>, addresses: &Addresses) -> Result<InstanceSpec, Error> {
    let database = rows.database;
    Ok(InstanceSpec {
        instance: database.instance.clone(),
        network: Network {
            project: rows.project.id.clone(),
            name: addresses.network_name(&rows.project.slug),
        },
        hosts: Hosts {
            engine: addresses.database_host(&database.slug),
            pooler: addresses.pooler_host(&database.slug),
        },
        engine: database.engine.clone(),
        version: database.version.clone(),
        members: database.replicas,
        resources: Resources {
            cpu_millis: rows.plan.cpu_millis,
            memory_mb: rows.plan.memory_mb,
            storage_gb: database.storage_gb,
            max_connections: rows.plan.max_connections,
        },
        settings: BTreeMap::new(),
        users: vec![User {
            username: database.username.clone(),
            verifier: rows.verifier.clone(),
        }],
        pooler: database.pooler.clone(),
        exposure: exposure(database, addresses)?,
        tls: Tls {
            mode: database.tls_mode,
            certificate_chain: rows.certificate.chain.clone(),
            key: rows.certificate.key.clone(),
            authority: rows.authority.to_owned(),
        },
        power: match database.intent {
            Intent::Run => Power::Running,
            Intent::Sleep => Power::Asleep,
            Intent::Stop | Intent::Destroy => Power::Stopped,
        },
        writes: match rows.pressure {
            Pressure::Full => Writes::Refused,
            Pressure::None | Pressure::Near => Writes::Allowed,
        },
        origin: rows.origin,
    })
}

/// The names that the certificate of a database must hold. They do not depend on whether it
/// is published, so that publishing it changes no certificate.
pub fn certificate_names(database: &Database, addresses: &Addresses) -> Vec<String> {
    let mut names = vec![
        addresses.pooler_host(&database.slug),
        addresses.database_host(&database.slug),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    let public = addresses.public_host();
    if !names.iter().any(|name| name == public) {
        names.push(public.to_owned());
    }
    names
}

fn exposure(database: &Database, addresses: &Addresses) -> Result<Option<Exposure>, Error> {
    if !database.expose {
        return Ok(None);
    }
    let bind: IpAddr = addresses
        .public_host()
        .parse()
        .map_err(|_| Error::BindAddress {
            found: addresses.public_host().to_owned(),
        })?;
    let port = database.public_port.ok_or_else(|| Error::NoPort {
        database: database.id.clone(),
    })?;
    Ok(Some(Exposure {
        bind,
        port,
        allow_list: database.allow_list.iter().copied().collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn render(change: impl FnOnce(&mut Database)) -> Result<InstanceSpec, Error> {
        let mut database = samples::database("orders");
        change(&mut database);
        instance_spec(
            &Rows {
                database: &database,
                project: &samples::project(),
                plan: &samples::plan(),
                verifier: &Secret::new("verifier"),
                certificate: &samples::certificate(),
                authority: "authority",
                pressure: Pressure::None,
                origin: Origin::MayBeNew,
            },
            &samples::addresses(),
        )
    }

    #[test]
    fn a_row_is_rendered_in_full_and_always_alike() {
        let spec = render(|_| ()).unwrap();
        assert_eq!(spec, render(|_| ()).unwrap());
        assert_eq!(spec.hosts.engine, "berth-db-orders");
        assert_eq!(spec.hosts.pooler, "berth-pgbouncer-orders");
        assert_eq!(spec.network.name, "berth-default-0123abcd");
        assert_eq!(spec.users[0].username, "app_orders");
        assert_eq!(spec.power, Power::Running);
        assert_eq!(spec.exposure, None);
    }

    #[test]
    fn a_stopped_row_asks_for_a_stopped_instance() {
        let spec = render(|d| d.intent = Intent::Stop).unwrap();
        assert_eq!(spec.power, Power::Stopped);
    }

    #[test]
    fn a_published_row_needs_its_port() {
        assert!(matches!(
            render(|d| d.expose = true),
            Err(Error::NoPort { .. })
        ));
        let spec = render(|d| {
            d.expose = true;
            d.public_port = Some(15_001);
        })
        .unwrap();
        let exposure = spec.exposure.unwrap();
        assert_eq!(
            (exposure.bind.to_string().as_str(), exposure.port),
            ("127.0.0.1", 15_001)
        );
    }

    #[test]
    fn a_port_that_is_kept_does_not_publish_anything() {
        let spec = render(|d| d.public_port = Some(15_001)).unwrap();
        assert_eq!(spec.exposure, None);
    }

    #[test]
    fn certificates_name_what_clients_dial_and_outlive_publishing() {
        let mut database = samples::database("orders");
        let names = certificate_names(&database, &samples::addresses());
        assert_eq!(
            names,
            [
                "berth-pgbouncer-orders",
                "berth-db-orders",
                "localhost",
                "127.0.0.1"
            ]
        );
        database.expose = true;
        assert_eq!(certificate_names(&database, &samples::addresses()), names);
    }
}
