//! What was destroyed and is wanted again before it is taken away.

use super::bench::{Bench, Count};
use crate::Control;
use berth_domain::{DatabaseId, InstanceId, Operation, OperationState, Status};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A bench with one database that runs.
async fn running() -> (Bench, Arc<Control>, DatabaseId, InstanceId) {
    let bench = Bench::new().await;
    let control = Arc::new(bench.control());
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let instance = bench.row(&id).await.instance;
    (bench, control, id, instance)
}

/// Leases the operation that is due, and works on it until it waits for its turn.
async fn waiting(control: &Arc<Control>, instance: &InstanceId) -> (Operation, JoinHandle<()>) {
    let operation = control.lease(1).await.unwrap().remove(0);
    let (leased, worker) = (operation.clone(), Arc::clone(control));
    let working = tokio::spawn(async move { worker.work(leased).await });
    while control.locks.yield_to_others(instance).is_ok() {
        tokio::task::yield_now().await;
    }
    (operation, working)
}

#[tokio::test]
async fn a_restore_that_comes_while_a_destroy_waits_leaves_everything_running() {
    let (bench, control, id, instance) = running().await;
    let turn = control.locks.wait(&instance).await;
    bench.destroy(&id, 7).await;
    let (destroy, working) = waiting(&control, &instance).await;
    bench.undelete(&id).await;
    let calls = |verb: &str| bench.runtime.calls(verb);
    let before = (calls("stop"), calls("remove"), calls("create"));
    drop(turn);
    working.await.unwrap();
    bench.run_until_idle(&control).await;
    assert_eq!((calls("stop"), calls("remove"), calls("create")), before);
    assert_eq!(bench.count(), Count::ONE);
    assert_eq!(bench.status(&id).await, Status::Running);
    let destroy = bench.store.operation(&destroy.id).await.unwrap().unwrap();
    assert_eq!(destroy.state, OperationState::Superseded);
}

#[tokio::test]
async fn a_restore_that_comes_while_a_purge_waits_finds_its_data() {
    let (bench, control, id, instance) = running().await;
    let credentials = bench.credentials(&id).await;
    bench.destroy(&id, 0).await;
    bench.run_until_idle(&control).await;
    let turn = control.locks.wait(&instance).await;
    control.order_purges().await.unwrap();
    let (_, working) = waiting(&control, &instance).await;
    bench.undelete(&id).await;
    drop(turn);
    working.await.unwrap();
    assert_eq!(bench.count(), Count::ONE_IN_TRASH);
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn a_destroy_that_another_took_the_place_of_takes_nothing_away() {
    let (bench, control, id, instance) = running().await;
    let turn = control.locks.wait(&instance).await;
    bench.destroy(&id, 7).await;
    let (_, working) = waiting(&control, &instance).await;
    // Destroyed again meanwhile: the row is not living, and still the order is not this one.
    bench.undelete(&id).await;
    bench.destroy(&id, 7).await;
    drop(turn);
    working.await.unwrap();
    assert_eq!(bench.count(), Count::ONE);
    bench.run_until_idle(&control).await;
    assert_eq!(bench.count(), Count::ONE_IN_TRASH);
}

#[tokio::test]
async fn remains_are_those_of_what_is_still_destroyed() {
    let (bench, control, id, _) = running().await;
    bench.destroy(&id, 7).await;
    let as_it_was_read = bench.row(&id).await;
    bench.undelete(&id).await;
    bench.run_until_idle(&control).await;
    control.take_remains_away(&as_it_was_read).await.unwrap();
    assert_eq!(bench.count(), Count::ONE);
}
