//! What happens without anybody asking: storage, remains, spares.

use super::bench::{Bench, Count};
use crate::operations::is_ours_for_long;
use crate::storage::Pressure;
use berth_containers::Networks as _;
use berth_domain::{Clock, DatabaseId, EngineName, OperationKind, Status};
use std::collections::HashSet;

#[tokio::test]
async fn a_full_database_becomes_read_only_and_writable_again() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    // The fake's engines take 8 MB, which is more than nothing.
    bench
        .change(&id, OperationKind::Change, |row| row.storage_gb = 0)
        .await;
    bench.run_until_idle(&control).await;
    bench.clock.forward_seconds(61);
    bench.look_after(&control).await;
    let seen = bench.seen(&id).await;
    assert_eq!(Pressure::of(&seen.conditions), Pressure::Full);
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(events(&bench, "database.read_only").await, 1);
    bench
        .change(&id, OperationKind::Change, |row| row.storage_gb = 10)
        .await;
    bench.run_until_idle(&control).await;
    bench.clock.forward_seconds(61);
    bench.look_after(&control).await;
    let seen = bench.seen(&id).await;
    assert_eq!(Pressure::of(&seen.conditions), Pressure::None);
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn remains_of_what_was_destroyed_are_taken_away() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let stays = bench.order("bills").await;
    bench.run_until_idle(&control).await;
    // As if an operation had been lost: the row is destroyed, and nobody acts on it.
    let operation = bench.destroy(&id, 7).await;
    let mut tx = bench.store.begin().await.unwrap();
    let superseded = tx.supersede_operations(&id, bench.now()).await.unwrap();
    assert_eq!(superseded, [operation]);
    tx.commit().await.unwrap();
    control.sweep(&mut HashSet::new()).await.unwrap();
    let count = bench.count();
    assert_eq!((count.containers, count.instances, count.trash), (2, 1, 1));
    assert_eq!(bench.status(&stays).await, Status::Running);
}

#[tokio::test]
async fn a_network_that_nobody_is_in_any_more_goes() {
    let bench = Bench::new().await;
    let control = bench.control();
    // As if an application had been in it when the last instance went.
    let subnet: ipnet::Ipv4Net = "10.211.7.0/24".parse().unwrap();
    let plan = berth_containers::NetworkPlan {
        name: "left-behind".to_owned(),
        installation: crate::samples::addresses().installation().to_string(),
        subnet,
        gateway: subnet.hosts().next().unwrap(),
        internal: true,
        members_meet: true,
    };
    bench.runtime.create_network(&plan).await.unwrap();
    bench.order("orders").await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.count().networks, 2);
    control.sweep(&mut HashSet::new()).await.unwrap();
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn versions_in_use_have_spares() {
    let bench = Bench::new().await;
    let control = bench.control();
    control.keep_spares().await.unwrap();
    assert!(!bench.data_root().join("spares").exists());
    bench.order("orders").await;
    bench.run_until_idle(&control).await;
    control.keep_spares().await.unwrap();
    let versions: Vec<_> = std::fs::read_dir(bench.data_root().join("spares"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(std::fs::read_dir(&versions[0]).unwrap().count(), 2);
}

#[tokio::test]
async fn versions_that_are_named_have_spares_from_the_start() {
    let bench = Bench::new().await;
    let mut control = bench.control();
    let version = |name: &str| (EngineName::new("postgresql"), name.to_owned());
    control.parts.limits.spare_versions = vec![version("17"), version("18")];
    // Nothing is built or pulled for a spare, and the others are made even so.
    bench.runtime.forget_image("berth/postgresql:18");
    control.keep_spares().await.unwrap();
    let spares = bench.data_root().join("spares");
    let kept = |version: &str| {
        let directory = spares.join(format!("postgresql-{version}"));
        std::fs::read_dir(directory).map_or(0, Iterator::count)
    };
    assert_eq!((kept("17"), kept("18")), (2, 0));
    assert_eq!(bench.count().containers, 0);

    let bench = Bench::new().await;
    let mut control = bench.control();
    control.parts.limits.spare_versions = vec![version("17")];
    control.parts.limits.spares = 0;
    control.keep_spares().await.unwrap();
    assert!(!bench.data_root().join("spares").exists());
}

#[tokio::test]
async fn an_image_that_was_built_anew_is_told_and_restarts_nothing() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let tells = async || {
        bench.clock.forward_seconds(61);
        bench.look_after(&control).await;
        let seen = bench.seen(&id).await;
        assert_eq!(bench.status(&id).await, Status::Running);
        let told = seen
            .conditions
            .iter()
            .find(|c| c.kind == "UpgradeAvailable");
        told.map(|c| c.since)
    };
    assert_eq!(tells().await, None);
    let started = bench.runtime.calls("start");
    bench.runtime.build_image("berth/postgresql:17");
    let since = tells().await.unwrap();
    assert_eq!(tells().await, Some(since), "it is told once");
    // Whoever ensures it again leaves it on its own image.
    let instance = bench.row(&id).await.instance;
    control.charts.distrust(&instance);
    assert_eq!(tells().await, Some(since));
    assert_eq!(bench.runtime.calls("start"), started);
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn what_a_predecessor_held_goes_on_at_once() {
    let bench = Bench::new().await;
    let id = bench.order("orders").await;
    assert_eq!(bench.control().lease(10).await.unwrap().len(), 1);
    let successor = bench.control();
    assert_eq!(successor.lease(10).await.unwrap(), []);
    successor.take_over().await.unwrap();
    let leased = successor.lease(10).await.unwrap();
    assert_eq!(leased.len(), 1, "no time has passed");
    assert_eq!(leased[0].database_id, id);
}

#[tokio::test]
async fn what_was_ordered_while_the_clock_was_ahead_goes_on_at_the_next_start() {
    let bench = Bench::new().await;
    let id = bench.order("orders").await;
    bench.clock.forward_seconds(-7_200);
    let successor = bench.control();
    assert_eq!(successor.lease(10).await.unwrap(), []);
    successor.take_over().await.unwrap();
    let leased = successor.lease(10).await.unwrap();
    assert_eq!(leased.len(), 1, "two hours before it is due");
    assert_eq!(leased[0].database_id, id);
}

#[tokio::test]
async fn old_rows_are_forgotten_and_the_younger_ones_stay() {
    const DAY: i64 = 86_400;
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let gone = bench.order("bills").await;
    bench.run_until_idle(&control).await;
    bench.change(&id, OperationKind::Restart, |_| {}).await;
    bench.run_until_idle(&control).await;
    let latest = bench.latest(&id).await.id;
    control
        .note(&bench.row(&id).await, "database.noted", "once")
        .await
        .unwrap();
    bench.destroy(&gone, 0).await;
    bench.run_until_idle(&control).await;
    control.order_purges().await.unwrap();
    bench.run_until_idle(&control).await;

    control.forget_old_rows().await.unwrap();
    assert_eq!(operations(&bench, &id).await, 2);
    assert!(bench.store.database_by_id(&gone).await.unwrap().is_some());

    bench.clock.forward_seconds(91 * DAY);
    control.forget_old_rows().await.unwrap();
    assert_eq!(operations(&bench, &id).await, 1);
    assert_eq!(bench.latest(&id).await.id, latest);
    assert!(bench.store.database_by_id(&gone).await.unwrap().is_none());
    assert_eq!(events(&bench, "database.noted").await, 1);

    bench.clock.forward_seconds(310 * DAY);
    control.forget_old_rows().await.unwrap();
    assert_eq!(events(&bench, "database.noted").await, 0);
    assert_eq!(bench.latest(&id).await.id, latest);
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn an_answer_is_forgotten_no_sooner_than_its_key_is() {
    const HOUR: i64 = 3_600;
    let bench = Bench::new().await;
    let control = bench.control();
    let record = berth_store::IdempotencyRecord {
        caller: "local".to_owned(),
        key: "k1".to_owned(),
        request_hash: "hash".to_owned(),
        status: 201,
        body: berth_domain::Secret::new("{}"),
        created_at: bench.clock.now(),
    };
    let mut tx = bench.store.begin().await.unwrap();
    tx.insert_idempotency_record(&record).await.unwrap();
    tx.commit().await.unwrap();
    let is_kept = async || {
        control.forget_old_rows().await.unwrap();
        let found = bench.store.idempotency_record("local", "k1").await;
        found.unwrap().is_some()
    };
    bench.clock.forward_seconds(23 * HOUR);
    assert!(is_kept().await);
    bench.clock.forward_seconds(HOUR);
    assert!(is_kept().await);
    bench.clock.forward_seconds(1);
    assert!(!is_kept().await);
}

#[tokio::test]
async fn what_people_gave_a_project_is_forgotten_no_sooner_than_it_may_be_lost() {
    const DAY: i64 = 86_400;
    for (floor_days, first) in [(1, 7), (40, 40)] {
        let bench = Bench::new().await;
        let mut control = bench.control();
        control.parts.limits.recovery_floor_days = floor_days;
        let mut project = crate::samples::project();
        project.id = berth_domain::ProjectId::from_entropy([9; 8]);
        project.name = berth_domain::Name::parse("other").unwrap();
        project.slug = berth_domain::Slug::of(&project.name);
        let variable = berth_domain::EnvVariable {
            project_id: project.id.clone(),
            name: berth_domain::EnvName::parse("KEY").unwrap(),
            value: berth_domain::Secret::new("value"),
            sensitive: true,
            created_at: bench.clock.now(),
            updated_at: bench.clock.now(),
        };
        let mut tx = bench.store.begin().await.unwrap();
        tx.insert_project(&project).await.unwrap();
        tx.keep_env_version(&variable, bench.clock.now())
            .await
            .unwrap();
        project.generation += 1;
        project.destroyed_at = Some(bench.clock.now());
        tx.update_project(&project).await.unwrap();
        tx.commit().await.unwrap();
        let kept = async || {
            control.forget_old_rows().await.unwrap();
            let kept = bench.store.env_version_use(&project.id).await.unwrap();
            let row = bench.store.project_by_id(&project.id).await.unwrap();
            (kept.versions, row.is_some())
        };
        bench.clock.forward_seconds(first * DAY);
        assert_eq!(kept().await, (1, true), "{floor_days}");
        bench.clock.forward_seconds(1);
        assert_eq!(kept().await, (0, first < 30), "{floor_days}");
        bench.clock.forward_seconds((30 - first).max(0) * DAY);
        assert_eq!(kept().await, (0, false), "{floor_days}");
    }
}

async fn operations(bench: &Bench, id: &DatabaseId) -> usize {
    let page = bench.store.operations_page(id, None, 100).await.unwrap();
    page.rows.len()
}

async fn events(bench: &Bench, kind: &str) -> usize {
    let filter = berth_store::EventFilter::default();
    let page = bench.store.events_after(0, &filter, 1000).await.unwrap();
    page.rows.iter().filter(|event| event.kind == kind).count()
}

#[tokio::test]
async fn what_waits_for_a_seat_is_left_before_its_lease_ends() {
    let bench = Bench::new().await;
    let control = bench.control();
    bench.order("orders").await;
    let operation = control.lease(1).await.unwrap().remove(0);
    let is_ours_for_long = || is_ours_for_long(&operation, bench.now());
    assert!(is_ours_for_long());
    bench.clock.forward_seconds(9);
    assert!(is_ours_for_long());
    bench.clock.forward_seconds(1);
    assert!(!is_ours_for_long());
    // It comes again when the lease has ended.
    bench.clock.forward_seconds(5);
    let again = control.lease(1).await.unwrap().remove(0);
    assert_eq!(again.id, operation.id);
}
