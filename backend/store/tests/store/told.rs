//! What is told from memory is what the store holds, whatever was written in between.

use crate::bench::{Bench, on_both};
use crate::people::user;
use crate::samples::{
    NOON, database, destroyed, insert_database, observation, one_database, operation, tell,
    text_of, token,
};
use berth_domain::{Claim, Database, DatabaseId, Intent, Member, Observed, Role};
use berth_store::{
    DatabaseFilter, DatabaseRecord, Error, Lifetime, Reach, SnapshotKind, SnapshotRows, Store,
    Telling, Told, Tx,
};
use std::sync::Arc;

const ALL: DatabaseFilter = DatabaseFilter {
    project: None,
    member: None,
    engine: None,
    name: None,
    lifetime: Lifetime::All,
};

/// What is told is what the rows are.
fn assert_told(told: &[Arc<Told>], rows: &[DatabaseRecord]) {
    let found: Vec<_> = told
        .iter()
        .map(|told| (told.id.clone(), told.tag, text_of(told)))
        .collect();
    let expected: Vec<_> = rows
        .iter()
        .map(|row| {
            let Telling { text, tag } = tell(row).unwrap();
            (row.database.id.clone(), tag, text)
        })
        .collect();
    assert_eq!(found, expected);
}

/// Every way in tells of the rows of the store.
async fn agrees(store: &Store) {
    let rows = store.databases_page(&ALL, None, 99).await.unwrap().rows;
    for row in &rows {
        let told = store.told_database(&row.database.id, &tell).await.unwrap();
        let told = told.unwrap();
        assert_eq!(told.project, row.database.project_id);
        assert_eq!(told.purged_at, row.database.purged_at);
        assert_told(&[told], std::slice::from_ref(row));
    }
    // The first may fill the memory, the second read from it.
    for _ in 0..2 {
        let page = store.told_databases_page(&ALL, None, 99, &tell).await;
        assert_told(&page.unwrap().rows, &rows);
        let page = store
            .snapshot_page(SnapshotKind::Database, &Reach::ALL, None, 99, NOON, &tell)
            .await;
        let page = page.unwrap();
        assert_eq!(page.version, store.version().await.unwrap());
        let SnapshotRows::Databases(told) = page.rows else {
            panic!("databases were asked for");
        };
        let living: Vec<_> = rows
            .iter()
            .filter(|row| row.database.is_living())
            .cloned()
            .collect();
        assert_told(&told, &living);
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
        assert!(store.told_database(&row.id, &tell).await.unwrap().is_none());
        // A transaction that is given up touches nothing.
        let mut tx = store.begin().await.unwrap();
        tx.claim_database(&other.id).await.unwrap();
        tx.put_observation(&other.id, &seen).await.unwrap();
        tx.rollback().await.unwrap();
        agrees(store).await;
    }

    async fn a_page_of_what_is_told_is_cut_like_any_other(bench) {
        let store = &bench.store;
        let (shop, first) = one_database(store).await;
        for number in 2..=40 {
            insert_database(store, &database(&shop, number)).await;
        }
        // From the store, and from memory.
        for _ in 0..2 {
            let page = store.told_databases_page(&ALL, Some(&first.id), 30, &tell).await.unwrap();
            assert!(page.more);
            let direct = store.databases_page(&ALL, Some(&first.id), 30).await.unwrap();
            assert_told(&page.rows, &direct.rows);
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

const TAMPER: &str = "UPDATE databases SET plan = 'another'";

/// Whether the other plan is told of one database, in a page and in a snapshot.
async fn told_plans(store: &Store, id: &DatabaseId) -> [bool; 3] {
    let is_another = |told: &Told| text_of(told).contains("\"another\"");
    let one = store.told_database(id, &tell).await.unwrap().unwrap();
    let page = store.told_databases_page(&ALL, None, 99, &tell).await;
    let snapshot = store
        .snapshot_page(SnapshotKind::Database, &Reach::ALL, None, 99, NOON, &tell)
        .await;
    let SnapshotRows::Databases(living) = snapshot.unwrap().rows else {
        panic!("databases were asked for");
    };
    [
        is_another(&one),
        is_another(&page.unwrap().rows[0]),
        is_another(&living[0]),
    ]
}

#[tokio::test]
async fn a_file_is_not_asked_twice() {
    let bench = Bench::sqlite().await;
    let (_, row) = one_database(&bench.store).await;
    assert_eq!(told_plans(&bench.store, &row.id).await, [false; 3]);
    assert_eq!(bench.tamper(TAMPER).await, 1);
    assert_eq!(told_plans(&bench.store, &row.id).await, [false; 3]);
}

#[tokio::test]
async fn a_server_is_asked_each_time() {
    let Some(bench) = Bench::postgresql().await else {
        return;
    };
    let (_, row) = one_database(&bench.store).await;
    assert_eq!(told_plans(&bench.store, &row.id).await, [false; 3]);
    assert_eq!(bench.tamper(TAMPER).await, 1);
    assert_eq!(told_plans(&bench.store, &row.id).await, [true; 3]);
}

#[tokio::test]
async fn what_cannot_be_told_is_an_error_that_names_it() {
    let bench = Bench::sqlite().await;
    let (_, row) = one_database(&bench.store).await;
    let silent = |_: &DatabaseRecord| Err(serde_json::from_str::<bool>("").unwrap_err());
    let told = bench.store.told_database(&row.id, &silent).await;
    assert!(matches!(told, Err(Error::Untold { id, .. }) if id == row.id));
}
