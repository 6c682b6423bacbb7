//! What happens without anybody asking: storage, remains, spares.

use super::bench::{Bench, Count};
use crate::storage::Pressure;
use berth_domain::{OperationKind, Status};
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

async fn events(bench: &Bench, kind: &str) -> usize {
    let filter = berth_store::EventFilter::default();
    let page = bench.store.events_after(0, &filter, 1000).await.unwrap();
    page.rows.iter().filter(|event| event.kind == kind).count()
}
