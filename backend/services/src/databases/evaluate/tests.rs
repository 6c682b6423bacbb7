use super::*;
use crate::databases::config::PoolerConfig;
use crate::databases::facts::{Authority, Holder, ProjectFact};
use crate::databases::rules::Limits;
use crate::{HostCapacity, ImageState};
use berth_domain::{
    Addresses, Catalogue, Claim, EngineName, InstallationId, InstanceId, Intent, Name, OnDestroy,
    Plan, Pooler, Project, ProjectId, Slug, Timestamp, TlsMode, TokenId,
};
use berth_engines::Registry;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn plan(name: &str, memory_mb: u32) -> Plan {
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

fn rules() -> Rules {
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
        tags: BTreeMap::new(),
        claim: Claim::Claimed,
        generation: 1,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
        destroyed_at: None,
    }
}

fn facts() -> Facts {
    Facts {
        project: ProjectFact::Found(Box::new(project())),
        host: Some(HostCapacity {
            cpu_millis: 4000,
            memory_mb: 8192,
        }),
        ..Facts::none(Authority::Writes)
    }
}

fn row() -> Database {
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
        tags: BTreeMap::new(),
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
    assert!(wrong(|c| c.recovery_window_days = Given::Value(91)).contains("use 0 to 90"));
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

/// Fields by which the random wishes below become unknown.
const FIELDS: u32 = 21;

fn hide(config: &DatabaseConfig, hidden: u32) -> DatabaseConfig {
    let mut c = config.clone();
    let mut bit = 0;
    macro_rules! hide { ($($field:ident).+) => {{
        if hidden & (1 << bit) != 0 { c.$($field).+ = Given::Unknown; }
        bit += 1;
    }}}
    hide!(name);
    hide!(project);
    hide!(engine);
    hide!(version);
    hide!(plan);
    hide!(region);
    hide!(storage_gb);
    hide!(replicas);
    hide!(desired_status);
    hide!(database_name);
    hide!(username);
    hide!(pooler);
    hide!(credential_version);
    hide!(expose);
    hide!(public_port);
    hide!(allow_list);
    hide!(tls_mode);
    hide!(restore_from);
    hide!(deletion_protection);
    hide!(recovery_window_days);
    hide!(tags);
    assert_eq!(bit, FIELDS);
    c
}

/// The facts that would be gathered for a wish, out of what is in the way when all is known.
fn facts_for(config: &DatabaseConfig, world: &Facts) -> Facts {
    let mut facts = world.clone();
    if config.restore_from.is_unknown() {
        facts.restore = RestoreFact::Unknown;
    }
    let own_project =
        matches!(facts.restore, RestoreFact::Unknown) && config.project.value().is_none();
    if config.project.is_unknown() || own_project {
        facts.project = ProjectFact::Unknown;
    }
    if matches!(facts.project, ProjectFact::Unknown) || config.name.is_unknown() {
        facts.name_holder = None;
        facts.slug_holder = None;
        facts.new_slug_holder = None;
        facts.resumable = None;
    }
    facts
}

fn given<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Given<T>> {
    prop_oneof![
        2 => Just(Given::Absent),
        1 => Just(Given::Null),
        4 => values.prop_map(Given::Value),
    ]
    .boxed()
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Given<String>> {
    given(prop::sample::select(words).prop_map(str::to_owned))
}

prop_compose! {
    fn poolers()(
        enabled in given(any::<bool>()),
        mode in word(&["session", "transaction", "never"]),
        size in given(0..120_u32),
        clients in given(0..300_u32),
        hidden in 0..16_u8,
    ) -> PoolerConfig {
        let hide = |bit: u8| hidden & (1 << bit) != 0;
        PoolerConfig {
            enabled,
            mode: if hide(0) { Given::Unknown } else { mode },
            default_pool_size: if hide(1) { Given::Unknown } else { size },
            max_client_connections: if hide(2) { Given::Unknown } else { clients },
            ..PoolerConfig::default()
        }
    }
}

prop_compose! {
    fn wishes()(
        name in word(&["orders", "bills", "Bad Name"]),
        project in word(&["default"]),
        engine in word(&["postgresql", "pg", "oracle"]),
        version in word(&["16", "17", "99"]),
        plan in word(&["small", "large", "huge"]),
        region in word(&["local", "nyc1", "mars"]),
        desired_status in word(&["running", "stopped"]),
        database_name in word(&["orders", "shop"]),
        username in word(&["app_orders", "postgres"]),
        tls_mode in word(&["allow", "require", "maybe"]),
        numbers in (given(0..600_u32), given(1..3_u32), given(0..5_i64), given(14_990..15_010_u16), given(0..100_u32)),
        (expose, deletion_protection) in (given(any::<bool>()), given(any::<bool>())),
        pooler in given(poolers()),
        allow_list in given(prop::sample::select(&["10.0.0.0/8", "10.0.0.1/8"][..]).prop_map(|n| BTreeSet::from([n.to_owned()]))),
        restore_from in word(&["db_1"]),
        tags in given(Just(BTreeMap::from([("team".to_owned(), "a".to_owned())]))),
    ) -> DatabaseConfig {
        DatabaseConfig {
            name, project, engine, version, plan, region, desired_status, database_name, username,
            tls_mode, expose, deletion_protection, pooler, allow_list, tags, restore_from,
            storage_gb: numbers.0, replicas: numbers.1, credential_version: numbers.2,
            public_port: numbers.3, recovery_window_days: numbers.4,
        }
    }
}

prop_compose! {
    fn worlds()(name_held in any::<bool>(), slug_held in any::<bool>(), full in any::<bool>(), port in any::<bool>()) -> Facts {
        let holder = Holder { id: berth_domain::DatabaseId::parse("db_9").unwrap(), name: Name::parse("bills").unwrap() };
        Facts {
            name_holder: name_held.then(|| holder.clone()),
            slug_holder: slug_held.then(|| holder.clone()),
            new_slug_holder: slug_held.then_some(holder),
            memory_mb_promised: if full { 16_000 } else { 0 },
            ports_used: if port { BTreeSet::from([15_003]) } else { BTreeSet::new() },
            free_name: Some(Name::parse("default").unwrap()),
            ..facts()
        }
    }
}

/// Each attribute as text, unknown ones left out.
fn known_attributes(planned: &PlannedDatabase, rules: &Rules) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    macro_rules! put { ($of:expr, $($field:ident),+) => { $(
        if let Maybe::Known(value) = &$of.$field { all.insert(stringify!($field), format!("{value:?}")); }
    )+ } }
    put!(
        planned,
        id,
        project_id,
        name,
        slug,
        engine,
        technology,
        version,
        plan,
        region,
        storage_gb,
        replicas,
        intent,
        database_name,
        username,
        credential_version,
        expose,
        public_port,
        allow_list,
        tls_mode,
        deletion_protection,
        recovery_window_days,
        tags
    );
    if let Maybe::Known(pooler) = &planned.pooler {
        all.insert("pooler", format!("{}", pooler.is_some()));
        if let Some(pooler) = pooler {
            put!(
                pooler,
                mode,
                default_pool_size,
                max_client_connections,
                reserve_pool_size,
                parameters
            );
        }
    }
    let derived = planned.derived(rules);
    put!(
        derived,
        host,
        port,
        pooler_host,
        pooler_port,
        public_host,
        uri_template
    );
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn fewer_unknowns_only_refine(
        wish in wishes(), world in worlds(), hidden in 0..(1_u32 << FIELDS), kept in any::<u32>(),
        exists in any::<bool>(),
    ) {
        let rules = rules();
        let row = exists.then(row);
        let mut world = world;
        if !exists && wish.restore_from.value().is_some() {
            let destroyed = Database { intent: Intent::Destroy, ..super::tests::row() };
            world.restore = RestoreFact::Found(Box::new(destroyed));
        }
        let vague = hide(&wish, hidden);
        let clear = hide(&wish, hidden & kept);
        let before = evaluate(row.as_ref(), &vague, &facts_for(&vague, &world), &rules);
        let after = evaluate(row.as_ref(), &clear, &facts_for(&clear, &world), &rules);
        for error in &before.errors {
            prop_assert!(
                after.errors.iter().any(|e| e.field == error.field),
                "{error:?} went away: {:?}", after.errors
            );
        }
        if after.errors.is_empty() {
            let after = known_attributes(&after.planned, &rules);
            for (field, value) in known_attributes(&before.planned, &rules) {
                prop_assert_eq!(Some(&value), after.get(field), "{} changed", field);
            }
        }
    }

    #[test]
    fn what_is_planned_with_nothing_unknown_is_what_is_stored(wish in wishes(), world in worlds(), exists in any::<bool>()) {
        let rules = rules();
        let row = exists.then(row);
        let clear = hide_pooler_unknowns(wish);
        let clear = DatabaseConfig { restore_from: Given::Absent, ..clear };
        let found = evaluate(row.as_ref(), &clear, &world, &rules);
        if found.errors.is_empty() {
            let mut stored = row.unwrap_or_else(super::tests::row);
            let drawn = found.planned.public_port.is_unknown();
            let planned = found.planned.clone();
            prop_assert!(found.planned.write_into(&mut stored).is_ok());
            let told = known_attributes(&PlannedDatabase::of(&stored), &rules);
            for (field, value) in known_attributes(&planned, &rules) {
                prop_assert_eq!(Some(&value), told.get(field), "{}", field);
            }
            prop_assert!(!drawn || planned.expose == Maybe::Known(true));
        }
    }
}

fn hide_pooler_unknowns(mut config: DatabaseConfig) -> DatabaseConfig {
    if let Given::Value(pooler) = &mut config.pooler {
        for field in [
            &mut pooler.default_pool_size,
            &mut pooler.max_client_connections,
        ] {
            if field.is_unknown() {
                *field = Given::Absent;
            }
        }
        if pooler.mode.is_unknown() {
            pooler.mode = Given::Absent;
        }
    }
    config
}
