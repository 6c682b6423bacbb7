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
