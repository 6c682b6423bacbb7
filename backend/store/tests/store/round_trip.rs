//! What is written is read back equal, whatever it is.

use crate::bench::Bench;
use crate::random;
use berth_store::{EventFilter, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 96;

/// One of each row, some with a second version.
#[derive(Debug, Clone)]
struct Rows {
    project: [berth_domain::Project; 2],
    database: [berth_domain::Database; 2],
    observation: [berth_domain::Observation; 2],
    operation: berth_domain::Operation,
    event: berth_domain::Event,
    token: berth_domain::Token,
    credential: berth_store::CredentialVersion,
}

fn rows() -> impl Strategy<Value = Rows> {
    (random::project(), random::project())
        .prop_flat_map(|(before, after)| {
            let database = || random::database(before.id.clone());
            (Just([before.clone(), after]), database(), database())
        })
        .prop_flat_map(|(project, before, after)| {
            (
                Just(project),
                Just([before.clone(), after]),
                [random::observation(), random::observation()],
                random::operation(before),
                random::event(),
                random::token(),
                random::credential(),
            )
        })
        .prop_map(|parts| {
            let (mut project, mut database) = (parts.0, parts.1);
            // A second version is of the same row.
            project[1].id = project[0].id.clone();
            project[1].generation = project[0].generation + 1;
            database[1].id = database[0].id.clone();
            database[1].generation = database[0].generation + 1;
            Rows {
                project,
                database,
                observation: parts.2,
                operation: parts.3,
                event: parts.4,
                token: parts.5,
                credential: parts.6,
            }
        })
}

/// Writes and reads within one transaction that leaves nothing for the next case.
async fn check(store: &Store, rows: Rows) {
    let mut tx = store.begin().await.unwrap();
    let id = &rows.database[0].id;
    tx.insert_project(&rows.project[0]).await.unwrap();
    let read = tx.project_by_id(&rows.project[0].id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&rows.project[0]));
    tx.update_project(&rows.project[1]).await.unwrap();
    let read = tx.project_by_id(&rows.project[0].id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&rows.project[1]));

    tx.insert_database(&rows.database[0]).await.unwrap();
    let read = tx.database_by_id(id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&rows.database[0]));
    tx.update_database(&rows.database[1]).await.unwrap();
    let record = tx.database_record(id).await.unwrap().unwrap();
    assert_eq!(record.database, rows.database[1]);
    assert_eq!((record.observation, record.operation_id), (None, None));

    for observation in &rows.observation {
        tx.put_observation(id, observation).await.unwrap();
        let read = tx.observation(id).await.unwrap();
        assert_eq!(read.as_ref(), Some(observation));
    }
    tx.insert_operation(&rows.operation).await.unwrap();
    let read = tx.operation(&rows.operation.id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&rows.operation));
    let record = tx.database_record(id).await.unwrap().unwrap();
    assert_eq!(record.database, rows.database[1]);
    assert_eq!(record.observation.as_ref(), Some(&rows.observation[1]));
    assert_eq!(record.operation_id.as_ref(), Some(&rows.operation.id));

    let mut event = rows.event;
    event.sequence = tx.append_event(&event).await.unwrap();
    let filter = EventFilter::default();
    let read = tx
        .events_after(event.sequence - 1, &filter, 9)
        .await
        .unwrap();
    assert_eq!(read.rows, [event]);
    tx.insert_token(&rows.token).await.unwrap();
    let read = tx.token_by_hash(&rows.token.hash).await.unwrap();
    assert_eq!(read.as_ref(), Some(&rows.token));
    tx.put_credentials(id, &rows.credential).await.unwrap();
    assert!(tx.credentials(id).await.unwrap() == [rows.credential.clone()]);
    let body = &rows.credential.password;
    tx.put_secret(&rows.token.hash, body).await.unwrap();
    assert!(tx.secret(&rows.token.hash).await.unwrap().as_ref() == Some(body));
    tx.rollback().await.unwrap();
}

/// Unoptimised strategies of rows with thirty fields nest deeper than a test's thread allows.
const STACK_BYTES: usize = 64 << 20;

fn run(open: impl AsyncFnOnce() -> Option<Bench> + Send + 'static) {
    let cases = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let Some(bench) = runtime.block_on(open()) else {
            return;
        };
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        });
        runner
            .run(&rows(), |rows| {
                runtime.block_on(check(&bench.store, rows));
                Ok(())
            })
            .unwrap();
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(cases).unwrap().join().unwrap();
}

#[test]
fn sqlite_keeps_what_it_is_given() {
    run(async || Some(Bench::sqlite().await));
}

#[test]
fn postgresql_keeps_what_it_is_given() {
    run(Bench::postgresql);
}
