//! Who keeps rows in memory hears of each change, and what did not change is confirmed.

use crate::bench::on_both;
use crate::samples::{
    NOON, credential, database, event, insert_database, observation, one_database, operation,
};
use berth_domain::{Observation, Observed};
use berth_store::{Changed, CredentialState, Ending, LeaseStatus};
use std::collections::BTreeSet;

on_both! {
    async fn a_commit_tells_which_databases_it_touched(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let (all, own) = (store.follow_databases(), store.follow_database(&orders.id));
        assert_eq!(all.take(), Changed::Any);
        assert!(own.has_changed());

        let bills = database(&shop, 2);
        insert_database(store, &bills).await;
        assert_eq!(all.take(), Changed::These(BTreeSet::from([bills.id.clone()])));
        assert!(!own.has_changed());

        let seen = observation(Observed::Ready);
        let mut tx = store.begin().await.unwrap();
        tx.put_observation(&orders.id, &seen).await.unwrap();
        tx.rollback().await.unwrap();
        assert!(!own.has_changed(), "nothing was written");
        let mut tx = store.begin().await.unwrap();
        tx.put_observation(&orders.id, &seen).await.unwrap();
        assert!(!own.has_changed(), "it is not written yet");
        tx.commit().await.unwrap();
        assert!(own.has_changed());
        let mut tx = store.begin().await.unwrap();
        tx.put_credentials(&orders.id, &credential(1, CredentialState::Current)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(own.has_changed());
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&operation(&orders, 1)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(own.has_changed() && !own.has_changed());
        assert_eq!(all.take(), Changed::These(BTreeSet::from([orders.id])));
    }

    async fn who_waits_for_an_operation_hears_of_its_end_alone(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let [first, second] = [1, 2].map(|number| operation(&orders, number));
        let ends = [&first, &second].map(|one| store.follow_operation(&one.id));
        let come = |of: &[Ending; 2]| of.each_ref().map(Ending::has_come);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&first).await.unwrap();
        tx.put_observation(&orders.id, &observation(Observed::Ready)).await.unwrap();
        tx.lease_due_operations(NOON, "a", 30_000, 9).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(come(&ends), [false, false]);

        let mut tx = store.begin().await.unwrap();
        tx.supersede_operations(&orders.id, NOON).await.unwrap();
        tx.insert_operation(&second).await.unwrap();
        assert_eq!(come(&ends), [false, false], "it is not written yet");
        tx.commit().await.unwrap();
        assert_eq!(come(&ends), [true, false]);

        let mut tx = store.begin().await.unwrap();
        tx.lease_due_operations(NOON, "a", 30_000, 9).await.unwrap();
        let held = tx.finish_operation(&second.id, "a", NOON, None).await.unwrap();
        assert_eq!(held, LeaseStatus::Held);
        tx.commit().await.unwrap();
        assert_eq!(come(&ends), [true, true]);
    }

    async fn the_journal_tells_of_its_last_event_and_of_nothing_else(bench) {
        let store = &bench.store;
        let mut journal = store.watch_journal();
        one_database(store).await;
        assert!(!journal.has_changed().unwrap(), "no event was written");
        let mut tx = store.begin().await.unwrap();
        for _ in 0..2 {
            tx.append_event(&event("server.started")).await.unwrap();
        }
        tx.commit().await.unwrap();
        let last = *journal.borrow_and_update();
        assert_eq!(store.last_event().await.unwrap(), last.last);
        let reopened = bench.reopened().await;
        assert_eq!(*reopened.watch_journal().borrow(), last);
    }

    async fn what_was_found_again_is_confirmed_unless_something_else_was_seen(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let seen = Observation { observed_at: NOON, ..observation(Observed::Ready) };
        let mut tx = store.begin().await.unwrap();
        tx.put_observation(&orders.id, &seen).await.unwrap();
        tx.confirm_observation(&orders.id, NOON.plus_millis(-1), NOON.plus_millis(5)).await.unwrap();
        assert_eq!(tx.observation(&orders.id).await.unwrap(), Some(seen.clone()));
        tx.confirm_observation(&orders.id, NOON, NOON.plus_millis(5)).await.unwrap();
        let confirmed = Observation { observed_at: NOON.plus_millis(5), ..seen };
        assert_eq!(tx.observation(&orders.id).await.unwrap(), Some(confirmed));
        tx.commit().await.unwrap();
    }
}
