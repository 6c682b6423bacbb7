//! Killed anywhere, failed anywhere, done twice: it always ends at exactly one of each.

use super::bench::{Bench, Count, crash_once, fail_once};
use crate::{ALL_CRASH_POINTS, Control, Step};
use berth_domain::{DatabaseId, Intent, OperationKind, Status};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The lives that together pass every place.
#[derive(Debug, Clone, Copy)]
enum Life {
    Provision,
    Rotate,
    Stop,
    Sleep,
    Wake,
    Restart,
    Destroy,
    Restore,
    Purge,
}

const LIVES: [Life; 9] = [
    Life::Provision,
    Life::Rotate,
    Life::Stop,
    Life::Sleep,
    Life::Wake,
    Life::Restart,
    Life::Destroy,
    Life::Restore,
    Life::Purge,
];

impl Life {
    /// Whether the place is on this life's path.
    fn passes(self, point: &str) -> bool {
        let (kind, intent) = match self {
            Self::Provision => (OperationKind::Provision, Intent::Run),
            Self::Rotate => (OperationKind::Rotate, Intent::Run),
            Self::Stop => (OperationKind::Change, Intent::Stop),
            Self::Sleep => (OperationKind::Change, Intent::Sleep),
            Self::Wake => (OperationKind::Change, Intent::Run),
            Self::Restart => (OperationKind::Restart, Intent::Run),
            Self::Destroy => (OperationKind::Destroy, Intent::Destroy),
            Self::Restore => (OperationKind::Restore, Intent::Run),
            Self::Purge => (OperationKind::Purge, Intent::Destroy),
        };
        let step = point.split('.').nth(1).unwrap();
        Step::path(kind, intent).iter().any(|s| s.as_str() == step)
    }

    /// Everything up to the operation in question, which is then pending.
    async fn begin(self, bench: &Bench) -> DatabaseId {
        let id = bench.order("orders").await;
        if matches!(self, Self::Provision) {
            return id;
        }
        bench.run_until_idle(&bench.control()).await;
        match self {
            Self::Provision => {}
            Self::Rotate => {
                bench
                    .change(&id, OperationKind::Rotate, |row| row.credential_version = 2)
                    .await;
            }
            Self::Stop => {
                bench
                    .change(&id, OperationKind::Change, |row| row.intent = Intent::Stop)
                    .await;
            }
            Self::Sleep | Self::Wake => {
                let order = |intent| move |row: &mut berth_domain::Database| row.intent = intent;
                bench
                    .change(&id, OperationKind::Change, order(Intent::Sleep))
                    .await;
                if matches!(self, Self::Wake) {
                    bench.run_until_idle(&bench.control()).await;
                    bench
                        .change(&id, OperationKind::Change, order(Intent::Run))
                        .await;
                }
            }
            Self::Restart => {
                bench.change(&id, OperationKind::Restart, |_| ()).await;
            }
            Self::Destroy => {
                bench.destroy(&id, 7).await;
            }
            Self::Restore | Self::Purge => {
                bench.destroy(&id, 0).await;
                bench.run_until_idle(&bench.control()).await;
                if matches!(self, Self::Restore) {
                    bench.undelete(&id).await;
                } else {
                    bench.control().order_purges().await.unwrap();
                }
            }
        }
        id
    }

    /// What must be true in the end, whatever happened on the way.
    async fn check(self, bench: &Bench, control: &Control, id: &DatabaseId, why: &str) {
        let (status, count) = match self {
            Self::Provision | Self::Wake | Self::Rotate | Self::Restart | Self::Restore => {
                (Status::Running, Count::ONE)
            }
            Self::Stop | Self::Sleep => (Status::Stopped, Count::ONE),
            Self::Destroy => (Status::Destroyed, Count::ONE_IN_TRASH),
            Self::Purge => (Status::Destroyed, Count::NONE),
        };
        assert_eq!(bench.status(id).await, status, "{self:?} {why}");
        assert_eq!(bench.count(), count, "{self:?} {why}");
        assert_eq!(bench.store.pending_operations().await.unwrap(), 0);
        let credentials = bench.credentials(id).await;
        let known = if matches!(self, Self::Purge) { 0 } else { 1 };
        assert_eq!(credentials.len(), known, "{self:?} {why}");
        if matches!(self, Self::Sleep) {
            bench.runtime.clients_wait(1);
            let row = bench.row(id).await;
            assert!(
                control.is_waited_for(&row).await.unwrap(),
                "{why}: nobody is held"
            );
            bench.runtime.clients_wait(0);
        }
        if status == Status::Running {
            assert!(
                bench.gets_in(control, id, &credentials[0]).await,
                "{self:?} {why}"
            );
        }
    }
}

/// Plays each life with a trap at each place; answers the places that were passed.
async fn play(
    set: impl Fn(&mut Control, &'static str) -> Arc<Mutex<bool>>,
    process_goes_on: bool,
) -> BTreeSet<&'static str> {
    let mut passed = BTreeSet::new();
    for life in LIVES {
        for point in ALL_CRASH_POINTS {
            if !life.passes(point) {
                continue;
            }
            let bench = Bench::new().await;
            let id = life.begin(&bench).await;
            let mut control = bench.control();
            let sprung = set(&mut control, point);
            bench.work_once(&control).await;
            assert!(*sprung.lock().unwrap(), "{life:?} does not pass {point}");
            passed.insert(point);
            if !process_goes_on {
                control = bench.control();
            }
            bench.run_until_idle(&control).await;
            life.check(&bench, &control, &id, point).await;
            bench.look_after(&control).await;
            life.check(&bench, &control, &id, point).await;
        }
    }
    passed
}

#[tokio::test]
async fn killed_at_any_place_the_next_start_converges() {
    let passed = play(crash_once, false).await;
    let all: BTreeSet<_> = ALL_CRASH_POINTS.into_iter().collect();
    assert_eq!(passed, all, "places that no life passes");
}

#[tokio::test]
async fn every_step_may_fail_once() {
    let passed = play(fail_once, true).await;
    assert_eq!(passed.len(), ALL_CRASH_POINTS.len());
}

#[tokio::test]
async fn every_operation_may_be_done_twice() {
    for life in LIVES {
        let bench = Bench::new().await;
        let id = life.begin(&bench).await;
        let control = bench.control();
        let kind = bench.latest(&id).await.kind;
        bench.run_until_idle(&control).await;
        life.check(&bench, &control, &id, "once").await;
        if matches!(life, Life::Purge) {
            continue;
        }
        bench.change(&id, kind, |_| ()).await;
        bench.run_until_idle(&control).await;
        life.check(&bench, &control, &id, "twice").await;
    }
}
