//! What is read from memory is what the store holds, whatever was written in between.

use crate::bench::{Bench, on_both};
use crate::people::user;
use crate::samples::{
    NOON, database, destroyed, insert_database, observation, one_database, operation, token,
};
use berth_domain::{Claim, Database, Intent, Member, Observed, Role};
use berth_store::{
    DatabaseFilter, DatabaseRecord, Lifetime, Reach, SharedDatabase, SnapshotKind, SnapshotRows,
    Store, Tx,
};
use serde_json::value::to_raw_value;
use std::sync::Arc;

const ALL: DatabaseFilter = DatabaseFilter {
    project: None,
    member: None,
    engine: None,
    name: None,
    lifetime: Lifetime::All,
};

fn records(shared: &[Arc<SharedDatabase>]) -> Vec<DatabaseRecord> {
    shared
        .iter()
        .map(|one| DatabaseRecord::clone(one))
        .collect()
}

/// Every way in shows the rows of the store.
async fn agrees(store: &Store) {
    let rows = store.databases_page(&ALL, None, 99).await.unwrap().rows;
    for row in &rows {
        let shared = store
            .shared_database(&row.database.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&**shared, row);
        tells(store, row, &shared);
    }
    // The first may fill the memory with rows, the second with their list.
    for _ in 0..3 {
        let page = store.shared_databases_page(&ALL, None, 99).await.unwrap();
        assert_eq!(records(&page.rows), rows);
        let page = store
            .snapshot_page(SnapshotKind::Database, &Reach::ALL, None, 99, NOON)
            .await;
        let page = page.unwrap();
        assert_eq!(page.version, store.version().await.unwrap());
        let SnapshotRows::Databases(shown) = page.rows else {
            panic!("databases were asked for");
        };
        let living: Vec<_> = rows
            .iter()
            .filter(|row| row.database.is_living())
            .cloned()
            .collect();
        assert_eq!(records(&shown), living);
    }
}

/// What is told of a row is what it is now, before it is told again and after.
fn tells(store: &Store, row: &DatabaseRecord, shared: &Arc<SharedDatabase>) {
    let expected = |row: &DatabaseRecord| to_raw_value(&format!("{row:?}"));
    let id = &row.database.id;
    let text = expected(row).unwrap();
    if let Some(told) = store.told_database(id) {
        assert_eq!(
            (told.text.as_str(), told.tag),
            (text.get(), row.database.generation)
        );
    }
    shared.shown(expected).unwrap();
    shared.tag(|row| row.database.generation);
    store.keep_told(shared);
    let told = store.told_database(id);
    if let Some(told) = told {
        assert_eq!(
            (told.text.as_str(), told.tag),
            (text.get(), row.database.generation)
        );
        assert_eq!(told.project, row.database.project_id);
    }
}

async fn wrote(store: &Store, write: impl AsyncFnOnce(&mut Tx)) {
    agrees(store).await;
    let mut tx = store.begin().await.unwrap();
    write(&mut tx).await;
    tx.commit().await.unwrap();
    agrees(store).await;
}

fn next(row: &mut Database) -> &Database {
    row.generation += 1;
    row
}

on_both! {
    async fn no_write_leaves_an_old_database_in_memory(bench) {
        let store = &bench.store;
        let (shop, mut row) = one_database(store).await;
        let mut other = database(&shop, 2);
        other.claim = Claim::Unclaimed { token: token(1).id, request: berth_domain::Fingerprint("r".to_owned()) };
        wrote(store, async |tx| tx.insert_database(&other).await.unwrap()).await;
        wrote(store, async |tx| tx.claim_database(&other.id).await.unwrap()).await;
        row.intent = Intent::Stop;
        wrote(store, async |tx| tx.update_database(next(&mut row)).await.unwrap()).await;
        let seen = observation(Observed::Ready);
        wrote(store, async |tx| tx.put_observation(&row.id, &seen).await.unwrap()).await;
        let work = operation(&row, 1);
        wrote(store, async |tx| tx.insert_operation(&work).await.unwrap()).await;
        wrote(store, async |tx| drop(tx.supersede_operations(&row.id, NOON).await.unwrap())).await;
        let row = destroyed(row);
        wrote(store, async |tx| tx.update_database(&row).await.unwrap()).await;
        wrote(store, async |tx| tx.mark_purged(&row.id, NOON).await.unwrap()).await;
        wrote(store, async |tx| {
            assert_eq!(tx.forget_purged_databases(NOON.plus_days(1)).await.unwrap(), 1);
        })
        .await;
        assert!(store.shared_database(&row.id).await.unwrap().is_none());
        // A file is asked once; a server each time.
        let is_a_file = bench.directory.is_some();
        assert_eq!(store.told_database(&other.id).is_some(), is_a_file);
        // A transaction that is given up touches nothing.
        let mut tx = store.begin().await.unwrap();
        tx.claim_database(&other.id).await.unwrap();
        tx.put_observation(&other.id, &seen).await.unwrap();
        tx.rollback().await.unwrap();
        agrees(store).await;
    }

    async fn a_shared_page_is_cut_like_any_other(bench) {
        let store = &bench.store;
        let (shop, first) = one_database(store).await;
        for number in 2..=40 {
            insert_database(store, &database(&shop, number)).await;
        }
        // From the store, from the rows in memory, and from the list in memory.
        for _ in 0..3 {
            let page = store.shared_databases_page(&ALL, Some(&first.id), 30).await.unwrap();
            assert!(page.more);
            let direct = store.databases_page(&ALL, Some(&first.id), 30).await.unwrap();
            assert_eq!(records(&page.rows), direct.rows);
        }
    }

    async fn no_write_leaves_an_old_bearer_in_memory(bench) {
        let store = &bench.store;
        let (shop, _) = one_database(store).await;
        let (person, mut own) = (user(1), token(1));
        own.user_id = person.id.clone();
        let mut tx = store.begin().await.unwrap();
        tx.insert_user(&person).await.unwrap();
        tx.insert_token(&own).await.unwrap();
        tx.commit().await.unwrap();
        let bearer = async || store.bearer_by_hash(&own.hash).await.unwrap().unwrap();
        assert!(bearer().await.roles.is_empty());
        let member = Member {
            project_id: shop.id.clone(),
            user_id: person.id.clone(),
            role: Role::Editor,
            created_at: NOON,
            updated_at: NOON,
        };
        let mut tx = store.begin().await.unwrap();
        tx.put_member(&member).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bearer().await.roles.get(&shop.id), Some(&Role::Editor));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.remove_member(&shop.id, &person.id).await.unwrap());
        tx.commit().await.unwrap();
        assert!(bearer().await.roles.is_empty());
        let mut tx = store.begin().await.unwrap();
        assert!(tx.set_token_name(&own.id, "deploy").await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(bearer().await.token.name, "deploy");
        let mut tx = store.begin().await.unwrap();
        assert!(tx.revoke_token(&own.id, NOON).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(bearer().await.token.revoked_at, Some(NOON));
    }
}

#[tokio::test]
async fn a_file_is_not_asked_twice() {
    let bench = Bench::sqlite().await;
    let (_, row) = one_database(&bench.store).await;
    let first = bench.store.shared_database(&row.id).await.unwrap().unwrap();
    assert_eq!(
        bench.tamper("UPDATE databases SET plan = 'another'").await,
        1
    );
    let again = bench.store.shared_database(&row.id).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
}

#[tokio::test]
async fn a_server_is_asked_each_time() {
    let Some(bench) = Bench::postgresql().await else {
        return;
    };
    let (_, row) = one_database(&bench.store).await;
    assert!(
        bench
            .store
            .shared_database(&row.id)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        bench.tamper("UPDATE databases SET plan = 'another'").await,
        1
    );
    let again = bench.store.shared_database(&row.id).await.unwrap().unwrap();
    assert_eq!(again.database.plan, "another");
}
