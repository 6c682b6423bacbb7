//! Who keeps rows in memory hears of each change, and what did not change is confirmed.

use crate::bench::on_both;
use crate::samples::{
    NOON, credential, database, insert_database, observation, one_database, operation,
};
use berth_domain::{Observation, Observed};
use berth_store::{Changed, CredentialState};
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
