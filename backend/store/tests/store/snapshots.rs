//! The pages of one answer are one version.

use crate::bench::on_both;
use crate::samples::{
    NOON, database, destroyed, insert_database, insert_project, observation, operation, project,
    tell, text_of,
};
use berth_domain::Observed;
use berth_store::{
    DatabaseRecord, Error, Reach, SNAPSHOT_SECONDS_MAX, SnapshotKind, SnapshotPage, SnapshotRows,
};

fn names(page: &SnapshotPage) -> Vec<String> {
    match &page.rows {
        SnapshotRows::Projects(rows) => rows.iter().map(|row| row.name.to_string()).collect(),
        SnapshotRows::Databases(rows) => rows
            .iter()
            .map(|told| {
                let text = text_of(told);
                let (_, rest) = text.split_once("Name(\"").unwrap();
                rest.split('"').next().unwrap().to_owned()
            })
            .collect(),
    }
}

on_both! {
    async fn pages_show_one_version_whatever_happens_in_between(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        for number in 1..=3 {
            insert_database(store, &database(&shop, number)).await;
        }
        let kind = SnapshotKind::Database;
        let first = store.snapshot_page(kind, &Reach::ALL, None, 2, NOON, &tell).await.unwrap();
        assert_eq!(names(&first), ["db-1", "db-2"]);
        assert_eq!(first.version, store.version().await.unwrap());

        insert_database(store, &database(&shop, 4)).await;
        let mut tx = store.begin().await.unwrap();
        tx.update_database(&destroyed(database(&shop, 3))).await.unwrap();
        tx.commit().await.unwrap();

        let token = first.next_page_token.as_deref();
        let second = store.snapshot_page(kind, &Reach::ALL, token, 2, NOON, &tell).await.unwrap();
        assert_eq!(names(&second), ["db-3"]);
        assert_eq!((second.version, second.next_page_token), (first.version, None));
        let fresh = store.snapshot_page(kind, &Reach::ALL, None, 9, NOON, &tell).await.unwrap();
        assert_eq!(names(&fresh), ["db-1", "db-2", "db-4"]);
        assert_eq!((fresh.version, fresh.next_page_token), (first.version + 2, None));
    }

    async fn a_page_token_opens_nothing_else(bench) {
        let store = &bench.store;
        let (shop, other) = (project("shop"), project("other"));
        insert_project(store, &shop).await;
        insert_project(store, &other).await;
        let kind = SnapshotKind::Project;
        let first = store.snapshot_page(kind, &Reach::ALL, None, 1, NOON, &tell).await.unwrap();
        let token = first.next_page_token.as_deref();
        let in_time = NOON.plus_seconds(SNAPSHOT_SECONDS_MAX - 1);
        assert!(store.snapshot_page(kind, &Reach::ALL, token, 1, in_time, &tell).await.is_ok());
        let gone = [
            store.snapshot_page(SnapshotKind::Database, &Reach::ALL, token, 1, NOON, &tell).await,
            // Whoever may see one project only is not shown the answer of another.
            store.snapshot_page(kind, &Reach::of(shop.id.clone()), token, 1, NOON, &tell).await,
            store.snapshot_page(kind, &Reach::ALL, Some("1.7"), 1, NOON, &tell).await,
            store.snapshot_page(kind, &Reach::ALL, Some("9.1"), 1, NOON, &tell).await,
            store.snapshot_page(kind, &Reach::ALL, Some("nonsense"), 1, NOON, &tell).await,
            store.snapshot_page(kind, &Reach::ALL, token, 1, in_time.plus_seconds(1), &tell).await,
        ];
        for (number, answer) in gone.into_iter().enumerate() {
            assert!(matches!(answer, Err(Error::PageGone)), "{number}: {answer:?}");
        }
    }

    async fn answers_that_nobody_fetches_make_room(bench) {
        let store = &bench.store;
        insert_project(store, &project("shop")).await;
        insert_project(store, &project("other")).await;
        let kind = SnapshotKind::Project;
        let mut tokens = Vec::new();
        for _ in 0..9 {
            let page = store.snapshot_page(kind, &Reach::ALL, None, 1, NOON, &tell).await.unwrap();
            tokens.push(page.next_page_token.unwrap());
        }
        let first = store.snapshot_page(kind, &Reach::ALL, Some(&tokens[0]), 1, NOON, &tell).await;
        assert!(matches!(first, Err(Error::PageGone)));
        for token in &tokens[1..] {
            assert!(store.snapshot_page(kind, &Reach::ALL, Some(token), 1, NOON, &tell).await.is_ok());
        }
    }

    async fn a_snapshot_has_what_was_seen_and_only_the_living_of_its_project(bench) {
        let store = &bench.store;
        let (shop, other) = (project("shop"), project("other"));
        insert_project(store, &shop).await;
        insert_project(store, &other).await;
        let (one, two) = (database(&shop, 1), database(&other, 2));
        insert_database(store, &one).await;
        insert_database(store, &two).await;
        let provision = operation(&one, 1);
        let seen = observation(Observed::Ready);
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&provision).await.unwrap();
        tx.put_observation(&one.id, &seen).await.unwrap();
        let mut gone = project("gone");
        gone.destroyed_at = Some(NOON);
        tx.insert_project(&gone).await.unwrap();
        tx.commit().await.unwrap();

        let page = store
            .snapshot_page(SnapshotKind::Database, &Reach::of(shop.id.clone()), None, 9, NOON, &tell)
            .await
            .unwrap();
        let SnapshotRows::Databases(rows) = page.rows else {
            panic!("not databases");
        };
        let record = DatabaseRecord {
            database: one,
            observation: Some(seen),
            operation_id: Some(provision.id),
        };
        let texts: Vec<_> = rows.iter().map(|told| text_of(told)).collect();
        assert_eq!(texts, [format!("{record:?}")]);
        let all = store.snapshot_page(SnapshotKind::Database, &Reach::ALL, None, 9, NOON, &tell).await.unwrap();
        assert_eq!(names(&all), ["db-1", "db-2"]);
        let projects = store.snapshot_page(SnapshotKind::Project, &Reach::ALL, None, 9, NOON, &tell).await.unwrap();
        assert_eq!(names(&projects), ["other", "shop"]);
    }
}
