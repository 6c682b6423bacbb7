//! Rows with nothing special about them.

use berth_domain::{
    Actor, Claim, Database, DatabaseId, EngineName, Event, InstanceId, Intent, Name, Observation,
    Observed, OnDestroy, Operation, OperationId, OperationKind, OperationState, Pooler, Project,
    ProjectId, Scope, Scopes, Secret, Slug, Timestamp, TlsMode, Token, TokenId, UserId,
};
use berth_store::{CredentialState, CredentialVersion, DatabaseRecord, Store, Telling, Told};
use std::collections::{BTreeMap, BTreeSet};

pub const NOON: Timestamp = Timestamp::from_millis(1_772_013_600_000);

pub fn project(name: &str) -> Project {
    let name = Name::parse(name).unwrap();
    Project {
        id: ProjectId::parse(&format!("proj_{name}")).unwrap(),
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
        created_at: NOON,
        updated_at: NOON,
        destroyed_at: None,
    }
}

/// A database whose id, name and instance derive from one number.
pub fn database(project: &Project, number: u8) -> Database {
    let name = Name::parse(&format!("db-{number}")).unwrap();
    Database {
        id: DatabaseId::from_entropy([number; 8]),
        project_id: project.id.clone(),
        slug: Slug::of(&name),
        database_name: name.to_string(),
        username: format!("app_{name}"),
        name,
        engine: EngineName::new("postgresql"),
        technology: None,
        version: "17".to_owned(),
        plan: "db-s-1vcpu-1gb".to_owned(),
        region: "local".to_owned(),
        storage_gb: 10,
        replicas: 1,
        intent: Intent::Run,
        instance: InstanceId::from_entropy([number; 16]),
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
        created_at: NOON.plus_seconds(i64::from(number)),
        updated_at: NOON,
        destroyed_at: None,
        recoverable_until: None,
        purged_at: None,
    }
}

/// The same row, destroyed at noon and recoverable for a day.
pub fn destroyed(mut database: Database) -> Database {
    database.intent = Intent::Destroy;
    database.generation += 1;
    database.destroyed_at = Some(NOON);
    database.recoverable_until = Some(NOON.plus_days(1));
    database
}

pub fn observation(observed: Observed) -> Observation {
    Observation {
        observed,
        generation: 1,
        phase: "ready".to_owned(),
        ..Observation::none_yet(NOON)
    }
}

pub fn operation(database: &Database, number: u8) -> Operation {
    Operation {
        id: OperationId::from_entropy([number; 8]),
        kind: OperationKind::Provision,
        database_id: database.id.clone(),
        project_id: database.project_id.clone(),
        instance: database.instance.clone(),
        generation: database.generation,
        state: OperationState::Pending,
        step: "begin".to_owned(),
        attempt: 0,
        due_at: NOON,
        deadline_at: NOON.plus_seconds(600),
        lease: None,
        failure: None,
        created_at: NOON,
        finished_at: None,
    }
}

pub fn event(kind: &str) -> Event {
    Event {
        sequence: 0,
        kind: kind.to_owned(),
        actor: Actor::System,
        project_id: None,
        database_id: None,
        operation_id: None,
        message: "something happened".to_owned(),
        changes: Vec::new(),
        at: NOON,
    }
}

pub fn token(number: u8) -> Token {
    Token {
        id: TokenId::from_entropy([number; 8]),
        name: format!("token {number}"),
        hash: format!("{number:064x}"),
        scopes: Scopes::of([Scope::Read]),
        project_id: None,
        user_id: UserId::administrator(),
        created_at: NOON.plus_seconds(i64::from(number)),
        expires_at: None,
        revoked_at: None,
    }
}

pub fn credential(version: i64, state: CredentialState) -> CredentialVersion {
    CredentialVersion {
        version,
        password: Secret::new(format!("password {version}")),
        verifier: Secret::new(format!("SCRAM-SHA-256$4096:{version}")),
        state,
    }
}

pub async fn insert_project(store: &Store, project: &Project) {
    let mut tx = store.begin().await.unwrap();
    tx.insert_project(project).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn insert_database(store: &Store, database: &Database) {
    let mut tx = store.begin().await.unwrap();
    tx.insert_database(database).await.unwrap();
    tx.commit().await.unwrap();
}

/// A project with one database in it.
pub async fn one_database(store: &Store) -> (Project, Database) {
    let project = project("shop");
    insert_project(store, &project).await;
    let database = database(&project, 1);
    insert_database(store, &database).await;
    (project, database)
}

/// Tells all of a record.
pub fn tell(record: &DatabaseRecord) -> Result<Telling, serde_json::Error> {
    Ok(Telling {
        text: format!("{record:?}"),
        tag: record.database.generation,
    })
}

/// What is told, unpacked after what was unpacked before it.
pub fn text_of(told: &Told) -> String {
    let mut text = b"before".to_vec();
    told.append_to(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.strip_prefix("before").unwrap().to_owned()
}
