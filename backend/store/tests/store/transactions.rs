//! All or nothing, one at a time, each counted.

use crate::bench::{Bench, on_both};
use crate::samples::{database, event, insert_project, one_database, project};
use berth_store::{Error, EventFilter, Reach};

on_both! {
    async fn each_commit_raises_the_version_by_one(bench) {
        let store = &bench.store;
        let before = store.version().await.unwrap();
        let told = store.watch_version();
        for more in 1..=3 {
            let mut tx = store.begin().await.unwrap();
            tx.append_event(&event("a.b")).await.unwrap();
            tx.append_event(&event("a.c")).await.unwrap();
            assert_eq!(tx.commit().await.unwrap(), before + more);
            assert_eq!(store.version().await.unwrap(), before + more);
        }
        assert_eq!(*told.borrow(), before + 3);
        // What only read changed nothing.
        let mut tx = store.begin().await.unwrap();
        tx.last_event().await.unwrap();
        assert_eq!(tx.commit().await.unwrap(), before + 3);
    }

    async fn what_is_not_committed_leaves_nothing(bench) {
        let store = &bench.store;
        let before = store.version().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.insert_project(&project("given-up")).await.unwrap();
        tx.append_event(&event("project.created")).await.unwrap();
        tx.rollback().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.insert_project(&project("dropped")).await.unwrap();
        drop(tx);
        // A statement that failed takes its transaction with it.
        let mut tx = store.begin().await.unwrap();
        tx.insert_project(&project("failed")).await.unwrap();
        assert!(tx.insert_project(&project("failed")).await.is_err());
        drop(tx);
        assert_eq!(store.version().await.unwrap(), before);
        assert_eq!(store.last_event().await.unwrap(), 0);
        assert!(store.projects_page(&Reach::ALL, None, 10).await.unwrap().rows.is_empty());
        insert_project(store, &project("given-up")).await;
    }

    async fn a_reader_neither_waits_for_a_writer_nor_sees_half_of_it(bench) {
        let store = &bench.store;
        let shop = project("shop");
        let mut tx = store.begin().await.unwrap();
        tx.insert_project(&shop).await.unwrap();
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), None);
        assert_eq!(tx.project_by_id(&shop.id).await.unwrap().as_ref(), Some(&shop));
        tx.commit().await.unwrap();
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), Some(shop));
    }

    async fn writers_take_turns_and_events_have_no_gaps(bench) {
        const WRITERS: u8 = 8;
        const EACH: u8 = 10;
        let before = bench.store.version().await.unwrap();
        let writers: Vec<_> = (0..WRITERS).map(|writer| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                for turn in 0..EACH {
                    let mut tx = store.begin().await.unwrap();
                    tx.append_event(&event(&format!("writer{writer}.turn{turn}"))).await.unwrap();
                    // Others are let in while this one has not committed.
                    tokio::task::yield_now().await;
                    if turn % 5 == 4 {
                        tx.rollback().await.unwrap();
                    } else {
                        tx.commit().await.unwrap();
                    }
                }
            })
        }).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let kept = i64::from(WRITERS) * i64::from(EACH - EACH / 5);
        let events = bench.store.events_after(0, &EventFilter::default(), 1000).await.unwrap();
        let sequence: Vec<i64> = events.rows.iter().map(|event| event.sequence).collect();
        assert_eq!(sequence, (1..=kept).collect::<Vec<_>>());
        assert_eq!(bench.store.version().await.unwrap(), before + kept);
    }

    async fn a_changed_row_is_not_overwritten(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let mut first = orders.clone();
        first.generation = 2;
        first.storage_gb = 20;
        let mut tx = store.begin().await.unwrap();
        tx.update_database(&first).await.unwrap();
        tx.commit().await.unwrap();
        // The second read the row before the first wrote it.
        let mut second = orders.clone();
        second.generation = 2;
        second.storage_gb = 30;
        let mut tx = store.begin().await.unwrap();
        let refused = tx.update_database(&second).await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict { id } if *id == orders.id.to_string()), "{refused}");
        let mut missing = database(&shop, 9);
        missing.generation = 2;
        assert!(matches!(tx.update_database(&missing).await, Err(Error::Conflict { .. })));
        let mut stale = shop.clone();
        stale.generation = 3;
        assert!(matches!(tx.update_project(&stale).await, Err(Error::Conflict { .. })));
        tx.rollback().await.unwrap();
        assert_eq!(store.database_by_id(&orders.id).await.unwrap(), Some(first));
    }
}

#[tokio::test]
async fn a_writer_that_keeps_the_others_waiting_is_reported() {
    let bench = Bench::sqlite().await;
    let tx = bench.store.begin().await.unwrap();
    assert!(matches!(
        bench.store.begin().await,
        Err(Error::Busy { seconds: 10 })
    ));
    tx.rollback().await.unwrap();
    bench.store.begin().await.unwrap().rollback().await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_loses_its_transaction_and_nothing_else() {
    let Some(bench) = Bench::postgresql().await else {
        return;
    };
    let mut tx = bench.store.begin().await.unwrap();
    tx.insert_project(&project("lost")).await.unwrap();
    let ended = bench
        .tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    assert!(ended > 0);
    assert!(tx.commit().await.is_err());
    insert_project(&bench.store, &project("kept")).await;
    let rows = bench
        .store
        .projects_page(&Reach::ALL, None, 10)
        .await
        .unwrap()
        .rows;
    assert_eq!(rows, [project("kept")]);
}
