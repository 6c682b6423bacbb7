//! Who works on an operation, and for how long.

use crate::bench::on_both;
use crate::samples::{
    NOON, database, insert_database, insert_project, one_database, operation, project,
};
use berth_domain::{OperationFailure, OperationState, Timestamp};
use berth_store::{Advance, Error, LeaseStatus, Store};

async fn lease(store: &Store, now: Timestamp, holder: &str, limit: u32) -> Vec<String> {
    let mut tx = store.begin().await.unwrap();
    let leased = tx
        .lease_due_operations(now, holder, 30_000, limit)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for operation in &leased {
        let expected = Some((holder.to_owned(), now.plus_millis(30_000)));
        assert_eq!(operation.lease, expected);
    }
    leased.iter().map(|o| o.id.to_string()).collect()
}

fn to_step(step: &str, due_at: Timestamp, lease_until: Option<Timestamp>) -> Advance {
    Advance {
        step: step.to_owned(),
        attempt: 1,
        due_at,
        lease_until,
    }
}

on_both! {
    async fn due_operations_go_to_one_holder_each(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let mut expected = Vec::new();
        for number in 1..=5 {
            let database = database(&shop, number);
            insert_database(store, &database).await;
            let mut operation = operation(&database, number);
            // The later ones have been due for longer; the fifth is not due yet.
            operation.due_at = if number == 5 {
                NOON.plus_millis(1)
            } else {
                NOON.plus_seconds(-i64::from(number))
            };
            expected.push(operation.id.to_string());
            let mut tx = store.begin().await.unwrap();
            tx.insert_operation(&operation).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(store.pending_operations().await.unwrap(), 5);
        assert_eq!(store.next_due_at().await.unwrap(), Some(NOON.plus_seconds(-4)));
        let (a, b) = tokio::join!(lease(store, NOON, "a", 2), lease(store, NOON, "b", 2));
        let mut both = [a, b].concat();
        both.sort();
        assert_eq!(both, expected[..4]);
        assert!(lease(store, NOON, "c", 9).await.is_empty());
        assert_eq!(lease(store, NOON.plus_millis(1), "c", 9).await, expected[4..]);
        // All are held: the next is free when the first lease ends.
        assert_eq!(store.next_due_at().await.unwrap(), Some(NOON.plus_seconds(30)));
    }

    async fn asking_in_vain_is_no_change(bench) {
        let before = bench.store.version().await.unwrap();
        assert!(lease(&bench.store, NOON, "a", 9).await.is_empty());
        assert_eq!(bench.store.version().await.unwrap(), before);
        assert_eq!(bench.store.next_due_at().await.unwrap(), None);
    }

    async fn an_expired_lease_goes_to_another_and_the_first_is_told(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let provision = operation(&orders, 1);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&provision).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(lease(store, NOON, "a", 1).await.len(), 1);

        let later = NOON.plus_millis(30_000);
        assert_eq!(lease(store, later, "b", 1).await.len(), 1);
        let mut tx = store.begin().await.unwrap();
        let advance = to_step("start_pooler", later, None);
        let lost = tx.advance_operation(&provision.id, "a", later, &advance).await.unwrap();
        assert_eq!(lost, LeaseStatus::Lost);
        let lost = tx.finish_operation(&provision.id, "a", later, None).await.unwrap();
        assert_eq!(lost, LeaseStatus::Lost);
        // Nor may the second write once its own time is over, taken or not.
        let over = later.plus_millis(30_000);
        let lost = tx.advance_operation(&provision.id, "b", over, &advance).await.unwrap();
        assert_eq!(lost, LeaseStatus::Lost);
        tx.commit().await.unwrap();
        let row = store.operation(&provision.id).await.unwrap().unwrap();
        assert_eq!((row.step.as_str(), row.attempt), ("begin", 0));
        assert_eq!(row.state, OperationState::Pending);
    }

    async fn the_leases_of_a_dead_predecessor_are_ended_at_once(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let provision = operation(&orders, 1);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&provision).await.unwrap();
        tx.commit().await.unwrap();
        lease(store, NOON, "a", 1).await;
        let version = store.version().await.unwrap();
        for expected in [1, 0] {
            let mut tx = store.begin().await.unwrap();
            assert_eq!(tx.release_leases().await.unwrap(), expected);
            tx.commit().await.unwrap();
            assert_eq!(store.version().await.unwrap(), version + 1);
        }
        assert_eq!(lease(store, NOON, "b", 1).await, [provision.id.to_string()]);
    }

    async fn what_is_due_later_than_anybody_waits_is_due_at_once(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let provision = operation(&orders, 1);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&provision).await.unwrap();
        tx.commit().await.unwrap();
        // The clock was two hours ahead when it was ordered.
        let now = provision.due_at.plus_seconds(-7_200);
        assert!(lease(store, now, "a", 1).await.is_empty());
        for (latest, expected) in [(provision.due_at, 0), (now.plus_seconds(30), 1)] {
            let mut tx = store.begin().await.unwrap();
            assert_eq!(tx.hasten_operations(now, latest).await.unwrap(), expected);
            tx.commit().await.unwrap();
        }
        assert_eq!(lease(store, now, "a", 1).await, [provision.id.to_string()]);
    }

    async fn old_operations_are_forgotten_but_the_last_of_each_database(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let mut tx = store.begin().await.unwrap();
        for number in 1..=3 {
            tx.insert_operation(&operation(&orders, number)).await.unwrap();
            tx.supersede_operations(&orders.id, NOON).await.unwrap();
        }
        assert_eq!(tx.forget_finished_operations(NOON).await.unwrap(), 0);
        assert_eq!(tx.forget_finished_operations(NOON.plus_millis(1)).await.unwrap(), 2);
        tx.commit().await.unwrap();
        let left = store.operations_page(&orders.id, None, 9).await.unwrap().rows;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].id, operation(&orders, 3).id);
    }

    async fn an_operation_moves_by_steps_to_its_end(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let provision = operation(&orders, 1);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&provision).await.unwrap();
        tx.commit().await.unwrap();
        lease(store, NOON, "a", 1).await;

        let mut tx = store.begin().await.unwrap();
        let kept = to_step("await_engine", NOON.plus_millis(5), Some(NOON.plus_seconds(60)));
        let held = tx.advance_operation(&provision.id, "a", NOON, &kept).await.unwrap();
        assert_eq!(held, LeaseStatus::Held);
        let row = tx.operation(&provision.id).await.unwrap().unwrap();
        assert_eq!(row.lease, Some(("a".to_owned(), NOON.plus_seconds(60))));
        assert_eq!((row.step.as_str(), row.attempt, row.due_at), ("await_engine", 1, NOON.plus_millis(5)));
        // Given back, it waits for its time and for anybody.
        let given_back = to_step("await_engine", NOON.plus_seconds(1), None);
        let held = tx.advance_operation(&provision.id, "a", NOON, &given_back).await.unwrap();
        assert_eq!(held, LeaseStatus::Held);
        tx.commit().await.unwrap();
        assert_eq!(store.operation(&provision.id).await.unwrap().unwrap().lease, None);
        assert!(lease(store, NOON, "b", 1).await.is_empty());
        let now = NOON.plus_seconds(1);
        assert_eq!(lease(store, now, "b", 1).await.len(), 1);

        let failure = OperationFailure {
            code: "image_missing".to_owned(),
            message: "the image is not there".to_owned(),
        };
        let mut tx = store.begin().await.unwrap();
        let held = tx.finish_operation(&provision.id, "b", now, Some(&failure)).await.unwrap();
        assert_eq!(held, LeaseStatus::Held);
        tx.commit().await.unwrap();
        let row = store.latest_operation(&orders.id).await.unwrap().unwrap();
        assert_eq!(row.state, OperationState::Failed);
        assert_eq!((row.failure, row.finished_at, row.lease), (Some(failure), Some(now), None));
        assert!(lease(store, NOON.plus_days(1), "c", 1).await.is_empty());
        assert_eq!(store.pending_operation(&orders.id).await.unwrap(), None);
    }

    async fn one_change_of_a_database_is_under_way_and_a_later_one_takes_its_place(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let (first, second) = (operation(&orders, 9), operation(&orders, 1));
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&first).await.unwrap();
        tx.commit().await.unwrap();
        lease(store, NOON, "a", 1).await;

        let mut tx = store.begin().await.unwrap();
        let refused = tx.insert_operation(&second).await.unwrap_err();
        assert!(matches!(refused, Error::Duplicate { act: "insert_operation", .. }), "{refused}");
        drop(tx);

        let mut tx = store.begin().await.unwrap();
        let ended = tx.supersede_operations(&orders.id, NOON).await.unwrap();
        assert_eq!(ended.as_slice(), std::slice::from_ref(&first.id));
        tx.insert_operation(&second).await.unwrap();
        // Who works on the first hears of it at the next word it says.
        let lost = tx.finish_operation(&first.id, "a", NOON, None).await.unwrap();
        assert_eq!(lost, LeaseStatus::Lost);
        tx.commit().await.unwrap();
        let superseded = store.operation(&first.id).await.unwrap().unwrap();
        assert_eq!(superseded.state, OperationState::Superseded);
        assert_eq!((superseded.lease, superseded.finished_at), (None, Some(NOON)));
        // The last one is the one written last, whatever its id.
        assert_eq!(store.latest_operation(&orders.id).await.unwrap().unwrap().id, second.id);
        assert_eq!(store.pending_operation(&orders.id).await.unwrap().unwrap().id, second.id);
        let record = store.database_record(&orders.id).await.unwrap().unwrap();
        assert_eq!(record.operation_id, Some(second.id.clone()));
        let page = store.operations_page(&orders.id, None, 1).await.unwrap();
        assert_eq!((page.rows[0].id.clone(), page.more), (second.id.clone(), true));
        let page = store.operations_page(&orders.id, Some(&second.id), 1).await.unwrap();
        assert_eq!((page.rows[0].id.clone(), page.more), (first.id.clone(), false));
    }
}
