//! Rows of all kinds, the odd ones included.

use berth_domain::{
    Actor, ActorUser, Claim, Condition, Database, DatabaseId, EngineName, EnvName, Event,
    FieldChange, Fingerprint, InstanceId, Intent, Name, Observation, Observed, OnDestroy,
    Operation, OperationFailure, OperationId, OperationKind, OperationState, PoolMode, Pooler,
    Project, ProjectId, Quota, Scope, Scopes, Secret, Slug, Status, Timestamp, TlsMode, Token,
    TokenId, Truth, UserId,
};
use berth_store::{CredentialState, CredentialVersion};
use ipnet::IpNet;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Any text but the one character that PostgreSQL has no place for.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00]{0,20}",
        Just(String::new()),
        Just("'; -- \" \\ $1 é 🚢\n".to_owned())
    ]
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9-]{1,46}[a-z0-9]".prop_map(|text| Name::parse(&text).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (0..4_102_444_800_000_i64).prop_map(Timestamp::from_millis),
        any::<i64>().prop_map(Timestamp::from_millis),
    ]
}

fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4)
}

fn inject_env() -> impl Strategy<Value = BTreeMap<String, EnvName>> {
    let name = "[A-Z_]{1,8}";
    btree_map(name, name, 0..3).prop_map(|map| {
        let theirs = |name: String| EnvName::parse(&name).unwrap();
        map.into_iter().map(|(k, v)| (k, theirs(v))).collect()
    })
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        Just(Claim::Claimed),
        (any::<[u8; 8]>(), text()).prop_map(|(token, request)| Claim::Unclaimed {
            token: TokenId::from_entropy(token),
            request: Fingerprint(request),
        }),
    ]
}

fn network() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, prefix)| IpNet::new(address, prefix).unwrap())
}

fn pooler() -> impl Strategy<Value = Pooler> {
    let mode = prop_oneof![
        Just(PoolMode::Session),
        Just(PoolMode::Transaction),
        Just(PoolMode::Statement)
    ];
    (
        mode,
        any::<u32>(),
        any::<u32>(),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        tags(),
    )
        .prop_map(|(mode, size, clients, reserve, idle, parameters)| Pooler {
            mode,
            default_pool_size: size,
            max_client_connections: clients,
            reserve_pool_size: reserve,
            server_idle_timeout_seconds: idle,
            parameters,
        })
}

pub fn project() -> impl Strategy<Value = Project> {
    let sizes = (option::of(any::<u32>()), option::of(any::<u32>()));
    let quota = option::of(sizes.prop_map(|(databases, storage_gb)| Quota {
        databases,
        storage_gb,
    }));
    let choices = (
        any::<bool>(),
        any::<bool>(),
        claim(),
        any::<u32>(),
        any::<bool>(),
        option::of(any::<u32>()),
        quota,
    );
    let times = (time(), time(), option::of(time()));
    let texts = (option::of(text()), option::of(text()), tags());
    (any::<[u8; 8]>(), name(), texts, choices, times).prop_map(
        |(id, name, (description, default_region, tags), choices, times)| Project {
            id: ProjectId::from_entropy(id),
            slug: Slug::of(&name),
            name,
            description,
            default_region,
            deletion_protection: choices.0,
            on_destroy: if choices.1 {
                OnDestroy::Cascade
            } else {
                OnDestroy::Refuse
            },
            tags,
            auto_provision: choices.4,
            sleep_after_minutes: choices.5,
            quota: choices.6,
            claim: choices.2,
            generation: i64::from(choices.3),
            created_at: times.0,
            updated_at: times.1,
            destroyed_at: times.2,
        },
    )
}

/// A database of the project given.
pub fn database(project: ProjectId) -> impl Strategy<Value = Database> {
    let ids = (any::<[u8; 8]>(), any::<[u8; 16]>(), name());
    let texts = (
        text(),
        option::of(text()),
        text(),
        text(),
        text(),
        text(),
        text(),
    );
    let numbers = (
        any::<u32>(),
        any::<u32>(),
        any::<i64>(),
        any::<u32>(),
        any::<u32>(),
        option::of(any::<u32>()),
    );
    let intent = prop_oneof![Just(Intent::Run), Just(Intent::Stop), Just(Intent::Destroy)];
    let choices = (intent, any::<bool>(), any::<bool>(), any::<bool>(), claim());
    let reach = (
        option::of(pooler()),
        option::of(any::<u16>()),
        btree_set(network(), 0..4),
        tags(),
        inject_env(),
    );
    let times = (
        time(),
        time(),
        option::of(time()),
        option::of(time()),
        option::of(time()),
    );
    (ids, texts, numbers, choices, reach, times).prop_map(
        move |(ids, texts, numbers, choices, reach, times)| Database {
            id: DatabaseId::from_entropy(ids.0),
            project_id: project.clone(),
            slug: Slug::of(&ids.2),
            name: ids.2,
            engine: EngineName::new(texts.0),
            technology: texts.1,
            version: texts.2,
            plan: texts.3,
            region: texts.4,
            storage_gb: numbers.0,
            replicas: numbers.1,
            intent: choices.0,
            instance: InstanceId::from_entropy(ids.1),
            database_name: texts.5,
            username: texts.6,
            pooler: reach.0,
            credential_version: numbers.2,
            expose: choices.1,
            public_port: reach.1,
            allow_list: reach.2,
            tls_mode: if choices.2 {
                TlsMode::Require
            } else {
                TlsMode::Allow
            },
            deletion_protection: choices.3,
            recovery_window_days: numbers.3,
            tags: reach.3,
            inject_env: reach.4,
            sleep_after_minutes: numbers.5,
            claim: choices.4,
            generation: i64::from(numbers.4),
            created_at: times.0,
            updated_at: times.1,
            destroyed_at: times.2,
            recoverable_until: times.3,
            purged_at: times.4,
        },
    )
}

fn observed() -> impl Strategy<Value = Observed> {
    let last = prop_oneof![
        Just(Status::Provisioning),
        Just(Status::Running),
        Just(Status::Stopped),
        Just(Status::Error),
        Just(Status::Destroyed)
    ];
    prop_oneof![
        Just(Observed::Absent),
        Just(Observed::Starting),
        Just(Observed::Ready),
        Just(Observed::Stopped),
        text().prop_map(|reason| Observed::Failed { reason }),
        last.prop_map(|last| Observed::Unknown { last }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let truth = prop_oneof![Just(Truth::True), Just(Truth::False), Just(Truth::Unknown)];
    (text(), truth, text(), text(), time()).prop_map(|(kind, truth, reason, message, since)| {
        Condition {
            kind,
            truth,
            reason,
            message,
            since,
        }
    })
}

pub fn observation() -> impl Strategy<Value = Observation> {
    (
        observed(),
        any::<i64>(),
        text(),
        vec(condition(), 0..3),
        option::of(text()),
        option::of(0..=i64::MAX as u64),
        option::of(any::<u32>()),
        time(),
    )
        .prop_map(|row| Observation {
            observed: row.0,
            generation: row.1,
            phase: row.2,
            conditions: row.3,
            version_actual: row.4,
            storage_used_bytes: row.5,
            connections: row.6,
            observed_at: row.7,
        })
}

/// An operation on the database given.
pub fn operation(database: Database) -> impl Strategy<Value = Operation> {
    let state = prop_oneof![
        Just(OperationState::Pending),
        Just(OperationState::Succeeded),
        Just(OperationState::Failed),
        Just(OperationState::Superseded)
    ];
    let kind = (0..OperationKind::ALL.len()).prop_map(|i| OperationKind::ALL[i]);
    let ended = (
        option::of((text(), time())),
        option::of((text(), text())),
        option::of(time()),
    );
    let times = (time(), time(), time());
    (
        any::<[u8; 8]>(),
        kind,
        state,
        text(),
        any::<u32>(),
        times,
        ended,
    )
        .prop_map(
            move |(id, kind, state, step, attempt, times, ended)| Operation {
                id: OperationId::from_entropy(id),
                kind,
                database_id: database.id.clone(),
                project_id: database.project_id.clone(),
                instance: database.instance.clone(),
                generation: database.generation,
                state,
                step,
                attempt,
                due_at: times.0,
                deadline_at: times.1,
                lease: ended.0,
                failure: ended
                    .1
                    .map(|(code, message)| OperationFailure { code, message }),
                created_at: times.2,
                finished_at: ended.2,
            },
        )
}

pub fn event() -> impl Strategy<Value = Event> {
    let actor = prop_oneof![
        Just(Actor::System),
        Just(Actor::Local),
        (
            any::<[u8; 8]>(),
            text(),
            option::of((any::<[u8; 8]>(), text())),
            option::of(text())
        )
            .prop_map(|(id, name, user, address)| Actor::Token {
                id: TokenId::from_entropy(id),
                name,
                user: user.map(|(id, name)| ActorUser {
                    id: UserId::from_entropy(id),
                    name,
                }),
                address,
            }),
    ];
    let subjects = (
        option::of(any::<[u8; 8]>()),
        option::of(any::<[u8; 8]>()),
        option::of(any::<[u8; 8]>()),
    );
    let change = (
        text(),
        option::of(text()),
        option::of(text()),
        any::<bool>(),
    )
        .prop_map(|(field, from, to, sensitive)| FieldChange {
            field,
            from,
            to,
            sensitive,
        });
    let said = (text(), vec(change, 0..4));
    (text(), actor, subjects, said, time()).prop_map(|(kind, actor, subjects, said, at)| {
        let (message, changes) = said;
        Event {
            sequence: 0,
            kind,
            actor,
            project_id: subjects.0.map(ProjectId::from_entropy),
            database_id: subjects.1.map(DatabaseId::from_entropy),
            operation_id: subjects.2.map(OperationId::from_entropy),
            message,
            changes,
            at,
        }
    })
}

pub fn token() -> impl Strategy<Value = Token> {
    let scopes = btree_set(0..Scope::ALL.len(), 0..=Scope::ALL.len())
        .prop_map(|chosen| Scopes::of(chosen.into_iter().map(|i| Scope::ALL[i])));
    let times = (time(), option::of(time()), option::of(time()));
    (any::<[u8; 8]>(), text(), "[0-9a-f]{64}", scopes, times).prop_map(
        |(id, name, hash, scopes, times)| Token {
            id: TokenId::from_entropy(id),
            name,
            hash,
            scopes,
            project_id: None,
            user_id: UserId::administrator(),
            created_at: times.0,
            expires_at: times.1,
            revoked_at: times.2,
        },
    )
}

pub fn credential() -> impl Strategy<Value = CredentialVersion> {
    // What is sealed is bytes: here the zero character has its place.
    let secret = || any::<String>().prop_map(Secret::new);
    (any::<i64>(), secret(), secret(), any::<bool>()).prop_map(
        |(version, password, verifier, current)| CredentialVersion {
            version,
            password,
            verifier,
            state: if current {
                CredentialState::Current
            } else {
                CredentialState::Next
            },
        },
    )
}
