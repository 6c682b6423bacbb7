//! Rows for tests.

use crate::certificates::{Certificates, ServerCertificate};
use async_trait::async_trait;
use berth_domain::{
    Addresses, Claim, Database, DatabaseId, EngineName, InstallationId, InstanceId, Intent, Name,
    OnDestroy, Plan, Pooler, Project, ProjectId, Secret, Slug, Timestamp, TlsMode,
};
use berth_platform::Cause;
use berth_services::{HostCapacity, ImageState, Outside};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const DAWN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn addresses() -> Addresses {
    let installation = InstallationId::parse("0123abcd").unwrap();
    Addresses::new("berth", installation, "127.0.0.1").unwrap()
}

pub(crate) fn plan() -> Plan {
    Plan {
        name: "db-s-1vcpu-1gb".to_owned(),
        description: "small".to_owned(),
        cpu_millis: 1000,
        memory_mb: 1024,
        storage_gb_default: 10,
        storage_gb_min: 1,
        storage_gb_max: 100,
        max_connections: 100,
    }
}

pub(crate) fn project() -> Project {
    let name = Name::parse("default").unwrap();
    Project {
        id: ProjectId::default_project(),
        slug: Slug::of(&name),
        name,
        description: None,
        default_region: None,
        deletion_protection: false,
        on_destroy: OnDestroy::Refuse,
        sleep_after_minutes: None,
        quota: None,
        tags: BTreeMap::new(),
        auto_provision: false,
        claim: Claim::Claimed,
        generation: 1,
        created_at: DAWN,
        updated_at: DAWN,
        destroyed_at: None,
    }
}

/// A database of that name; its ids follow from the name.
pub(crate) fn database(name: &str) -> Database {
    let name = Name::parse(name).unwrap();
    let mut seed = [0; 16];
    for (at, byte) in name.as_str().bytes().enumerate() {
        seed[at % 16] ^= byte;
    }
    let slug = Slug::of(&name);
    Database {
        id: DatabaseId::parse(&format!("db_{slug}")).unwrap(),
        project_id: ProjectId::default_project(),
        engine: EngineName::new("postgresql"),
        technology: None,
        version: "17".to_owned(),
        plan: plan().name,
        region: "local".to_owned(),
        storage_gb: 10,
        replicas: 1,
        intent: Intent::Run,
        instance: InstanceId::from_entropy(seed),
        database_name: slug.as_str().to_owned(),
        username: format!("app_{slug}"),
        name,
        slug,
        pooler: Some(Pooler::default()),
        credential_version: 1,
        expose: false,
        public_port: None,
        allow_list: BTreeSet::new(),
        tls_mode: TlsMode::Allow,
        deletion_protection: false,
        recovery_window_days: 7,
        sleep_after_minutes: None,
        tags: BTreeMap::new(),
        inject_env: BTreeMap::new(),
        claim: Claim::Claimed,
        generation: 1,
        created_at: DAWN,
        updated_at: DAWN,
        destroyed_at: None,
        recoverable_until: None,
        purged_at: None,
    }
}

pub(crate) fn certificate() -> ServerCertificate {
    ServerCertificate {
        chain: "chain\n".to_owned(),
        key: Secret::new("key\n"),
        valid_until: DAWN.plus_days(800),
    }
}

/// A host on which everything is to be had and of which nothing is known.
pub(crate) struct Somewhere;

#[async_trait]
impl Outside for Somewhere {
    async fn image(&self, _engine: &EngineName, _version: &str) -> ImageState {
        ImageState::Available
    }

    async fn host(&self) -> Option<HostCapacity> {
        None
    }

    fn port_is_free(&self, _port: u16) -> bool {
        true
    }
}

/// An authority whose certificates are texts that name what they were issued for.
pub(crate) struct PaperAuthority;

impl Certificates for PaperAuthority {
    fn authority(&self) -> String {
        "authority\n".to_owned()
    }

    fn issue(
        &self,
        names: &[String],
        _serial: [u8; 16],
        now: Timestamp,
    ) -> Result<ServerCertificate, Cause> {
        Ok(ServerCertificate {
            chain: format!("certificate of {}\n", names.join(", ")),
            key: Secret::new("key\n"),
            valid_until: now.plus_days(800),
        })
    }
}
