//! Public ports that something else on the host has.

use super::bench::Bench;
use crate::samples::{Somewhere, addresses, database};
use crate::{Control, Error};
use berth_domain::{Condition, Database, Event, Intent, OperationKind, OperationState, Status};
use berth_platform::Error as PlatformError;
use berth_services::databases::next_port;
use berth_store::EventFilter;

const PORT: u16 = 15_000;

fn exposed() -> Database {
    let mut row = database("orders");
    row.expose = true;
    row.public_port = Some(PORT);
    row
}

/// What the services tell of a port that nobody asked for.
fn drawn(bench: &Bench) -> Vec<Condition> {
    vec![Condition::port_may_change(PORT, bench.now())]
}

/// What was told of ports that were drawn later.
async fn draws(bench: &Bench) -> Vec<Event> {
    let filter = EventFilter::default();
    let page = bench.store.events_after(0, &filter, 1000).await.unwrap();
    let kind = "database.port_drawn";
    let drawn = page.rows.into_iter().filter(|event| event.kind == kind);
    drawn.collect()
}

/// Changes the intent and works until that is done.
async fn want(bench: &Bench, control: &Control, row: &Database, intent: Intent) {
    let change = |row: &mut Database| row.intent = intent;
    bench.change(&row.id, OperationKind::Change, change).await;
    bench.run_until_idle(control).await;
}

#[tokio::test]
async fn a_drawn_port_that_somebody_has_is_replaced_and_that_is_told() {
    let bench = Bench::new().await;
    let control = bench.control();
    bench.runtime.holds_port(PORT);
    let id = bench.order_row(exposed(), drawn(&bench)).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    let given = bench.row(&id).await.public_port.unwrap();
    assert_ne!(given, PORT);
    let seen = bench.seen(&id).await.conditions;
    assert!(
        seen.iter().all(|found| !found.lets_change(given)),
        "{seen:?}"
    );
    let told = draws(&bench).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].changes[0].field, "public_port");
    assert_eq!(told[0].changes[0].to, Some(given.to_string()));
    assert_eq!(told[0].operation_id, Some(bench.latest(&id).await.id));
    assert_eq!(bench.count().containers, 2);
}

#[tokio::test]
async fn a_port_that_was_refused_is_not_drawn_again_before_the_others() {
    let bench = Bench::new().await;
    let control = bench.control();
    let range = &control.parts.limits.public_ports;
    // The first that is given here and the one after it: nothing but a start tells of them.
    let own = addresses();
    let mut tx = bench.store.begin().await.unwrap();
    let first = next_port(&mut tx, range, own.installation(), None, &Somewhere).await;
    tx.rollback().await.unwrap();
    let first = first.unwrap().unwrap();
    bench.runtime.holds_port(first);
    bench.runtime.holds_port(first + 1);
    let row = Database {
        public_port: Some(first),
        ..exposed()
    };
    let told = vec![Condition::port_may_change(first, bench.now())];
    let id = bench.order_row(row, told).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_eq!(bench.row(&id).await.public_port, Some(first + 2));
    assert_eq!(draws(&bench).await.len(), 2);
}

#[tokio::test]
async fn a_repair_draws_another_port_too() {
    let bench = Bench::new().await;
    let mut control = bench.control();
    let whole = control.parts.limits.public_ports.clone();
    control.parts.limits.public_ports = PORT..=PORT;
    bench.runtime.holds_port(PORT);
    let id = bench.order_row(exposed(), drawn(&bench)).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Error);
    control.parts.limits.public_ports = whole;
    for _ in 0..2 {
        bench.look_after(&control).await;
        bench.clock.forward_seconds(31);
    }
    assert_eq!(bench.status(&id).await, Status::Running);
    let given = bench.row(&id).await.public_port.unwrap();
    assert_ne!(given, PORT);
    let told = draws(&bench).await;
    assert_eq!(told[0].changes[0].to, Some(given.to_string()));
    assert_eq!(told[0].operation_id, None);
    let seen = bench.seen(&id).await.conditions;
    assert!(
        seen.iter().all(|found| !found.lets_change(given)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn another_port_takes_nothing_back_that_was_told_meanwhile() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order_row(exposed(), drawn(&bench)).await;
    let begun = control.subject(&id).await.unwrap().unwrap();
    let mut seen = bench.seen(&id).await;
    "preparing".clone_into(&mut seen.phase);
    let mut tx = bench.store.begin().await.unwrap();
    tx.put_observation(&id, &seen).await.unwrap();
    tx.commit().await.unwrap();
    let taken = Error::Platform {
        act: "make the instance",
        source: PlatformError::Refused {
            code: "port_taken",
            reason: "port 15000 is in use on this host".to_owned(),
        },
    };
    let drew = control.draws_another_port(&begun, &taken, None).await;
    assert!(drew.unwrap());
    assert_eq!(bench.seen(&id).await.phase, "preparing");
}

#[tokio::test]
async fn a_port_that_was_asked_for_is_not_replaced() {
    let bench = Bench::new().await;
    bench.runtime.holds_port(PORT);
    let id = bench.order_row(exposed(), Vec::new()).await;
    bench.run_until_idle(&bench.control()).await;
    let operation = bench.latest(&id).await;
    assert_eq!(operation.state, OperationState::Failed);
    assert_eq!(operation.failure.unwrap().code, "port_taken");
    assert_eq!(bench.row(&id).await.public_port, Some(PORT));
}

#[tokio::test]
async fn a_drawn_port_is_for_life_once_clients_were_served_there() {
    let bench = Bench::new().await;
    let control = bench.control();
    let row = exposed();
    bench.order_row(row.clone(), drawn(&bench)).await;
    bench.run_until_idle(&control).await;
    want(&bench, &control, &row, Intent::Stop).await;
    bench.runtime.holds_port(PORT);
    want(&bench, &control, &row, Intent::Run).await;
    let failure = bench.latest(&row.id).await.failure.unwrap();
    assert_eq!(failure.code, "port_taken");
    assert_eq!(bench.row(&row.id).await.public_port, Some(PORT));
}

#[tokio::test]
async fn where_every_port_is_taken_that_is_said() {
    let bench = Bench::new().await;
    let mut control = bench.control();
    control.parts.limits.public_ports = PORT..=PORT;
    bench.runtime.holds_port(PORT);
    let id = bench.order_row(exposed(), drawn(&bench)).await;
    bench.run_until_idle(&control).await;
    let failure = bench.latest(&id).await.failure.unwrap();
    assert_eq!(failure.code, "port_taken");
    assert!(failure.message.contains("15000"), "{}", failure.message);
}

#[tokio::test]
async fn what_is_given_up_after_another_port_was_drawn_is_told_of_that_port() {
    let bench = Bench::new().await;
    let control = bench.control();
    let id = bench.order_row(exposed(), drawn(&bench)).await;
    bench.clock.forward_seconds(601);
    assert!(bench.now() > bench.latest(&id).await.deadline_at);
    // Each attempt but the last may be followed by another, however late it is.
    for port in PORT..PORT + 3 {
        bench.runtime.holds_port(port);
    }
    bench.run_until_idle(&control).await;
    let failure = bench.latest(&id).await.failure.unwrap();
    assert_eq!(failure.code, "deadline_exceeded");
    assert_eq!(draws(&bench).await.len(), 3);
    let given = bench.row(&id).await.public_port.unwrap();
    assert_eq!(given, PORT + 3);
    let seen = bench.seen(&id).await.conditions;
    assert!(
        seen.iter().any(|found| found.lets_change(given)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_restored_database_may_still_be_given_another_port() {
    let bench = Bench::new().await;
    let control = bench.control();
    let mut row = exposed();
    row.intent = Intent::Stop;
    let id = bench.order_row(row, drawn(&bench)).await;
    bench.run_until_idle(&control).await;
    bench.destroy(&id, 7).await;
    bench.run_until_idle(&control).await;
    bench.runtime.holds_port(PORT);
    bench.undelete(&id).await;
    bench.run_until_idle(&control).await;
    assert_eq!(bench.status(&id).await, Status::Running);
    assert_ne!(bench.row(&id).await.public_port, Some(PORT));
}
