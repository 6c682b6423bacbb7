use super::*;
use crate::databases::config::PoolerConfig;
use crate::databases::facts::{Authority, Holder, ProjectFact};
use crate::databases::rules::Limits;
use crate::{HostCapacity, ImageState, Severity};
use berth_domain::{
    Addresses, Catalogue, Claim, EngineName, InstallationId, InstanceId, Intent, Name, OnDestroy,
    Plan, Pooler, Project, ProjectId, Slug, Timestamp, TlsMode, TokenId,
};
use berth_engines::Registry;
use berth_store::AddressUse;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn plan(name: &str, memory_mb: u32) -> Plan {
    Plan {
        name: name.to_owned(),
        description: String::new(),
        cpu_millis: 1000,
        memory_mb,
        storage_gb_default: 10,
        storage_gb_min: 1,
        storage_gb_max: 500,
        max_connections: 100,
    }
}

fn rules_on(bind: &str) -> Rules {
    let installation = InstallationId::parse("0123abcd").unwrap();
    Rules {
        engines: Registry::all(),
        catalogue: Catalogue {
            plans: vec![plan("small", 1024), plan("large", 4096)],
            regions: vec!["local".to_owned(), "nyc1".to_owned()],
        },
        addresses: Addresses::new("berth", installation, bind).unwrap(),
        limits: Limits::default(),
        ca_certificate: "CA".to_owned(),
    }
}

pub(super) fn rules() -> Rules {
    rules_on("127.0.0.1")
}

fn project() -> Project {
    let name = Name::parse("default").unwrap();
    Project {
        id: ProjectId::default_project(),
        slug: Slug::of(&name),
        name,
        description: None,
        default_region: Some("nyc1".to_owned()),
        deletion_protection: false,
        on_destroy: OnDestroy::Refuse,
        sleep_after_minutes: None,
        quota: None,
        tags: BTreeMap::new(),
        auto_provision: false,
        claim: Claim::Claimed,
        generation: 1,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
        destroyed_at: None,
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        project: ProjectFact::Found(Box::new(project())),
        host: Some(HostCapacity {
            cpu_millis: 4000,
            memory_mb: 8192,
        }),
        ..Facts::none(Authority::Writes)
    }
}

pub(super) fn row() -> Database {
    let name = Name::parse("orders").unwrap();
    Database {
        id: berth_domain::DatabaseId::parse("db_1").unwrap(),
        project_id: ProjectId::default_project(),
        slug: Slug::of(&name),
        name,
        engine: EngineName::new("postgresql"),
        technology: None,
        version: "17".to_owned(),
        plan: "small".to_owned(),
        region: "nyc1".to_owned(),
        storage_gb: 20,
        replicas: 1,
        intent: Intent::Run,
        instance: InstanceId::from_entropy([7; 16]),
        database_name: "orders".to_owned(),
        username: "app_orders".to_owned(),
        pooler: Some(Pooler::default()),
        credential_version: 2,
        expose: false,
        public_port: None,
        allow_list: BTreeSet::new(),
        tls_mode: TlsMode::Allow,
        deletion_protection: true,
        recovery_window_days: 7,
        sleep_after_minutes: None,
        tags: BTreeMap::new(),
        inject_env: BTreeMap::new(),
        claim: Claim::Claimed,
        generation: 3,
        created_at: Timestamp::from_millis(5),
        updated_at: Timestamp::from_millis(6),
        destroyed_at: None,
        recoverable_until: None,
        purged_at: None,
    }
}

fn orders() -> DatabaseConfig {
    DatabaseConfig {
        name: Given::Value("orders".to_owned()),
        engine: Given::Value("postgresql".to_owned()),
        ..DatabaseConfig::default()
    }
}

/// The one error that a wish meets, as `field: message`.
fn error_of(
    row: Option<&Database>,
    config: &DatabaseConfig,
    facts: &Facts,
    rules: &Rules,
) -> String {
    let found = evaluate(row, config, facts, rules);
    assert_eq!(found.errors.len(), 1, "{:?}", found.errors);
    format!("{}: {}", found.errors[0].field, found.errors[0].message)
}

#[test]
fn defaults_come_from_catalogue_project_and_name() {
    let rules = rules();
    let found = evaluate(None, &orders(), &facts(), &rules);
    assert_eq!(found.errors, vec![]);
    let planned = found.planned;
    assert_eq!(planned.version, Maybe::Known("17".to_owned()));
    assert_eq!(planned.plan, Maybe::Known("small".to_owned()));
    assert_eq!(planned.region, Maybe::Known("nyc1".to_owned()));
    assert_eq!(planned.storage_gb, Maybe::Known(10));
    assert_eq!(planned.username, Maybe::Known("app_orders".to_owned()));
    assert_eq!(planned.public_port, Maybe::Known(None));
    let derived = planned.derived(&rules);
    assert_eq!(
        derived.pooler_host,
        Maybe::Known(Some("berth-pgbouncer-orders".to_owned()))
    );
    assert_eq!(
        derived.uri_template.known().unwrap(),
        "postgresql://app_orders:{password}@berth-pgbouncer-orders:5432/orders?sslmode=disable"
    );
    assert_eq!(planned.id, Maybe::Unknown);
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() {
    let rules = rules();
    let wrong = |change: fn(&mut DatabaseConfig)| {
        let mut config = orders();
        change(&mut config);
        error_of(None, &config, &facts(), &rules)
    };
    let text = |word: &str| Given::Value(word.to_owned());
    assert!(
        wrong(|c| c.engine = Given::Value("postgressql".into()))
            .contains("did you mean \"postgresql\"?")
    );
    assert!(wrong(|c| c.engine = Given::Absent).contains("is required: use one of postgresql"));
    assert!(wrong(|c| c.version = Given::Value("9".into())).contains("use one of 15, 16, 17, 18"));
    assert!(
        wrong(|c| c.plan = Given::Value("smal".into()))
            .contains("small, large (did you mean \"small\"?)")
    );
    assert!(wrong(|c| c.region = Given::Value("nyc2".into())).contains("did you mean \"nyc1\"?"));
    assert!(
        wrong(|c| c.name = Given::Value("Orders".into()))
            .starts_with("name: \"Orders\" is not a name")
    );
    assert!(wrong(|c| c.storage_gb = Given::Value(501)).contains("takes 1 to 500"));
    assert!(wrong(|c| c.replicas = Given::Value(3)).starts_with("replicas: "));
    assert!(
        wrong(|c| c.desired_status = Given::Value("stoped".into()))
            .contains("did you mean \"stopped\"?")
    );
    assert!(
        wrong(|c| c.tls_mode = Given::Value("requires".into()))
            .contains("did you mean \"require\"?")
    );
    assert!(wrong(|c| c.username = Given::Value("postgres".into())).starts_with("username: "));
    assert!(wrong(|c| c.public_port = Given::Value(80)).contains("use 15000 to 15999"));
    assert!(wrong(|c| c.recovery_window_days = Given::Value(91)).contains("number from 0 to 90"));
    assert!(wrong(|c| c.credential_version = Given::Value(0)).contains("use 1 to"));
    let list = |entry: &str| {
        let mut config = orders();
        config.allow_list = Given::Value(BTreeSet::from([entry.to_owned()]));
        error_of(None, &config, &facts(), &rules)
    };
    assert!(list("10.0.0.1/8").contains("write \"10.0.0.0/8\""));
    assert!(list("10.0.0.1").contains("write \"10.0.0.1/32\""));
    assert!(list("2001:DB8::/32").contains("write \"2001:db8::/32\""));
    assert!(list("office").contains("such as 203.0.113.0/24"));
    let pooler = |pooler: PoolerConfig| {
        let mut config = orders();
        config.pooler = Given::Value(pooler);
        error_of(None, &config, &facts(), &rules)
    };
    assert!(
        pooler(PoolerConfig {
            mode: text("transactions"),
            ..PoolerConfig::default()
        })
        .contains("did you mean \"transaction\"?")
    );
    assert!(
        pooler(PoolerConfig {
            default_pool_size: Given::Value(98),
            ..PoolerConfig::default()
        })
        .contains("98 and a reserve of 0 are more than the 97 that the plan small leaves")
    );
    assert!(
        pooler(PoolerConfig {
            max_client_connections: Given::Value(5),
            ..PoolerConfig::default()
        })
        .contains("less than default_pool_size (20)")
    );
    let listen = BTreeMap::from([("listen_addr".to_owned(), "*".to_owned())]);
    assert!(
        pooler(PoolerConfig {
            parameters: Given::Value(listen),
            ..PoolerConfig::default()
        })
        .starts_with(
            "pooler.parameters.listen_addr: \"listen_addr\" is not a setting of the pooler"
        )
    );
    assert!(
        pooler(PoolerConfig {
            enabled: Given::Value(false),
            mode: text("session"),
            ..PoolerConfig::default()
        })
        .starts_with("pooler.mode: has no meaning")
    );
}

#[test]
fn what_cannot_change_in_place_is_refused_with_the_safe_way() {
    let (rules, row) = (rules(), row());
    let refused = |change: fn(&mut DatabaseConfig)| {
        let mut config = DatabaseConfig::default().over(&row);
        change(&mut config);
        error_of(Some(&row), &config, &facts(), &rules)
    };
    assert!(refused(|c| c.version = Given::Value("18".into())).contains("keep \"17\""));
    assert!(refused(|c| c.region = Given::Value("local".into())).contains("keep \"nyc1\""));
    assert!(refused(|c| c.storage_gb = Given::Value(19)).contains("cannot shrink from 20 to 19"));
    assert!(refused(|c| c.database_name = Given::Value("other".into())).contains("cannot change"));
    assert!(refused(|c| c.username = Given::Value("other".into())).contains("cannot change"));
    assert!(refused(|c| c.credential_version = Given::Value(1)).contains("only rises"));
    assert!(
        refused(|c| c.deletion_protection = Given::Value(false)).contains("scope \"unprotect\"")
    );
    assert!(refused(|c| c.deletion_protection = Given::Null).contains("scope \"unprotect\""));
    assert!(refused(|c| c.recovery_window_days = Given::Value(6)).contains("scope \"unprotect\""));
}

#[test]
fn a_password_changes_only_where_a_login_can_prove_it() {
    let rules = rules();
    let stopped = Database {
        intent: Intent::Stop,
        ..row()
    };
    let found = |row: &Database, status: Given<String>| {
        let config = DatabaseConfig {
            credential_version: Given::Value(row.credential_version + 1),
            desired_status: status,
            ..DatabaseConfig::default()
        };
        evaluate(Some(row), &config.over(row), &facts(), &rules).errors
    };
    let status = |word: &str| Given::Value(word.to_owned());
    for refused in [
        found(&stopped, Given::Absent),
        found(&row(), status("stopped")),
    ] {
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].field, "credential_version");
    }
    assert_eq!(found(&stopped, status("running")), vec![]);
    assert_eq!(found(&stopped, Given::Unknown), vec![]);
}

#[test]
fn a_plan_token_may_plan_what_another_token_applies() {
    let (rules, row) = (rules(), row());
    let config = DatabaseConfig {
        deletion_protection: Given::Value(false),
        ..DatabaseConfig::default()
    }
    .over(&row);
    let facts = Facts {
        authority: Authority::Plans,
        ..facts()
    };
    let found = evaluate(Some(&row), &config, &facts, &rules);
    assert_eq!(found.errors, vec![]);
    assert_eq!(found.notes.len(), 1);
    assert!(found.notes[0].summary.contains("unprotect"));
}

#[test]
fn a_change_of_nothing_keeps_every_attribute() {
    let (rules, row) = (rules(), row());
    let found = evaluate(
        Some(&row),
        &DatabaseConfig::default().over(&row),
        &facts(),
        &rules,
    );
    assert_eq!(found.errors, vec![]);
    assert_eq!(found.notes, vec![]);
    assert_eq!(found.planned, PlannedDatabase::of(&row));
}

#[test]
fn names_and_slugs_have_one_holder() {
    let rules = rules();
    let holder = Holder {
        id: berth_domain::DatabaseId::parse("db_9").unwrap(),
        name: Name::parse("bills").unwrap(),
    };
    let taken = Facts {
        name_holder: Some(holder.clone()),
        slug_holder: Some(holder.clone()),
        ..facts()
    };
    let error = error_of(None, &orders(), &taken, &rules);
    assert!(
        error.contains("terraform import berth_database.NAME db_9"),
        "{error}"
    );
    let slug = Facts {
        slug_holder: Some(holder),
        ..facts()
    };
    let found = evaluate(None, &orders(), &slug, &rules);
    assert_eq!(found.errors[0].code, Code::SlugTaken);
}

#[test]
fn the_host_is_not_promised_more_than_it_carries() {
    let rules = rules();
    let full = Facts {
        memory_mb_promised: 16_384 - 1023,
        ..facts()
    };
    let found = evaluate(None, &orders(), &full, &rules);
    assert_eq!(found.errors[0].code, Code::CapacityExceeded);
    let room = Facts {
        memory_mb_promised: 16_384 - 1024,
        ..facts()
    };
    assert_eq!(evaluate(None, &orders(), &room, &rules).errors, vec![]);
    // An edit of something else is none of the host's business.
    let (row, over) = (
        row(),
        Facts {
            memory_mb_promised: 1 << 30,
            ..facts()
        },
    );
    assert_eq!(
        evaluate(
            Some(&row),
            &DatabaseConfig::default().over(&row),
            &over,
            &rules
        )
        .errors,
        vec![]
    );
}

#[test]
fn beyond_loopback_an_allow_list_is_required() {
    let config = DatabaseConfig {
        expose: Given::Value(true),
        ..orders()
    };
    assert_eq!(evaluate(None, &config, &facts(), &rules()).errors, vec![]);
    let error = error_of(None, &config, &facts(), &rules_on("192.0.2.1"));
    assert!(error.starts_with("allow_list: is required"), "{error}");
}

#[test]
fn a_version_without_an_image_is_refused_and_no_default() {
    let rules = rules();
    let without = |versions: &[&str]| Facts {
        images: versions
            .iter()
            .map(|v| {
                (
                    ("postgresql".to_owned(), (*v).to_owned()),
                    ImageState::Unavailable {
                        reason: "no image".to_owned(),
                    },
                )
            })
            .collect(),
        ..facts()
    };
    let found = evaluate(None, &orders(), &without(&["17"]), &rules);
    assert_eq!(found.planned.version, Maybe::Known("18".to_owned()));
    let config = DatabaseConfig {
        version: Given::Value("17".to_owned()),
        ..orders()
    };
    let error = error_of(None, &config, &without(&["17"]), &rules);
    assert!(error.contains("cannot be had here: no image"), "{error}");
    let error = error_of(None, &orders(), &without(&["15", "16", "17", "18"]), &rules);
    assert!(
        error.contains("no version of PostgreSQL can be had here"),
        "{error}"
    );
}

#[test]
fn what_gets_no_address_any_more_is_refused() {
    let mut rules = rules();
    rules.limits.project_addresses = 10;
    rules.limits.public_addresses = 5;
    let with = |in_project, in_public| Facts {
        addresses_used: AddressUse {
            in_project,
            in_public,
        },
        authority: Authority::Unprotects,
        ..facts()
    };
    let pooled = |enabled| DatabaseConfig {
        pooler: Given::Value(PoolerConfig {
            enabled: Given::Value(enabled),
            ..PoolerConfig::default()
        }),
        ..orders()
    };
    let codes = |row: Option<&Database>, config: &DatabaseConfig, facts: &Facts| {
        let errors = evaluate(row, config, facts, &rules).errors;
        let told = errors.into_iter().map(|e| (e.code, e.field));
        told.collect::<Vec<_>>()
    };
    let full = |field: &str| vec![(Code::NetworkFull, field.to_owned())];
    // An engine and a pooler take two addresses, an engine alone takes one.
    assert_eq!(codes(None, &orders(), &with(8, 0)), vec![]);
    assert_eq!(codes(None, &orders(), &with(9, 0)), full("project_id"));
    assert_eq!(codes(None, &pooled(false), &with(9, 0)), vec![]);
    assert_eq!(
        codes(None, &pooled(false), &with(10, 0)),
        full("project_id")
    );
    let exposed = DatabaseConfig {
        expose: Given::Value(true),
        ..orders()
    };
    assert_eq!(codes(None, &exposed, &with(0, 4)), vec![]);
    assert_eq!(codes(None, &exposed, &with(0, 5)), full("expose"));
    assert_eq!(codes(None, &orders(), &with(0, 5)), vec![]);

    // What has its addresses keeps them; what needs another one is refused.
    let alone = Database {
        pooler: None,
        ..row()
    };
    assert_eq!(codes(Some(&row()), &pooled(true), &with(99, 99)), vec![]);
    assert_eq!(codes(Some(&alone), &pooled(false), &with(99, 0)), vec![]);
    assert_eq!(
        codes(Some(&alone), &pooled(true), &with(9, 0)),
        full("pooler")
    );
    assert_eq!(codes(Some(&row()), &exposed, &with(0, 5)), full("expose"));
    let told = error_of(None, &orders(), &with(9, 0), &rules);
    assert!(told.contains("project default has 10 addresses"), "{told}");
}

#[test]
fn ports_that_earlier_resources_will_be_given_are_gone() {
    let mut rules = rules();
    rules.limits.public_ports = 15_000..=15_002;
    let exposed = DatabaseConfig {
        expose: Given::Value(true),
        ..orders()
    };
    let with = |ports_awaited| Facts {
        ports_used: BTreeSet::from([15_001]),
        ports_awaited,
        ..facts()
    };
    assert_eq!(evaluate(None, &exposed, &with(1), &rules).errors, vec![]);
    let found = evaluate(None, &exposed, &with(2), &rules);
    assert_eq!(found.errors[0].code, Code::PortsExhausted);
}

#[test]
fn a_version_that_must_be_built_first_is_had_with_a_warning() {
    let rules = rules();
    let absent = ImageState::Absent {
        delay: "the first create builds it".to_owned(),
    };
    let facts = Facts {
        images: [(("postgresql".to_owned(), "17".to_owned()), absent)].into(),
        ..facts()
    };
    let of = |version: &str| {
        let config = DatabaseConfig {
            version: Given::Value(version.to_owned()),
            ..orders()
        };
        let found = evaluate(None, &config, &facts, &rules);
        assert_eq!(found.errors, []);
        let warned = found.notes.iter().filter(|n| n.message.contains("builds"));
        warned.map(|n| (n.severity, n.field)).collect::<Vec<_>>()
    };
    let warned = [(Severity::Warning, Some("version"))];
    assert_eq!((of("17"), of("18")), (warned.to_vec(), vec![]));
    let found = evaluate(None, &orders(), &facts, &rules);
    assert_eq!(found.planned.version, Maybe::Known("17".to_owned()));
    assert!(found.notes.iter().any(|n| n.message.contains("builds")));
    // What exists already waits for nothing.
    let changed = evaluate(Some(&row()), &DatabaseConfig::default(), &facts, &rules);
    assert!(!changed.notes.iter().any(|n| n.message.contains("builds")));
}

#[test]
fn a_restored_database_is_the_same_with_its_own_name_unless_that_was_reused() {
    let rules = rules();
    let destroyed = Database {
        intent: Intent::Destroy,
        deletion_protection: false,
        ..row()
    };
    let config = DatabaseConfig {
        restore_from: Given::Value("db_1".to_owned()),
        ..DatabaseConfig::default()
    };
    let back = Facts {
        restore: RestoreFact::Found(Box::new(destroyed.clone())),
        ..facts()
    };
    let found = evaluate(None, &config, &back, &rules);
    assert_eq!(found.errors, vec![]);
    let same = PlannedDatabase {
        intent: Maybe::Known(Intent::Run),
        ..PlannedDatabase::of(&destroyed)
    };
    assert_eq!(found.planned, same);

    let holder = Holder {
        id: berth_domain::DatabaseId::parse("db_9").unwrap(),
        name: Name::parse("orders").unwrap(),
    };
    let held = Facts {
        name_holder: Some(holder.clone()),
        slug_holder: Some(holder.clone()),
        ..back.clone()
    };
    let error = error_of(
        None,
        &config,
        &Facts {
            new_slug_holder: Some(holder.clone()),
            ..held
        },
        &rules,
    );
    assert!(error.contains("choose another name"), "{error}");

    // Whether another answers to its hosts by then cannot be told before the name is.
    let unnamed = DatabaseConfig {
        name: Given::Unknown,
        ..config.clone()
    };
    let found = evaluate(None, &unnamed, &back, &rules);
    assert_eq!(found.planned.slug, Maybe::Unknown);

    let renamed = DatabaseConfig {
        name: Given::Value("orders-old".to_owned()),
        ..config
    };
    let found = evaluate(
        None,
        &renamed,
        &Facts {
            slug_holder: Some(holder),
            ..back
        },
        &rules,
    );
    assert_eq!(found.errors, vec![]);
    assert_eq!(found.planned.slug.known().unwrap().as_str(), "orders-old");
    assert_eq!(
        found.planned.username,
        Maybe::Known("app_orders".to_owned())
    );
}

#[test]
fn an_equal_request_resumes_and_another_is_refused() {
    let rules = rules();
    let first = evaluate(None, &orders(), &facts(), &rules);
    let claim = Claim::Unclaimed {
        token: TokenId::parse("tok_1").unwrap(),
        request: first.fingerprint.clone().unwrap(),
    };
    let held = Database { claim, ..row() };
    let again = Facts {
        resumable: Some(Box::new(held)),
        ..facts()
    };
    let found = evaluate(None, &orders(), &again, &rules);
    assert_eq!(
        (found.errors, found.resumes.unwrap().as_str()),
        (vec![], "db_1")
    );
    // The default written out is the same request.
    let spelt = DatabaseConfig {
        version: Given::Value("17".to_owned()),
        sleep_after_minutes: Given::Null,
        tags: Given::Null,
        ..orders()
    };
    assert!(evaluate(None, &spelt, &again, &rules).resumes.is_some());
    let other = DatabaseConfig {
        storage_gb: Given::Value(11),
        ..orders()
    };
    let found = evaluate(None, &other, &again, &rules);
    assert_eq!(found.errors[0].code, Code::NameTaken);
}
