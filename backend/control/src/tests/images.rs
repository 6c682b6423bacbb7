//! Databases whose images are not there yet.

use super::bench::{Bench, Count};
use crate::Control;
use async_trait::async_trait;
use berth_containers::{FakeRuntime, Fault, ImageSource};
use berth_domain::{DatabaseId, Intent, OperationKind, OperationState, Status};
use berth_platform::Cause;
use berth_store::EventFilter;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const IMAGE: &str = "berth/postgresql:17";
/// Looks at what another task does, some milliseconds apart.
const LOOKS_MAX: u32 = 2_000;
const LOOK_MILLIS: u64 = 5;

/// A builder that a test lets go on.
struct Builder {
    fake: FakeRuntime,
    may_go_on: Arc<Semaphore>,
    /// How often it fails.
    failures: AtomicU32,
}

#[async_trait]
impl ImageSource for Builder {
    fn objection(&self, _recipe: &str) -> Option<String> {
        None
    }

    async fn obtain(&self, reference: &str, _recipe: &str) -> Result<(), Cause> {
        self.may_go_on.acquire().await?.forget();
        let left = |failures: u32| failures.checked_sub(1);
        let fails = self.failures.fetch_update(SeqCst, SeqCst, left).is_ok();
        if fails {
            return Err("no registry has it, and the mirror is silent".into());
        }
        self.fake.build_image(reference);
        Ok(())
    }
}

/// An installation without the image, and what lets its builder go on.
async fn without_image(failures: u32) -> (Bench, Arc<Semaphore>) {
    let mut bench = Bench::new().await;
    bench.runtime.forget_image(IMAGE);
    let may_go_on = Arc::new(Semaphore::new(0));
    bench.images = Some(Arc::new(Builder {
        fake: bench.runtime.clone(),
        may_go_on: Arc::clone(&may_go_on),
        failures: AtomicU32::new(failures),
    }));
    (bench, may_go_on)
}

/// Works on what is due beside the test.
async fn working(control: &Arc<Control>) -> JoinHandle<()> {
    let leased = control.lease(10).await.unwrap();
    let control = Arc::clone(control);
    tokio::spawn(async move {
        for operation in leased {
            control.work(operation).await;
        }
    })
}

async fn until_phase(bench: &Bench, id: &DatabaseId, phase: &str) {
    for _ in 0..LOOKS_MAX {
        if bench.seen(id).await.phase == phase {
            return;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
    panic!("it is {:?}", bench.seen(id).await);
}

#[tokio::test]
async fn a_create_waits_for_its_image_beyond_its_deadline() {
    let (bench, may_go_on) = without_image(0).await;
    let control = Arc::new(bench.control());
    let id = bench.order("orders").await;
    let work = working(&control).await;
    until_phase(&bench, &id, "obtaining_image").await;
    assert_eq!(bench.status(&id).await, Status::Provisioning);
    assert_eq!(bench.latest(&id).await.step, "obtain_images");
    assert_eq!(bench.count().containers, 0, "nothing is made before");
    let deadline = bench.latest(&id).await.deadline_at;
    while bench.now() <= deadline {
        bench.clock.forward_seconds(60);
    }
    may_go_on.add_permits(1);
    work.await.unwrap();
    bench.run_until_idle(&control).await;
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.count(), Count::ONE);
}

#[tokio::test]
async fn what_is_made_stopped_gets_its_image_too() {
    let (bench, may_go_on) = without_image(0).await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench
        .change(&id, OperationKind::Provision, |row| {
            row.intent = Intent::Stop;
        })
        .await;
    may_go_on.add_permits(1);
    bench.run_until_idle(&control).await;
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
    assert_eq!(bench.status(&id).await, Status::Stopped);
}

#[tokio::test]
async fn a_create_without_any_image_says_why() {
    let (bench, may_go_on) = without_image(u32::MAX).await;
    let control = bench.control();
    let id = bench.order("orders").await;
    may_go_on.add_permits(1);
    bench.run_until_idle(&control).await;
    let operation = bench.latest(&id).await;
    assert_eq!(operation.state, OperationState::Failed);
    let failure = operation.failure.unwrap();
    assert_eq!(failure.code, "image_missing");
    for part in [
        IMAGE,
        "the mirror is silent",
        "berthd images build postgresql-17",
    ] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    assert_eq!(bench.status(&id).await, Status::Error);
    assert_eq!(bench.count(), Count::NONE);
}

#[tokio::test]
async fn a_build_that_an_outage_cut_off_begins_anew() {
    for ends_before_it_fails in [false, true] {
        outlasts_an_outage(ends_before_it_fails).await;
    }
}

async fn outlasts_an_outage(ends_before_it_fails: bool) {
    let (bench, may_go_on) = without_image(1).await;
    let control = Arc::new(bench.control());
    let id = bench.order("orders").await;
    let work = working(&control).await;
    until_phase(&bench, &id, "obtaining_image").await;
    bench.runtime.falls_silent(Fault::Unreachable);
    work.await.unwrap();
    if ends_before_it_fails {
        bench.runtime.answers_again();
    }
    let asked = bench.runtime.calls("image");
    may_go_on.add_permits(2);
    for _ in 0..LOOKS_MAX {
        if bench.runtime.calls("image") > asked {
            break;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
    bench.runtime.answers_again();
    bench.run_until_idle(&control).await;
    let operation = bench.latest(&id).await;
    assert_eq!(operation.state, OperationState::Succeeded, "{operation:?}");
}

#[tokio::test]
async fn who_destroys_does_not_wait_for_the_image() {
    let (bench, _never) = without_image(0).await;
    let control = Arc::new(bench.control());
    let id = bench.order("orders").await;
    let work = working(&control).await;
    until_phase(&bench, &id, "obtaining_image").await;
    bench.destroy(&id, 0).await;
    bench.run_until_idle(&control).await;
    work.await.unwrap();
    assert_eq!(bench.status(&id).await, Status::Destroyed);
    assert_eq!(bench.count().containers, 0);
}

/// Events that tell that an image was replaced.
async fn replacements(bench: &Bench) -> usize {
    let filter = EventFilter::default();
    let page = bench.store.events_after(0, &filter, 1000).await.unwrap();
    let kind = "database.image_replaced";
    page.rows.iter().filter(|event| event.kind == kind).count()
}

#[tokio::test]
async fn a_restart_under_another_image_says_so() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    bench.runtime.build_image(IMAGE);
    bench.runtime.prune_images();
    bench.change(&id, OperationKind::Restart, |_| ()).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.latest(&id).await.state, OperationState::Succeeded);
    assert_eq!(replacements(&bench).await, 1);
}

#[tokio::test]
async fn data_that_goes_on_under_another_image_says_so() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order("orders").await;
    bench.run_until_idle(&control).await;
    for (pruned, told) in [(false, 0), (true, 1)] {
        bench.destroy(&id, 7).await;
        bench.run_until_idle(&control).await;
        bench.runtime.build_image(IMAGE);
        if pruned {
            bench.runtime.prune_images();
        }
        bench.undelete(&id).await;
        bench.run_until_idle(&control).await;
        assert_eq!(bench.status(&id).await, Status::Running);
        assert_eq!(replacements(&bench).await, told);
    }
}
