//! Opening a store again, and the stores that are refused.

use crate::bench::{Bench, ROOT_KEY, installation, on_both, open};
use crate::samples::{insert_project, one_database, project};
use berth_domain::InstallationId;
use berth_store::{Error, Keys, Reach, Store};
use std::os::unix::fs::PermissionsExt;

on_both! {
    async fn rows_outlive_a_restart(bench) {
        let (shop, orders) = one_database(&bench.store).await;
        let version = bench.store.version().await.unwrap();
        let store = bench.reopened().await;
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), Some(shop));
        assert_eq!(store.database_by_id(&orders.id).await.unwrap(), Some(orders));
        assert_eq!(store.version().await.unwrap(), version);
        assert_eq!(*store.watch_version().borrow(), version);
    }

    async fn a_wrong_root_key_is_refused_in_one_sentence(bench) {
        bench.store.close().await;
        let mut other = ROOT_KEY;
        other[31] ^= 1;
        let Err(refused) = Store::open(&bench.url, &installation(), Keys::from_root(other)).await else {
            panic!("another key opened the store");
        };
        assert_eq!(
            refused.to_string(),
            "the root key does not open this store: give the key that it was created with \
             (nothing was changed)"
        );
        open(&bench.url).await.unwrap().ping().await.unwrap();
    }

    async fn a_newer_store_is_refused_and_left_alone(bench) {
        insert_project(&bench.store, &project("shop")).await;
        bench.store.close().await;
        bench.tamper("INSERT INTO schema_migrations VALUES (999, 'from the future')").await;
        let Err(refused) = open(&bench.url).await else {
            panic!("a newer store was opened");
        };
        assert!(matches!(refused, Error::Newer { found: 999, .. }), "{refused}");
        assert!(refused.to_string().contains("newer berthd"), "{refused}");
        bench.tamper("DELETE FROM schema_migrations WHERE version = 999").await;
        let store = open(&bench.url).await.unwrap();
        assert_eq!(store.projects_page(&Reach::ALL, None, 10).await.unwrap().rows.len(), 1);
    }

    async fn a_second_writer_is_refused_until_the_first_is_gone(bench) {
        let Err(refused) = open(&bench.url).await else {
            panic!("two writers have one store");
        };
        assert!(matches!(refused, Error::AnotherWriter), "{refused:?}");
        assert!(refused.to_string().starts_with("another berthd writes"));
        // The first has not been harmed.
        insert_project(&bench.store, &project("shop")).await;
        let store = bench.reopened().await;
        insert_project(&store, &project("other")).await;
    }

    async fn another_installation_is_refused_and_told_whose_the_store_is(bench) {
        bench.store.close().await;
        let other = InstallationId::from_entropy([0xff; 4]);
        // Even the right key does not make it theirs, nor does a wrong one hide the reason.
        for key in [ROOT_KEY, [1; 32]] {
            let Err(refused) = Store::open(&bench.url, &other, Keys::from_root(key)).await else {
                panic!("another installation opened the store");
            };
            assert!(matches!(refused, Error::OtherInstallation { .. }), "{refused:?}");
            let told = refused.to_string();
            assert!(told.starts_with("the store belongs to installation 1b1b1b1b"), "{told}");
            assert!(told.contains("ffffffff") && told.contains("`installation`"), "{told}");
        }
        open(&bench.url).await.unwrap().ping().await.unwrap();
    }

    async fn a_store_from_before_it_knew_its_installation_is_taken_over(bench) {
        bench.store.close().await;
        assert_eq!(bench.tamper("DELETE FROM meta").await, 1);
        open(&bench.url).await.unwrap().close().await;
        let other = InstallationId::from_entropy([0xff; 4]);
        let refused = Store::open(&bench.url, &other, Keys::from_root(ROOT_KEY)).await.err();
        assert!(matches!(refused, Some(Error::OtherInstallation { .. })), "{refused:?}");
    }

    async fn a_key_is_tried_without_a_change(bench) {
        // Also while somebody has the store.
        let own = Keys::from_root(ROOT_KEY);
        assert!(Store::check_key(&bench.url, &own).await.unwrap());
        let wrong = Store::check_key(&bench.url, &Keys::from_root([9; 32])).await;
        assert!(matches!(wrong, Err(Error::WrongRootKey)), "{wrong:?}");
        bench.store.close().await;
        bench.tamper("DELETE FROM key_check").await;
        assert!(!Store::check_key(&bench.url, &own).await.unwrap());
        assert!(!Store::has_key_check(&bench.url).await.unwrap());
    }

    async fn it_is_known_beforehand_whether_a_key_may_be_made(bench) {
        // Also while somebody has the store.
        assert!(Store::has_key_check(&bench.url).await.unwrap());
        bench.store.close().await;
        assert!(Store::has_key_check(&bench.url).await.unwrap());
        bench.tamper("DELETE FROM key_check").await;
        assert!(!Store::has_key_check(&bench.url).await.unwrap());
        bench.tamper("DROP TABLE key_check").await;
        assert!(!Store::has_key_check(&bench.url).await.unwrap());
    }

    async fn an_edited_migration_is_noticed(bench) {
        bench.store.close().await;
        bench.tamper("UPDATE schema_migrations SET checksum = 'another' WHERE version = 1").await;
        assert!(matches!(open(&bench.url).await, Err(Error::Altered { version: 1 })));
    }
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let bench = Bench::sqlite().await;
    insert_project(&bench.store, &project("shop")).await;
    let directory = bench.directory.as_ref().unwrap();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(
        seen,
        ["berth.db", "berth.db-shm", "berth.db-wal", "berth.db.lock"]
    );
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}/no/such/berth.db", directory.path().display());
    assert!(matches!(
        open(&missing).await,
        Err(Error::CreateFile { path, .. }) if path.ends_with("no/such/berth.db")
    ));
    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are not tables, and longer than a header would be. ".repeat(9),
    )
    .unwrap();
    let Err(refused) = open(&format!("sqlite:{}", text.display())).await else {
        panic!("a text was opened");
    };
    assert!(refused.to_string().contains("notes.txt"), "{refused}");
    let nobody = "postgres://berth:hunter2@127.0.0.1:1/berth";
    let Err(refused) = open(nobody).await else {
        panic!("nobody answered and was believed");
    };
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
}

#[tokio::test]
async fn asking_for_a_key_makes_no_file_and_a_link_is_no_second_store() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("a.db"), directory.path().join("b.db"));
    let url = format!("sqlite:{}", file.display());
    assert!(!Store::has_key_check(&url).await.unwrap());
    assert!(!file.exists());
    let _store = open(&url).await.unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let refused = open(&format!("sqlite:{}", link.display())).await.err();
    assert!(matches!(refused, Some(Error::AnotherWriter)), "{refused:?}");
}
