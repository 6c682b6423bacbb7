//! Rules that hold for every wish.

use super::tests::{facts, row, rules};
use super::*;
use crate::databases::config::PoolerConfig;
use crate::databases::facts::{Authority, Holder, ProjectFact};
use berth_domain::{Condition, Intent, Name, Observation, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Fields by which the random wishes below become unknown.
const FIELDS: u32 = 22;

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
    hide!(inject_env);
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

/// Words that hold, and once in a while one that does not: refused wishes prove little.
fn word(good: &'static [&'static str], bad: &'static str) -> BoxedStrategy<Given<String>> {
    given(
        prop_oneof![
            24 => prop::sample::select(good),
            1 => Just(bad),
        ]
        .prop_map(str::to_owned),
    )
}

/// Numbers that hold, and once in a while one that does not.
fn number<T>(good: std::ops::Range<T>, bad: T) -> BoxedStrategy<Given<T>>
where
    std::ops::Range<T>: Strategy<Value = T>,
    T: Copy + std::fmt::Debug + 'static,
{
    given(prop_oneof![24 => good, 1 => Just(bad)])
}

prop_compose! {
    fn poolers()(
        enabled in given(any::<bool>()),
        mode in word(&["session", "transaction"], "never"),
        size in number(1..90, 120),
        clients in number(90..300, 0),
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
        name in word(&["orders", "bills"], "Bad Name"),
        project in word(&["default"], "default"),
        engine in word(&["postgresql", "pg"], "oracle"),
        version in word(&["17", "17", "16"], "99"),
        plan in word(&["small", "large"], "huge"),
        region in word(&["nyc1", "nyc1", "local"], "mars"),
        desired_status in word(&["running", "stopped"], "paused"),
        database_name in word(&["orders"], "shop"),
        username in word(&["app_orders"], "postgres"),
        tls_mode in word(&["allow", "require"], "maybe"),
        numbers in (number(20..500, 600_u32), number(1..2, 2_u32), number(2..5, 0_i64), number(15_000..15_010, 14_999_u16), number(7..90, 91_u32), number(1..60, 0_u32)),
        (expose, deletion_protection) in (given(any::<bool>()), given(any::<bool>())),
        pooler in given(poolers()),
        allow_list in given(prop::sample::select(&["10.0.0.0/8", "192.0.2.1/32"][..]).prop_map(|n| BTreeSet::from([n.to_owned()]))),
        restore_from in word(&["db_1"], "db_1"),
        maps in (
            given(Just(BTreeMap::from([("team".to_owned(), "a".to_owned())]))),
            given(prop::sample::select(&[("DATABASE_URL", "PG_URL"), ("ORDERS_URL", "PG_URL"), ("BILLS_URL", "PG_URL")][..])
                .prop_map(|(ours, theirs)| BTreeMap::from([(ours.to_owned(), theirs.to_owned())]))),
        ),
    ) -> DatabaseConfig {
        DatabaseConfig {
            name, project, engine, version, plan, region, desired_status, database_name, username,
            tls_mode, expose, deletion_protection, pooler, allow_list, restore_from,
            tags: maps.0, inject_env: maps.1,
            storage_gb: numbers.0, replicas: numbers.1, credential_version: numbers.2,
            public_port: numbers.3, recovery_window_days: numbers.4,
            sleep_after_minutes: numbers.5,
        }
    }
}

fn rarely() -> BoxedStrategy<bool> {
    prop_oneof![9 => Just(false), 1 => Just(true)].boxed()
}

prop_compose! {
    fn worlds()(name_held in rarely(), slug_held in rarely(), full in rarely(), port in rarely(), unprotects in any::<bool>()) -> Facts {
        let holder = Holder { id: berth_domain::DatabaseId::parse("db_9").unwrap(), name: Name::parse("bills").unwrap() };
        Facts {
            name_holder: name_held.then(|| holder.clone()),
            slug_holder: slug_held.then(|| holder.clone()),
            new_slug_holder: slug_held.then_some(holder),
            memory_mb_promised: if full { 16_000 } else { 0 },
            ports_used: if port { BTreeSet::from([15_003]) } else { BTreeSet::new() },
            free_name: Some(Name::parse("default").unwrap()),
            authority: if unprotects { Authority::Unprotects } else { Authority::Writes },
            ..facts()
        }
    }
}

/// The row with a port that may still be replaced, and a world that knows of it.
fn with_a_drawn_port(world: Facts) -> (Database, Facts) {
    let (port, at) = (15_005, Timestamp::from_millis(0));
    let mut seen = Observation::none_yet(at);
    seen.conditions = vec![Condition::port_may_change(port, at)];
    let row = Database {
        expose: true,
        public_port: Some(port),
        ..row()
    };
    let observation = Some(seen);
    (
        row,
        Facts {
            observation,
            ..world
        },
    )
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
        sleep_after_minutes,
        tags,
        inject_env
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
        exists in any::<bool>(), drawn in any::<bool>(),
    ) {
        let rules = rules();
        let (row, world) = if drawn { with_a_drawn_port(world) } else { (row(), world) };
        let row = exists.then_some(row);
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
    fn what_is_planned_with_nothing_unknown_is_what_is_stored(wish in wishes(), world in worlds(), exists in any::<bool>(), drawn in any::<bool>()) {
        let rules = rules();
        let (row, world) = if drawn { with_a_drawn_port(world) } else { (row(), world) };
        let row = exists.then_some(row);
        let clear = hide_pooler_unknowns(wish);
        let clear = DatabaseConfig { restore_from: Given::Absent, ..clear };
        let found = evaluate(row.as_ref(), &clear, &world, &rules);
        if found.errors.is_empty() {
            let mut stored = row.unwrap_or_else(super::tests::row);
            let is_open = found.planned.public_port.is_unknown();
            let planned = found.planned.clone();
            prop_assert!(found.planned.write_into(&mut stored).is_ok());
            let told = known_attributes(&PlannedDatabase::of(&stored), &rules);
            for (field, value) in known_attributes(&planned, &rules) {
                prop_assert_eq!(Some(&value), told.get(field), "{}", field);
            }
            prop_assert!(!is_open || planned.expose == Maybe::Known(true));
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
