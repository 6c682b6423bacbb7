//! A database's life when nothing goes wrong.

use super::bench::{Bench, Count};
use berth_domain::{Intent, Observed, OperationKind, OperationState, Status};
use berth_store::CredentialState;

#[tokio::test]
async fn what_is_ordered_runs_and_its_owner_gets_in() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    assert_eq!(bench.status(&id).await, Status::Provisioning);
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.count(), Count::ONE);
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
    let seen = bench.seen(&id).await;
    assert_eq!((seen.phase.as_str(), seen.generation), ("ready", 1));
    assert!(seen.version_actual.is_some() && seen.storage_used_bytes.is_some());
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn stop_keeps_everything_and_start_brings_it_back() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench
        .change(&id, OperationKind::Change, |row| row.intent = Intent::Stop)
        .await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Stopped);
    assert_eq!(bench.count().instances, 1);
    bench
        .change(&id, OperationKind::Change, |row| row.intent = Intent::Run)
        .await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn a_restart_stops_what_runs_and_starts_it_again() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let stops = bench.runtime.calls("stop");
    bench.change(&id, OperationKind::Restart, |_| ()).await;
    bench.run_until_idle(&control).await;
    assert!(bench.runtime.calls("stop") > stops);
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn a_new_password_is_proven_and_the_old_one_refused() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let old = bench.credentials(&id).await.remove(0);
    bench
        .change(&id, OperationKind::Rotate, |row| row.credential_version = 2)
        .await;
    bench.run_until_idle(&control).await;
    let now = bench.credentials(&id).await;
    assert_eq!(now.len(), 1);
    assert_eq!(
        (now[0].version, now[0].state),
        (2, CredentialState::Current)
    );
    assert!(bench.gets_in(&control, &id, &now[0]).await);
    assert!(!bench.gets_in(&control, &id, &old).await);
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
}

#[tokio::test]
async fn a_restart_that_took_a_rotation_over_does_both() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let old = bench.credentials(&id).await.remove(0);
    let stops = bench.runtime.calls("stop");
    bench
        .change(&id, OperationKind::Restart, |row| {
            row.credential_version = 2;
        })
        .await;
    bench.run_until_idle(&control).await;
    assert!(bench.runtime.calls("stop") > stops);
    let now = bench.credentials(&id).await;
    assert_eq!((now.len(), now[0].version), (1, 2));
    assert!(bench.gets_in(&control, &id, &now[0]).await);
    assert!(!bench.gets_in(&control, &id, &old).await);
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
}

#[tokio::test]
async fn a_stopped_database_takes_its_new_password_when_it_starts() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench
        .change(&id, OperationKind::Rotate, |row| {
            row.credential_version = 2;
            row.intent = Intent::Stop;
        })
        .await;
    bench.run_until_idle(&control).await;
    let failure = bench.latest(&id).await.failure.unwrap();
    assert_eq!(failure.code, "database_stopped");
    bench.look_after(&control).await;
    assert_eq!(bench.status(&id).await, Status::Stopped);
    bench
        .change(&id, OperationKind::Change, |row| row.intent = Intent::Run)
        .await;
    bench.run_until_idle(&control).await;
    let now = bench.credentials(&id).await;
    assert_eq!((now.len(), now[0].version), (1, 2));
    assert!(bench.gets_in(&control, &id, &now[0]).await);
}

#[tokio::test]
async fn destroy_leaves_only_the_trash_and_undelete_brings_the_same_login_back() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let credentials = bench.credentials(&id).await;
    bench.destroy(&id, 7).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Destroyed);
    assert_eq!(bench.count(), Count::ONE_IN_TRASH);
    // Another process, later.
    drop(control);
    let control = bench.control();
    bench.undelete(&id).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.count(), Count::ONE);
    assert_eq!(bench.credentials(&id).await, credentials);
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn a_restore_whose_data_is_lost_fails_and_makes_nothing_empty() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.destroy(&id, 7).await;
    bench.run_until_idle(&control).await;
    std::fs::remove_dir_all(bench.data_root().join("trash")).unwrap();
    let restore = bench.undelete(&id).await;
    bench.run_until_idle(&control).await;
    let restore = bench.store.operation(&restore).await.unwrap().unwrap();
    assert_eq!(restore.state, OperationState::Failed);
    assert_eq!(restore.failure.unwrap().code, "data_missing");
    assert_eq!(bench.count(), Count::NONE);
    assert_eq!(bench.status(&id).await, Status::Error);
}

#[tokio::test]
async fn the_window_ends_and_the_data_goes() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.destroy(&id, 7).await;
    bench.run_until_idle(&control).await;
    control.order_purges().await.unwrap();
    assert_eq!(bench.store.pending_operations().await.unwrap(), 0);
    bench.clock.forward_seconds(7 * 86_400);
    control.order_purges().await.unwrap();
    control.order_purges().await.unwrap();
    assert_eq!(bench.store.pending_operations().await.unwrap(), 1);
    bench.run_until_idle(&control).await;
    assert_eq!(bench.count(), Count::NONE);
    assert!(bench.row(&id).await.purged_at.is_some());
    assert!(bench.credentials(&id).await.is_empty());
    assert_eq!(bench.status(&id).await, Status::Destroyed);
}

#[tokio::test]
async fn a_destroy_takes_the_place_of_a_provision_half_way() {
    let bench = Bench::new().await;
    let mut control = bench.control();
    let id = bench.order("orders").await;
    super::bench::crash_once(&mut control, "control.await_engine.after");
    bench.work_once(&control).await;
    assert_eq!(bench.count().containers, 2);
    let provision = bench.latest(&id).await.id;
    bench.destroy(&id, 7).await;
    let control = bench.control();
    bench.run_until_idle(&control).await;
    assert_eq!(bench.count().containers, 0);
    let provision = bench.store.operation(&provision).await.unwrap().unwrap();
    assert_eq!(provision.state, OperationState::Superseded);
    // What never was ready comes back as something new.
    bench.undelete(&id).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn two_loops_on_one_store_never_share_an_operation() {
    let bench = Bench::new().await;
    let (first, second) = (bench.control(), bench.control());
    for name in ["orders", "bills", "users"] {
        bench.order(name).await;
    }
    let (ours, theirs) = tokio::join!(first.lease(2), second.lease(10));
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.len() + theirs.len(), 3);
    assert!(ours.iter().all(|o| theirs.iter().all(|t| t.id != o.id)));
    // A lease that ran out goes to whoever asks, and its old holder notices.
    bench.clock.forward_seconds(16);
    let taken = second.lease(10).await.unwrap();
    assert_eq!(taken.len(), 3);
    for operation in ours {
        first.work(operation).await;
    }
    assert_eq!(bench.count().containers, 0);
    for operation in taken {
        second.work(operation).await;
    }
    assert_eq!(bench.count().containers, 6);
    assert_eq!(bench.store.pending_operations().await.unwrap(), 0);
}

#[tokio::test]
async fn a_running_loop_hears_of_work_and_ends_when_told() {
    let bench = Bench::new().await;
    let control = std::sync::Arc::new(bench.control());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut commits = bench.store.watch_version();
    let wake = std::sync::Arc::clone(&control.parts.wake);
    let running = tokio::spawn(control.run(async {
        let _ = stopped.await;
    }));
    let id = bench.order("orders").await;
    wake.notify_one();
    while bench.seen(&id).await.observed != Observed::Ready {
        commits.changed().await.unwrap();
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn what_is_asked_for_goes_before_a_repair() {
    let bench = Bench::new().await;
    let control = std::sync::Arc::new(bench.control());
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    // Whoever holds the turn learns at its next step that an operation waits for it.
    let instance = bench.row(&id).await.instance;
    let turn = control.locks.wait(&instance).await;
    bench.destroy(&id, 7).await;
    let operation = control.lease(1).await.unwrap().remove(0);
    let working = tokio::spawn({
        let control = std::sync::Arc::clone(&control);
        async move { control.work(operation).await }
    });
    while control.locks.yield_to_others(&instance).is_ok() {
        tokio::task::yield_now().await;
    }
    let subject = control.subject(&id).await.unwrap().unwrap();
    let repair = control.repair(&subject).await;
    assert!(matches!(repair, Err(crate::Error::NotOurs)), "{repair:?}");
    drop(turn);
    working.await.unwrap();
    assert_eq!(bench.count(), Count::ONE_IN_TRASH);
}

#[tokio::test]
async fn nothing_is_remembered_of_what_was_destroyed() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.look_after(&control).await;
    let (_, patient) = control.roster().after(None, 1).remove(0);
    let remembers = || control.charts.with_known(&patient.instance, |_| ());
    assert!(remembers().is_some());
    bench.destroy(&id, 7).await;
    bench.run_until_idle(&control).await;
    assert!(remembers().is_none());
    // What was read of it before is still on somebody's way.
    control.visit(&id, &patient).await;
    control.charts.distrust(&patient.instance);
    control.tell_silence(&id).await.unwrap();
    assert!(remembers().is_none());
}
