//! Public ports that something else on the host has.

use super::bench::Bench;
use crate::Control;
use crate::samples::database;
use berth_domain::{Condition, Database, Intent, OperationKind, OperationState, Status};
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
    let filter = EventFilter::default();
    let events = bench.store.events_after(0, &filter, 1000).await.unwrap();
    let mut told = events.rows.iter().flat_map(|event| &event.changes);
    let change = told.find(|change| change.field == "public_port").unwrap();
    assert_eq!(change.to, Some(given.to_string()));
    assert_eq!(bench.count().containers, 2);
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
