//! Who sleeps, who does not, and who wakes whom.

use super::bench::{Bench, Count};
use crate::Control;
use berth_domain::{DatabaseId, Intent, OperationKind, Status};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A database that sleeps after five minutes, and runs.
async fn tired(bench: &Bench, control: &Control) -> DatabaseId {
    let id = bench.order("orders").await;
    bench.run_until_idle(control).await;
    bench
        .change(&id, OperationKind::Change, |row| {
            row.sleep_after_minutes = Some(5);
        })
        .await;
    bench.run_until_idle(control).await;
    id
}

async fn asleep(bench: &Bench, control: &Control) -> DatabaseId {
    let id = bench.order("orders").await;
    bench.run_until_idle(control).await;
    bench
        .change(&id, OperationKind::Change, |row| row.intent = Intent::Sleep)
        .await;
    bench.run_until_idle(control).await;
    assert_eq!(bench.status(&id).await, Status::Stopped);
    assert_eq!(bench.seen(&id).await.phase, "asleep");
    id
}

/// What the journal tells of each turn, from and to.
async fn stop_reasons(bench: &Bench) -> Vec<(Option<String>, Option<String>)> {
    let filter = berth_store::EventFilter::default();
    let page = bench.store.events_after(0, &filter, 1000).await.unwrap();
    let changes = page.rows.into_iter().flat_map(|event| event.changes);
    changes
        .filter(|change| change.field == "stop_reason")
        .map(|change| (change.from, change.to))
        .collect()
}

async fn watch(control: &Control) {
    let sleepers = control.sleepers().await.unwrap();
    control.watch_all(&sleepers).await;
}

#[tokio::test]
async fn what_nobody_uses_sleeps_and_the_next_client_wakes_it() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = tired(&bench, &control).await;
    control.look_for_idle().await.unwrap();
    bench.clock.forward_seconds(299);
    control.look_for_idle().await.unwrap();
    assert_eq!(bench.row(&id).await.intent, Intent::Run);
    bench.clock.forward_seconds(1);
    control.look_for_idle().await.unwrap();
    bench.run_until_idle(&control).await;
    assert_eq!(bench.row(&id).await.intent, Intent::Sleep);
    assert_eq!(bench.status(&id).await, Status::Stopped);
    assert_eq!(bench.count(), Count::ONE);
    watch(&control).await;
    assert_eq!(bench.row(&id).await.intent, Intent::Sleep, "nobody came");
    bench.runtime.clients_wait(1);
    watch(&control).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    let asleep = Some("\"sleep\"".to_owned());
    assert_eq!(
        stop_reasons(&bench).await,
        [(None, asleep.clone()), (asleep, None)]
    );
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn whoever_does_something_keeps_it_awake() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = tired(&bench, &control).await;
    for _ in 0..4 {
        control.look_for_idle().await.unwrap();
        bench.clock.forward_seconds(200);
        bench.runtime.clients_work();
    }
    control.look_for_idle().await.unwrap();
    assert_eq!(bench.row(&id).await.intent, Intent::Run);
}

#[tokio::test]
async fn a_project_says_it_for_those_that_say_nothing() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let mut project = crate::samples::project();
    project.sleep_after_minutes = Some(1);
    project.generation += 1;
    let mut tx = bench.store.begin().await.unwrap();
    tx.update_project(&project).await.unwrap();
    tx.commit().await.unwrap();
    let minutes = async |minutes| {
        bench
            .change(&id, OperationKind::Change, |row| {
                row.sleep_after_minutes = minutes;
            })
            .await;
        bench.run_until_idle(&control).await;
        control.look_for_idle().await.unwrap();
        bench.clock.forward_seconds(60);
        control.look_for_idle().await.unwrap();
    };
    // 0 is never, whatever the project says.
    minutes(Some(0)).await;
    assert_eq!(bench.row(&id).await.intent, Intent::Run);
    minutes(None).await;
    assert_eq!(bench.row(&id).await.intent, Intent::Sleep);
}

#[tokio::test]
async fn without_a_pooler_nothing_sleeps_by_itself() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = tired(&bench, &control).await;
    bench
        .change(&id, OperationKind::Change, |row| row.pooler = None)
        .await;
    bench.run_until_idle(&control).await;
    control.look_for_idle().await.unwrap();
    bench.clock.forward_seconds(3600);
    control.look_for_idle().await.unwrap();
    assert_eq!(bench.row(&id).await.intent, Intent::Run);
}

#[tokio::test]
async fn a_pooler_that_restarts_holds_its_clients_again() {
    let bench = Bench::new().await;
    let id = asleep(&bench, &bench.control()).await;
    bench.runtime.poolers_restart();
    // Whoever looks has lost the session with it.
    let control = bench.control();
    watch(&control).await;
    bench.runtime.clients_wait(1);
    watch(&control).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn what_is_edited_while_it_sleeps_is_woken_as_before() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = asleep(&bench, &control).await;
    let mut row = bench.row(&id).await;
    row.deletion_protection = true;
    row.generation += 1;
    let mut tx = bench.store.begin().await.unwrap();
    tx.update_database(&row).await.unwrap();
    tx.commit().await.unwrap();
    bench.runtime.clients_wait(1);
    watch(&control).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn a_pooler_that_is_silent_keeps_nobody_elses_client_waiting() {
    let bench = Bench::new().await;
    let control = bench.control();
    for name in ["bills", "orders"] {
        let id = bench.order(name).await;
        bench.run_until_idle(&control).await;
        bench
            .change(&id, OperationKind::Change, |row| row.intent = Intent::Sleep)
            .await;
    }
    bench.run_until_idle(&control).await;
    let sleepers = control.sleepers().await.unwrap();
    let [first, second] = sleepers.as_slice() else {
        panic!("{sleepers:?}");
    };
    bench
        .runtime
        .hangs(&format!("berth-pgbouncer-{}", first.slug));
    bench.runtime.clients_wait(1);
    let woken = async {
        while bench.row(&second.id).await.intent == Intent::Sleep {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = control.watch_all(&sleepers) => panic!("the silent one was waited for first"),
        () = woken => {}
    }
    assert_eq!(bench.row(&first.id).await.intent, Intent::Sleep);
    // The next rounds do without it, until it has had time to recover.
    control.watch(first).await;
    let is_left_alone = || control.silent.is_left_alone(&first.instance, bench.now());
    assert!(is_left_alone());
    bench.clock.forward_seconds(10);
    assert!(!is_left_alone());
}

#[tokio::test]
async fn looking_after_what_sleeps_does_not_wake_it() {
    let bench = Bench::new().await;
    let id = asleep(&bench, &bench.control()).await;
    let starts = bench.runtime.calls("start");
    let control = bench.control();
    for _ in 0..3 {
        bench.look_after(&control).await;
        bench.clock.forward_seconds(60);
    }
    assert_eq!(bench.status(&id).await, Status::Stopped);
    assert_eq!(bench.runtime.calls("start"), starts);
}

#[tokio::test]
async fn what_was_stopped_while_it_slept_wakes_for_nobody() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = asleep(&bench, &control).await;
    bench
        .change(&id, OperationKind::Change, |row| row.intent = Intent::Stop)
        .await;
    bench.run_until_idle(&control).await;
    bench.runtime.clients_wait(1);
    watch(&control).await;
    assert_eq!(bench.row(&id).await.intent, Intent::Stop);
    assert_eq!(bench.status(&id).await, Status::Stopped);
}

#[tokio::test]
async fn what_never_ran_may_sleep_and_wake() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench
        .change(&id, OperationKind::Provision, |row| {
            row.intent = Intent::Sleep;
        })
        .await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Stopped);
    watch(&control).await;
    bench.runtime.clients_wait(1);
    watch(&control).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

/// Whether a client is seen by who watches, when `tell` is all that the store says of what went to
/// sleep after the first look.
async fn is_seen(reread: Duration, tell: impl Fn(&watch::Sender<i64>)) {
    let bench = Bench::new().await;
    let (store, told) = watch::channel(0);
    let mut control = bench.control();
    control.versions = told;
    control.reread_sleepers = reread;
    let watcher = tokio::spawn(Arc::new(control).watch_sleepers());
    let id = asleep(&bench, &bench.control()).await;
    bench.runtime.clients_wait(1);
    while bench.row(&id).await.intent == Intent::Sleep {
        tell(&store);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    watcher.abort();
}

#[tokio::test]
async fn who_went_to_sleep_by_a_commit_in_doubt_is_watched() {
    is_seen(Duration::MAX / 2, |store| store.send_modify(|_| {})).await;
}

#[tokio::test]
async fn who_went_to_sleep_untold_is_watched_a_little_later() {
    is_seen(Duration::from_millis(100), |_| {}).await;
}
