//! How to log in. The one answer that carries a password.

use super::change::Reference;
use super::planned::{PlannedDatabase, uri_tls};
use crate::error::Doing;
use crate::services::{Happened, journal};
use crate::{Caller, Code, Error, FieldError, Services};
use berth_domain::{Database, Scope, Secret, TlsMode};
use berth_engines::{Description, UriParts, UriTls};
use berth_store::CredentialState;

/// From where somebody wants to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// From a container in the project's network.
    Project,
    /// From outside, through the published port.
    Public,
}

impl Network {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Public => "public",
        }
    }

    /// The network of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Project, Self::Public]
            .into_iter()
            .find(|n| n.as_str() == word)
    }
}

/// Everything that a client needs to log in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The engine's host.
    pub host: String,
    /// The engine's port.
    pub port: u16,
    /// The pooler's host.
    pub pooler_host: Option<String>,
    /// The pooler's port.
    pub pooler_port: Option<u16>,
    /// The login.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The logical database.
    pub database: String,
    /// Whether the connection is encrypted.
    pub tls: UriTls,
    /// Past the pooler.
    pub uri: Secret,
    /// Through the pooler, where there is one.
    pub pooled_uri: Secret,
    /// The authority that signs the certificate, as PEM.
    pub ca_certificate: String,
    /// The network that the addresses are in.
    pub network: Network,
    /// The version of the password.
    pub credential_version: i64,
    /// Whether the password opens nothing.
    pub inert: bool,
}

struct Addresses {
    engine: (String, u16),
    pooler: Option<(String, u16)>,
    tls: UriTls,
}

impl Services {
    /// How to log in to a database. Reading real values is written into the journal; who may
    /// plan, and neither write nor read credentials, gets values that are well formed and open
    /// nothing.
    pub async fn credentials(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        network: Option<Network>,
    ) -> Result<Credentials, Error> {
        self.credentials_over(caller, reference, network, None)
            .await
    }

    /// How to log in over an encrypted connection, whatever else the database accepts. Only for
    /// those who may read real values, which is written into the journal.
    pub async fn encrypted_credentials(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
    ) -> Result<Credentials, Error> {
        caller.need(Scope::Credentials)?;
        self.credentials_over(caller, reference, None, Some(UriTls::Require))
            .await
    }

    async fn credentials_over(
        &self,
        caller: &Caller,
        reference: Reference<'_>,
        network: Option<Network>,
        tls: Option<UriTls>,
    ) -> Result<Credentials, Error> {
        let inert = !caller.scopes.allow(Scope::Credentials);
        if inert && !caller.only_plans() {
            return Err(Error::scope_missing(Scope::Credentials));
        }
        let found = self
            .database(caller, reference.database, reference.project)
            .await?;
        let row = &found.database;
        let right = if inert {
            Scope::Plan
        } else {
            Scope::Credentials
        };
        caller.need_in(&row.project_id, right)?;
        if !row.is_living() {
            return Err(Error::refused(
                Code::Destroyed,
                format!("{} is destroyed", row.name),
            ));
        }
        let network = chosen(row, network)?;
        let (password, version) = if inert {
            (Secret::password([0; 16]), row.credential_version)
        } else {
            self.current_password(caller, row).await?
        };
        let mut found = self.with_password(row, network, tls, password)?;
        found.credential_version = version;
        found.inert = inert;
        Ok(found)
    }

    /// The ways in from a network, with that password.
    pub(crate) fn with_password(
        &self,
        row: &Database,
        network: Network,
        tls: Option<UriTls>,
        password: Secret,
    ) -> Result<Credentials, Error> {
        let engine = self
            .rules
            .engines
            .get(&row.engine)
            .map_err(|e| Error::Inconsistent {
                act: "say how to log in",
                reason: e.to_string(),
            })?;
        let addresses = self.reach(row, engine, network)?;
        let tls = tls.unwrap_or(addresses.tls);
        let uri = |(host, port): &(String, u16)| {
            engine.uri(
                &UriParts {
                    host,
                    port: *port,
                    database_name: &row.database_name,
                    username: &row.username,
                    tls,
                },
                &password,
            )
        };
        let direct = uri(&addresses.engine);
        let pooled = addresses
            .pooler
            .as_ref()
            .map_or_else(|| direct.clone(), uri);
        Ok(Credentials {
            host: addresses.engine.0,
            port: addresses.engine.1,
            pooler_host: addresses.pooler.as_ref().map(|(host, _)| host.clone()),
            pooler_port: addresses.pooler.as_ref().map(|(_, port)| *port),
            username: row.username.clone(),
            password,
            database: row.database_name.clone(),
            tls,
            uri: direct,
            pooled_uri: pooled,
            ca_certificate: self.rules.ca_certificate.clone(),
            network,
            credential_version: row.credential_version,
            inert: false,
        })
    }

    /// The password in force. While a new one is on its way, the old one is still the one that
    /// opens the database.
    async fn current_password(
        &self,
        caller: &Caller,
        row: &Database,
    ) -> Result<(Secret, i64), Error> {
        let mut tx = self.store.begin().await.doing("begin to write")?;
        let found = tx.credentials(&row.id).await.doing("open a password")?;
        let current = found
            .into_iter()
            .find(|c| c.state == CredentialState::Current)
            .ok_or_else(|| Error::Inconsistent {
                act: "say how to log in",
                reason: format!("{} has no password", row.id),
            })?;
        journal(
            &mut tx,
            &caller.actor,
            self.clock.now(),
            Happened {
                kind: "credentials.read",
                project: Some(&row.project_id),
                database: Some(&row.id),
                operation: None,
                message: format!("the credentials of {} were read", row.name),
            },
        )
        .await?;
        tx.commit().await.doing("write the journal")?;
        Ok((current.password, current.version))
    }

    fn reach(
        &self,
        row: &Database,
        engine: &dyn Description,
        network: Network,
    ) -> Result<Addresses, Error> {
        let derived = PlannedDatabase::of(row).derived(&self.rules);
        let unknown = || Error::Inconsistent {
            act: "say how to log in",
            reason: "an address is unknown".to_owned(),
        };
        match network {
            Network::Project => {
                let pooler = derived.pooler_host.known().ok_or_else(unknown)?;
                Ok(Addresses {
                    engine: (derived.host.known().ok_or_else(unknown)?, engine.port()),
                    pooler: pooler.map(|host| (host, engine.port())),
                    tls: uri_tls(row.tls_mode),
                })
            }
            // One process is published: the pooler where there is one.
            Network::Public => {
                let port = row.public_port.ok_or_else(unknown)?;
                let address = (self.rules.addresses.public_host().to_owned(), port);
                Ok(Addresses {
                    pooler: row.pooler.is_some().then(|| address.clone()),
                    engine: address,
                    tls: uri_tls(TlsMode::Require),
                })
            }
        }
    }
}

fn chosen(row: &Database, asked: Option<Network>) -> Result<Network, Error> {
    match asked {
        None if row.expose => Ok(Network::Public),
        None => Ok(Network::Project),
        Some(Network::Public) if !row.expose => Err(Error::fields(vec![FieldError::invalid(
            "network",
            format!(
                "{} is not exposed: use \"project\", or set expose = true",
                row.name
            ),
        )])),
        Some(network) => Ok(network),
    }
}
