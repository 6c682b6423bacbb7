//! Bad days: silence, broken promises, things that go down.

use super::bench::{Bench, Count, fail_always};
use crate::Control;
use crate::samples::addresses;
use berth_containers::{Containers, Fault, Role};
use berth_domain::{
    Database, DatabaseId, Event, FieldChange, Intent, Observed, OperationKind, OperationState,
    Status, Truth,
};
use berth_store::EventFilter;
use std::time::Duration;

/// How long a berthd of a test waits for a platform that answers nobody. As soon as one answers,
/// it is a berthd with the usual patience that asks.
const SILENCE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn silence_fails_nothing_and_changes_no_status() {
    for fault in [Fault::Unreachable, Fault::Hangs] {
        outlasts_silence(fault).await;
    }
}

async fn outlasts_silence(fault: Fault) {
    let bench = Bench::new().await;
    let mut control = bench.control();
    let ran = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.clock.forward_seconds(5);
    bench.look_after(&control).await;
    let answered_at = bench.now();
    // The engine's end goes with that of the runtime.
    knock_over(&bench).await;
    bench.runtime.falls_silent(fault);
    control.silence_max = SILENCE;
    let waits = bench.order("bills").await;
    for _ in 0..60 {
        bench.work_once(&control).await;
        bench.clock.forward_seconds(60);
    }
    // An hour later, long after its deadline, it still only waits.
    assert_eq!(bench.latest(&waits).await.state, OperationState::Pending);
    assert_eq!(bench.status(&waits).await, Status::Provisioning);
    let seen = bench.seen(&waits).await;
    assert!(matches!(seen.observed, Observed::Unknown { .. }));
    assert_eq!(seen.conditions[0].truth, Truth::Unknown);
    bench.look_after(&control).await;
    assert_eq!(bench.status(&ran).await, Status::Running);
    let seen = bench.seen(&ran).await;
    assert_eq!(
        seen.observed,
        Observed::Unknown {
            last: Status::Running
        }
    );
    assert_eq!(seen.observed_at, answered_at);
    bench.runtime.answers_again();
    control.silence_max = Duration::MAX;
    bench.run_until_idle(&control).await;
    bench.look_after(&control).await;
    assert_eq!(bench.status(&waits).await, Status::Running);
    assert_eq!(bench.status(&ran).await, Status::Running);
    assert_eq!(bench.count().containers, 4);
}

/// A berthd that starts while nobody answers and soon takes that for silence.
fn impatient(bench: &Bench) -> Control {
    let mut control = bench.control();
    control.silence_max = SILENCE;
    control
}

#[tokio::test]
async fn what_answers_by_itself_is_in_no_error_while_its_platform_is_silent() {
    for fault in [Fault::Unreachable, Fault::Hangs] {
        let bench = Bench::new().await;
        let id = bench.order("orders").await;
        bench.run_until_idle(&bench.control()).await;
        bench.runtime.falls_silent(fault);
        // Each look would put right what a restarted berthd does not know yet.
        let control = impatient(&bench);
        for look in 1..=5 {
            bench.look_after(&control).await;
            let (status, seen) = (bench.status(&id).await, bench.seen(&id).await);
            assert_eq!(status, Status::Running, "{fault:?} {look}: {seen:?}");
            assert_eq!(seen.conditions[0].truth, Truth::Unknown, "{fault:?} {look}");
            bench.clock.forward_seconds(60);
        }
        bench.runtime.answers_again();
        bench.look_after(&bench.control()).await;
        assert_eq!(bench.seen(&id).await.observed, Observed::Ready, "{fault:?}");
    }
}

/// A database that is to be worked on so, and everything that comes before is done.
async fn with_work(bench: &Bench, kind: OperationKind) -> DatabaseId {
    let control = bench.control();
    let id = bench.order("orders").await;
    if kind == OperationKind::Provision {
        return id;
    }
    bench.run_until_idle(&control).await;
    match kind {
        OperationKind::Provision | OperationKind::Change | OperationKind::Restart => {
            bench.change(&id, kind, |_| ()).await;
        }
        OperationKind::Rotate => {
            let rotate = |row: &mut Database| row.credential_version += 1;
            bench.change(&id, kind, rotate).await;
        }
        OperationKind::Sleep => {
            bench
                .change(&id, kind, |row| row.intent = Intent::Sleep)
                .await;
        }
        OperationKind::Wake => {
            let sleep = |row: &mut Database| row.intent = Intent::Sleep;
            bench.change(&id, OperationKind::Sleep, sleep).await;
            bench.run_until_idle(&control).await;
            bench
                .change(&id, kind, |row| row.intent = Intent::Run)
                .await;
        }
        OperationKind::Destroy => {
            bench.destroy(&id, 7).await;
        }
        OperationKind::Restore => {
            bench.destroy(&id, 7).await;
            bench.run_until_idle(&control).await;
            bench.undelete(&id).await;
        }
        OperationKind::Purge => {
            bench.destroy(&id, 0).await;
            bench.run_until_idle(&control).await;
            control.order_purges().await.unwrap();
        }
    }
    id
}

#[tokio::test]
async fn every_kind_of_work_waits_for_a_platform_that_hangs() {
    for kind in OperationKind::ALL {
        let bench = Bench::new().await;
        let id = with_work(&bench, kind).await;
        let before = bench.status(&id).await;
        bench.runtime.falls_silent(Fault::Hangs);
        let control = impatient(&bench);
        for _ in 0..20 {
            bench.work_once(&control).await;
            bench.clock.forward_seconds(60);
        }
        let waits = bench.latest(&id).await;
        assert_eq!(waits.kind, kind);
        assert_eq!(waits.state, OperationState::Pending, "{kind:?}: {waits:?}");
        assert_eq!(bench.status(&id).await, before, "{kind:?}");
        bench.runtime.answers_again();
        bench.run_until_idle(&bench.control()).await;
        let done = bench.latest(&id).await;
        assert_eq!(done.state, OperationState::Succeeded, "{kind:?}: {done:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_success_makes_no_second_of_anything() {
    for verb in ["create", "start", "create_network", "attach"] {
        for fault in [Fault::AnswerLost, Fault::Unreachable, Fault::Fails] {
            let bench = Bench::new().await;
            let control = bench.control();
            let id = bench.order("orders").await;
            bench.runtime.fail(verb, 1, fault);
            bench.run_until_idle(&control).await;
            assert_eq!(bench.status(&id).await, Status::Running, "{verb} {fault:?}");
            // What an interrupted job left goes with the next start.
            let control = bench.control();
            bench.look_after(&control).await;
            assert_eq!(bench.count(), Count::ONE, "{verb} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_had_fails_with_a_sentence() {
    let bench = Bench::new().await;
    let control = bench.control();
    let image = "berth/postgresql:17";
    bench.runtime.forget_image(image);
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    let operation = bench.latest(&id).await;
    assert_eq!(operation.state, OperationState::Failed);
    let failure = operation.failure.unwrap();
    assert!(failure.message.contains(image), "{}", failure.message);
    assert_eq!(bench.status(&id).await, Status::Error);
    assert_eq!(bench.count().containers, 0);
}

#[tokio::test]
async fn an_engine_that_keeps_failing_is_given_up_after_its_deadline_only() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    for nth in 1..=400 {
        bench.runtime.fail("create", nth, Fault::Fails);
    }
    for _ in 0..10 {
        bench.work_once(&control).await;
        bench.clock.forward_seconds(40);
    }
    assert_eq!(bench.latest(&id).await.state, OperationState::Pending);
    bench.run_until_idle(&control).await;
    let operation = bench.latest(&id).await;
    assert_eq!(operation.state, OperationState::Failed);
    assert_eq!(operation.failure.unwrap().code, "deadline_exceeded");
    assert!(operation.finished_at.unwrap() >= operation.deadline_at);
    assert_eq!(bench.status(&id).await, Status::Error);
}

#[tokio::test]
async fn a_host_that_restarted_gets_its_databases_back() {
    let bench = Bench::new().await;
    let id = bench.order("orders").await;
    bench.run_until_idle(&bench.control()).await;
    // A reboot: memory is empty, and what could not start did not.
    bench.runtime.restart();
    std::fs::remove_dir_all(bench.directory.path().join("run")).unwrap();
    let control = bench.control();
    bench.look_after(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.count(), Count::ONE);
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
}

#[tokio::test]
async fn adoption_disturbs_nothing_that_runs_right() {
    let bench = Bench::new().await;
    let id = bench.order("orders").await;
    bench.run_until_idle(&bench.control()).await;
    let before = (
        bench.runtime.calls("create"),
        bench.runtime.calls("start"),
        bench.runtime.calls("stop"),
        bench.runtime.calls("signal"),
    );
    let control = bench.control();
    for _ in 0..3 {
        bench.look_after(&control).await;
    }
    let after = (
        bench.runtime.calls("create"),
        bench.runtime.calls("start"),
        bench.runtime.calls("stop"),
        bench.runtime.calls("signal"),
    );
    assert_eq!(before, after);
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn what_is_well_costs_the_store_nothing() {
    let bench = Bench::new().await;
    let control = bench.control();
    bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.look_after(&control).await;
    let version = bench.store.version().await.unwrap();
    for _ in 0..5 {
        bench.clock.forward_seconds(5);
        bench.look_after(&control).await;
    }
    assert_eq!(bench.store.version().await.unwrap(), version);
}

/// Stops the engine as if it had ended by itself.
async fn knock_over(bench: &Bench) {
    let installation = addresses().installation().clone();
    let found = bench.runtime.find(installation.as_str(), None).await;
    for container in found.unwrap() {
        if container.labels.role == Role::Engine {
            bench.runtime.stop(&container.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_goes_down_again_and_again_is_in_error_until_it_stays_up() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    for fall in 1..=5 {
        knock_over(&bench).await;
        bench.look_after(&control).await;
        let expected = match fall {
            5 => Status::Error,
            _ => Status::Running,
        };
        assert_eq!(bench.status(&id).await, expected, "after fall {fall}");
        bench.clock.forward_seconds(11);
    }
    // It is started again all the same, and believed when it has stayed up.
    bench.look_after(&control).await;
    let seen = bench.seen(&id).await;
    let Observed::Failed { reason } = &seen.observed else {
        panic!("{seen:?}");
    };
    assert!(reason.contains("5 times"), "{reason}");
    let credentials = bench.credentials(&id).await;
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
    bench.clock.forward_seconds(61);
    bench.look_after(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn a_late_step_that_keeps_failing_waits_longer_each_time_and_is_given_up() {
    let bench = Bench::new().await;
    let mut control = bench.control();
    fail_always(&mut control, "control.bootstrap.before");
    let id = bench.order("orders").await;
    for failures in 1..=4_u32 {
        bench.work_once(&control).await;
        let operation = bench.latest(&id).await;
        assert_eq!(operation.attempt, failures);
        let wait = operation.due_at.as_millis() - bench.now().as_millis();
        // The jitter takes away less than a quarter of 200 ms, doubled each time.
        assert!(wait >= 150 << (failures - 1), "{wait} ms after {failures}");
        bench.clock.forward_seconds(31);
    }
    bench.run_until_idle(&control).await;
    let failure = bench.latest(&id).await.failure.unwrap();
    assert_eq!(failure.code, "deadline_exceeded");
    assert_eq!(bench.status(&id).await, Status::Error);
    // What helps helps at once.
    let control = bench.control();
    bench.look_after(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
}

#[tokio::test]
async fn a_password_that_a_repair_puts_in_force_is_told() {
    let bench = Bench::new().await;
    let id = with_work(&bench, OperationKind::Rotate).await;
    let mut control = bench.control();
    fail_always(&mut control, "control.bootstrap.before");
    bench.clock.forward_seconds(601);
    bench.run_until_idle(&control).await;
    let failure = bench.latest(&id).await.failure.unwrap();
    assert_eq!(failure.code, "deadline_exceeded");
    assert_eq!(bench.credentials(&id).await.len(), 2);
    let control = bench.control();
    bench.look_after(&control).await;
    let credentials = bench.credentials(&id).await;
    assert_eq!(credentials.len(), 1);
    assert!(bench.gets_in(&control, &id, &credentials[0]).await);
    let all = EventFilter::default();
    let told = bench.store.events_after(0, &all, 1000).await.unwrap().rows;
    let of_kind = |event: &&Event| event.kind == "database.password_in_force";
    let told: Vec<_> = told.iter().filter(of_kind).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].database_id, Some(id));
    assert_eq!(told[0].changes, [FieldChange::secret("password")]);
}
