//! Variables of projects: kept apart, sealed, gone with their project.

use crate::bench::on_both;
use crate::samples::{NOON, insert_project, project};
use berth_domain::{EnvName, EnvVariable, Project, Secret};
use berth_store::Error;

fn variable(project: &Project, name: &str, value: &str) -> EnvVariable {
    EnvVariable {
        project_id: project.id.clone(),
        name: EnvName::parse(name).unwrap(),
        value: Secret::new(value),
        sensitive: true,
        created_at: NOON,
        updated_at: NOON,
    }
}

on_both! {
    async fn each_project_has_variables_of_its_own(bench) {
        let store = &bench.store;
        let (shop, other) = (project("shop"), project("other"));
        insert_project(store, &shop).await;
        insert_project(store, &other).await;
        let first = variable(&shop, "b_SECOND", "two\nlines");
        let second = variable(&shop, "FIRST", "");
        let theirs = variable(&other, "FIRST", "theirs");
        let mut tx = store.begin().await.unwrap();
        for one in [&first, &second, &theirs] {
            tx.put_env_variable(one).await.unwrap();
        }
        tx.commit().await.unwrap();
        // By name, as bytes compare.
        assert!(store.env_variables(&shop.id).await.unwrap() == [second.clone(), first.clone()]);

        let mut changed = variable(&shop, "FIRST", "new");
        changed.sensitive = false;
        changed.updated_at = NOON.plus_seconds(9);
        let mut put = changed.clone();
        // The moment of the first one stays, whatever a later one says.
        put.created_at = NOON.plus_seconds(9);
        let mut tx = store.begin().await.unwrap();
        tx.put_env_variable(&put).await.unwrap();
        assert!(tx.remove_env_variable(&shop.id, &first.name).await.unwrap());
        assert!(!tx.remove_env_variable(&shop.id, &first.name).await.unwrap());
        tx.commit().await.unwrap();
        let store = bench.reopened().await;
        assert!(store.env_variables(&shop.id).await.unwrap() == [changed]);
        assert!(store.env_variables(&other.id).await.unwrap() == [theirs]);
    }

    async fn a_value_opens_under_its_own_name_alone(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let mut tx = store.begin().await.unwrap();
        tx.put_env_variable(&variable(&shop, "ONE", "1")).await.unwrap();
        tx.put_env_variable(&variable(&shop, "TWO", "2")).await.unwrap();
        tx.commit().await.unwrap();
        bench.tamper(
            "UPDATE env_variables SET (data_key, value) = \
             (SELECT data_key, value FROM env_variables WHERE name = 'ONE') WHERE name = 'TWO'",
        ).await;
        let refused = store.env_variables(&shop.id).await.unwrap_err();
        assert!(matches!(&refused, Error::Unseal { table: "env_variables", .. }), "{refused}");
    }

    async fn variables_stay_as_long_as_the_row_of_their_project(bench) {
        let store = &bench.store;
        let mut shop = project("shop");
        insert_project(store, &shop).await;
        let mut tx = store.begin().await.unwrap();
        tx.put_env_variable(&variable(&shop, "ONE", "1")).await.unwrap();
        shop.generation += 1;
        shop.destroyed_at = Some(NOON);
        tx.update_project(&shop).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.env_variables(&shop.id).await.unwrap().len(), 1);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_destroyed_projects(NOON.plus_seconds(1)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(store.env_variables(&shop.id).await.unwrap().len(), 0);
    }

    async fn what_a_variable_was_is_kept_sealed_until_it_is_forgotten(bench) {
        let store = &bench.store;
        let (shop, other) = (project("shop"), project("other"));
        insert_project(store, &shop).await;
        insert_project(store, &other).await;
        let values: Vec<_> = ["first", "second"].map(|v| variable(&shop, "KEY", v)).into();
        let theirs = variable(&other, "KEY", "theirs");
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.keep_env_version(&values[0], NOON).await.unwrap(), 1);
        let later = NOON.plus_seconds(1);
        assert_eq!(tx.keep_env_version(&values[1], later).await.unwrap(), 2);
        assert_eq!(tx.keep_env_version(&theirs, later).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let store = bench.reopened().await;
        let page = async |after, limit| {
            let page = store.env_versions_page(&shop.id, after, limit).await.unwrap();
            let rows: Vec<_> = page.rows.iter().map(|one| (one.version, one.ended_at)).collect();
            (rows, page.more)
        };
        assert_eq!(page(None, 2).await, (vec![(2, later), (1, NOON)], false));
        assert_eq!(page(None, 1).await, (vec![(2, later)], true));
        assert_eq!(page(Some(2), 1).await, (vec![(1, NOON)], false));
        for (project, latest) in [(&shop, Some(2)), (&other, Some(1))] {
            let found = store.latest_env_version(&project.id, &theirs.name).await.unwrap();
            assert_eq!(found, latest);
        }
        let absent = EnvName::parse("OTHER").unwrap();
        assert_eq!(store.latest_env_version(&shop.id, &absent).await.unwrap(), None);
        for (version, value) in [(1, Some(&values[0])), (2, Some(&values[1])), (3, None)] {
            let found = store.env_version(&shop.id, version).await.unwrap();
            assert!(found.as_ref() == value, "{version}");
        }
        let used = store.env_version_use(&shop.id).await.unwrap();
        assert!(used.versions == 2 && used.bytes > 20, "{used:?}");
        bench.tamper("UPDATE env_versions SET version = 9 WHERE version = 2").await;
        let refused = store.env_version(&shop.id, 9).await.unwrap_err();
        assert!(matches!(&refused, Error::Unseal { table: "env_versions", .. }), "{refused}");

        let mut tx = store.begin().await.unwrap();
        // The oldest goes only when it is old enough.
        assert!(!tx.forget_oldest_env_version(&shop.id, NOON).await.unwrap());
        assert!(tx.forget_oldest_env_version(&shop.id, later).await.unwrap());
        assert!(!tx.forget_oldest_env_version(&shop.id, later).await.unwrap());
        assert_eq!(tx.forget_env_versions(later).await.unwrap(), 0);
        assert_eq!(tx.forget_env_versions(NOON.plus_seconds(2)).await.unwrap(), 2);
        assert_eq!(tx.env_version_use(&shop.id).await.unwrap().versions, 0);
        tx.commit().await.unwrap();
    }

    async fn destroyed_projects_are_found_until_they_are_forgotten(bench) {
        let store = &bench.store;
        let mut shop = project("shop");
        insert_project(store, &shop).await;
        let all = berth_store::Reach::ALL;
        assert_eq!(store.destroyed_project_by_name(&shop.name).await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        shop.generation += 1;
        shop.destroyed_at = Some(NOON);
        tx.update_project(&shop).await.unwrap();
        tx.commit().await.unwrap();
        let found = store.destroyed_project_by_name(&shop.name).await.unwrap();
        assert_eq!(found.as_ref(), Some(&shop));
        let page = store.destroyed_projects_page(&all, None, 10).await.unwrap();
        assert_eq!(page.rows, [shop.clone()]);
        let page = store.destroyed_projects_page(&all, Some(&shop.id), 10).await.unwrap();
        assert!(page.rows.is_empty() && !page.more);
    }

    async fn a_first_use_is_written_down_once(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.mark_auto_provisioned(&shop.id, NOON).await.unwrap());
        assert!(!tx.mark_auto_provisioned(&shop.id, NOON).await.unwrap());
        tx.commit().await.unwrap();
        // It is nothing that a client says, so the row as it is wanted does not know of it.
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), Some(shop));
    }
}
