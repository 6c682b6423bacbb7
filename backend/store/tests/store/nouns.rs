//! What each noun's questions answer.

use crate::bench::on_both;
use crate::samples::{
    NOON, credential, database, destroyed, event, insert_database, insert_project, observation,
    one_database, operation, project, token,
};
use berth_domain::{Actor, Claim, EngineName, Fingerprint, Observed, Secret, Status};
use berth_store::{
    AddressUse, CredentialState, DatabaseFilter, Error, EventFilter, IdempotencyRecord, Lifetime,
    PlanUse, Promised, Reach, Store, TokenFilter,
};
use std::collections::BTreeSet;

on_both! {
    async fn a_name_is_free_again_once_its_bearer_is_destroyed(bench) {
        let store = &bench.store;
        let (shop, first) = one_database(store).await;
        let mut second = database(&shop, 2);
        (second.name, second.slug) = (first.name.clone(), first.slug.clone());
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.insert_database(&second).await, Err(Error::Duplicate { .. })));
        drop(tx);
        // Another project has names of its own.
        let other = project("other");
        insert_project(store, &other).await;
        let mut elsewhere = database(&other, 3);
        (elsewhere.name, elsewhere.slug) = (first.name.clone(), first.slug.clone());
        insert_database(store, &elsewhere).await;
        assert_eq!(store.databases_by_name(&first.name, None).await.unwrap(), [first.clone(), elsewhere.clone()]);

        let mut tx = store.begin().await.unwrap();
        tx.update_database(&destroyed(first.clone())).await.unwrap();
        tx.insert_database(&second).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.databases_by_name(&first.name, Some(&shop.id)).await.unwrap(), [second.clone()]);
        let holder = store.living_database_by_slug(&shop.id, &first.slug).await.unwrap();
        assert_eq!(holder, Some(second));
        // By id the destroyed one is still there.
        assert_eq!(store.database_by_id(&first.id).await.unwrap(), Some(destroyed(first.clone())));
        assert_eq!(store.database_by_instance(&first.instance).await.unwrap().unwrap().id, first.id);
    }

    async fn projects_are_found_while_they_live(bench) {
        let store = &bench.store;
        let mut shop = project("shop");
        insert_project(store, &shop).await;
        assert_eq!(store.project_by_name(&shop.name).await.unwrap().as_ref(), Some(&shop));
        assert_eq!(store.living_project_by_slug(&shop.slug).await.unwrap().as_ref(), Some(&shop));
        let mut tx = store.begin().await.unwrap();
        let mut double = project("shop");
        double.id = project("other").id;
        assert!(matches!(tx.insert_project(&double).await, Err(Error::Duplicate { .. })));
        drop(tx);
        shop.generation = 2;
        shop.destroyed_at = Some(NOON);
        let mut tx = store.begin().await.unwrap();
        tx.update_project(&shop).await.unwrap();
        tx.insert_project(&double).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.project_by_name(&shop.name).await.unwrap(), Some(double));
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), Some(shop.clone()));
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_destroyed_projects(NOON).await.unwrap(), 0);
        assert_eq!(tx.forget_destroyed_projects(NOON.plus_seconds(1)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), None);
    }

    async fn pages_go_from_the_oldest_to_the_youngest(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        for number in [3, 1, 2] {
            insert_database(store, &database(&shop, number)).await;
        }
        let mut twin = database(&shop, 4);
        twin.created_at = database(&shop, 1).created_at;
        twin.engine = EngineName::new("redis");
        insert_database(store, &twin).await;
        let all = DatabaseFilter::default();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.databases_page(&all, after.as_ref(), 1).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.database.name.to_string()));
            after = page.rows.last().map(|row| row.database.id.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, ["db-1", "db-4", "db-2", "db-3"]);
        let redis = DatabaseFilter { engine: Some(EngineName::new("redis")), ..all.clone() };
        assert_eq!(store.databases_page(&redis, None, 9).await.unwrap().rows[0].database, twin);
        let named = DatabaseFilter { name: Some(twin.name.clone()), ..all.clone() };
        assert_eq!(store.databases_page(&named, None, 9).await.unwrap().rows.len(), 1);
        let elsewhere = DatabaseFilter { project: Some(project("other").id), ..all };
        assert!(store.databases_page(&elsewhere, None, 9).await.unwrap().rows.is_empty());
        let never = database(&shop, 99).id;
        let gone = store.databases_page(&elsewhere, Some(&never), 9).await;
        assert!(matches!(gone, Err(Error::PageGone)));
    }

    async fn the_trash_is_kept_purged_and_forgotten(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let mut tx = store.begin().await.unwrap();
        tx.insert_operation(&operation(&orders, 1)).await.unwrap();
        tx.put_observation(&orders.id, &observation(Observed::Ready)).await.unwrap();
        tx.put_credentials(&orders.id, &credential(1, CredentialState::Current)).await.unwrap();
        assert!(matches!(tx.mark_purged(&orders.id, NOON).await, Err(Error::Conflict { .. })));
        tx.update_database(&destroyed(orders.clone())).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(store.destroyed_databases(None).await.unwrap(), [destroyed(orders.clone())]);
        assert_eq!(store.destroyed_databases(Some(&project("other").id)).await.unwrap(), []);
        let recoverable = DatabaseFilter { lifetime: Lifetime::Recoverable, ..DatabaseFilter::default() };
        assert_eq!(store.databases_page(&recoverable, None, 9).await.unwrap().rows.len(), 1);
        let end = NOON.plus_days(1);
        assert_eq!(store.purge_due(end.plus_millis(-1), 9).await.unwrap(), []);
        assert_eq!(store.purge_due(end, 9).await.unwrap(), [destroyed(orders.clone())]);

        let mut tx = store.begin().await.unwrap();
        tx.mark_purged(&orders.id, end).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.purge_due(end, 9).await.unwrap(), []);
        assert_eq!(store.destroyed_databases(None).await.unwrap(), []);
        assert_eq!(store.credentials(&orders.id).await.unwrap(), []);
        assert_eq!(store.database_by_id(&orders.id).await.unwrap().unwrap().purged_at, Some(end));

        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_purged_databases(end).await.unwrap(), 0);
        assert_eq!(tx.forget_purged_databases(end.plus_millis(1)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(store.database_by_id(&orders.id).await.unwrap(), None);
        assert_eq!(store.observation(&orders.id).await.unwrap(), None);
        assert!(store.project_by_id(&shop.id).await.unwrap().is_some());
    }

    async fn the_living_promise_plans_and_hold_ports(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        for number in 1..=3 {
            let mut row = database(&shop, number);
            row.public_port = Some(15_000 + u16::from(number));
            row.storage_gb = if number == 1 { 20 } else { 10 };
            insert_database(store, &row).await;
            if number == 3 {
                let mut tx = store.begin().await.unwrap();
                tx.update_database(&destroyed(row)).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
        let promised = |storage_gb, count| Promised { plan: "db-s-1vcpu-1gb".to_owned(), storage_gb, count };
        assert_eq!(store.promised_resources().await.unwrap(), [promised(10, 1), promised(20, 1)]);
        let plan = "db-s-1vcpu-1gb".to_owned();
        let used = [PlanUse { plan, databases: 2, some: vec!["db-1".to_owned(), "db-2".to_owned()] }];
        assert_eq!(store.plans_in_use().await.unwrap(), used);
        // Also from outside, while somebody has the store.
        assert_eq!(Store::plans_in_use_at(&bench.url).await.unwrap(), used);
        assert_eq!(store.used_public_ports().await.unwrap(), BTreeSet::from([15_001, 15_002]));
        assert_eq!(store.kept_public_ports().await.unwrap(), BTreeSet::from([15_003]));
        // Two with a pooler each; the destroyed one and another project's take none of them.
        let other = project("other");
        insert_project(store, &other).await;
        let mut alone = database(&other, 5);
        (alone.pooler, alone.expose) = (None, true);
        insert_database(store, &alone).await;
        let used = |in_project| AddressUse { in_project, in_public: 1 };
        assert_eq!(store.address_use(&shop.id).await.unwrap(), used(4));
        assert_eq!(store.address_use(&other.id).await.unwrap(), used(1));
        let mut thief = database(&shop, 4);
        thief.public_port = Some(15_001);
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.insert_database(&thief).await, Err(Error::Duplicate { .. })));
    }

    async fn the_living_are_counted_by_what_is_told_of_them(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let failed = |reason: &str| Observed::Failed { reason: reason.to_owned() };
        let seen = [
            None,
            Some(Observed::Ready),
            Some(Observed::Unknown { last: Status::Running }),
            Some(failed("it is full")),
            Some(failed("it fell")),
            Some(Observed::Ready),
        ];
        let mut tx = store.begin().await.unwrap();
        for (number, observed) in (1..).zip(seen) {
            let row = database(&shop, number);
            tx.insert_database(&row).await.unwrap();
            if let Some(observed) = observed {
                tx.put_observation(&row.id, &observation(observed)).await.unwrap();
            }
            if number == 6 {
                tx.update_database(&destroyed(row)).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        let counted = store.living_by_status().await.unwrap();
        let of = |status| -> u32 { counted.iter().filter(|(s, _)| *s == status).map(|(_, n)| n).sum() };
        assert_eq!(Status::ALL.map(of), [1, 2, 0, 2, 0]);
    }

    async fn a_claim_changes_nothing_else(bench) {
        let store = &bench.store;
        let mut shop = project("shop");
        let unclaimed = Claim::Unclaimed { token: token(1).id, request: Fingerprint("abc".to_owned()) };
        shop.claim = unclaimed.clone();
        insert_project(store, &shop).await;
        let mut orders = database(&shop, 1);
        orders.claim = unclaimed;
        insert_database(store, &orders).await;
        let mut tx = store.begin().await.unwrap();
        tx.claim_project(&shop.id).await.unwrap();
        tx.claim_database(&orders.id).await.unwrap();
        // Once more is as good as once.
        tx.claim_database(&orders.id).await.unwrap();
        assert!(matches!(tx.claim_database(&database(&shop, 9).id).await, Err(Error::Conflict { .. })));
        tx.commit().await.unwrap();
        shop.claim = Claim::Claimed;
        orders.claim = Claim::Claimed;
        assert_eq!(store.project_by_id(&shop.id).await.unwrap(), Some(shop));
        assert_eq!(store.database_by_id(&orders.id).await.unwrap(), Some(orders));
    }

    async fn a_rotation_has_two_passwords_and_ends_with_one(bench) {
        let store = &bench.store;
        let (_, orders) = one_database(store).await;
        let (first, next) = (credential(1, CredentialState::Current), credential(2, CredentialState::Next));
        let mut tx = store.begin().await.unwrap();
        tx.put_credentials(&orders.id, &first).await.unwrap();
        tx.put_credentials(&orders.id, &next).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.credentials(&orders.id).await.unwrap(), [first.clone(), next]);
        // A change of mind half way: the later one takes the place of the one that waits.
        let later = credential(3, CredentialState::Next);
        let mut tx = store.begin().await.unwrap();
        tx.put_credentials(&orders.id, &later).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.credentials(&orders.id).await.unwrap(), [first, later]);
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.promote_credentials(&orders.id, 2).await, Err(Error::Conflict { .. })));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        tx.promote_credentials(&orders.id, 3).await.unwrap();
        tx.promote_credentials(&orders.id, 3).await.unwrap();
        tx.commit().await.unwrap();
        let left = store.credentials(&orders.id).await.unwrap();
        assert_eq!(left, [credential(3, CredentialState::Current)]);
    }

    async fn secrets_and_answers_are_kept_by_name(bench) {
        let store = &bench.store;
        let record = IdempotencyRecord {
            caller: "tok_1".to_owned(),
            key: "a/b".to_owned(),
            request_hash: "abc".to_owned(),
            status: 201,
            body: Secret::new("{\"token\": \"secret\"}"),
            created_at: NOON,
        };
        let mut tx = store.begin().await.unwrap();
        tx.put_secret("ca.key", &Secret::new("one")).await.unwrap();
        tx.put_secret("ca.key", &Secret::new("two")).await.unwrap();
        tx.insert_idempotency_record(&record).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.secret("ca.key").await.unwrap(), Some(Secret::new("two")));
        assert_eq!(store.secret("other").await.unwrap(), None);
        assert_eq!(store.idempotency_record("tok_1", "a/b").await.unwrap().as_ref(), Some(&record));
        assert_eq!(store.idempotency_record("tok_2", "a/b").await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        assert!(matches!(tx.insert_idempotency_record(&record).await, Err(Error::Duplicate { .. })));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        tx.remove_secret("ca.key").await.unwrap();
        tx.remove_secret("ca.key").await.unwrap();
        assert_eq!(tx.forget_idempotency_records(NOON).await.unwrap(), 0);
        assert_eq!(tx.forget_idempotency_records(NOON.plus_millis(1)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(store.secret("ca.key").await.unwrap(), None);
        assert_eq!(store.idempotency_record("tok_1", "a/b").await.unwrap(), None);
    }

    async fn tokens_are_found_by_hash_and_revoked_once(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let (one, mut two) = (token(1), token(2));
        two.project_id = Some(shop.id.clone());
        let mut tx = store.begin().await.unwrap();
        tx.insert_token(&one).await.unwrap();
        tx.insert_token(&two).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.token_by_hash(&one.hash).await.unwrap().as_ref(), Some(&one));
        assert_eq!(store.token_by_hash("").await.unwrap(), None);
        let page = store.tokens_page(&TokenFilter::default(), None, 1).await.unwrap();
        assert_eq!((page.rows, page.more), (vec![one.clone()], true));
        assert_eq!(store.tokens_page(&TokenFilter::default(), Some(&one.id), 1).await.unwrap().rows, [two.clone()]);
        let of_shop = TokenFilter { project: Some(shop.id.clone()), user: None };
        assert_eq!(store.tokens_page(&of_shop, None, 9).await.unwrap().rows, [two]);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.revoke_token(&one.id, NOON).await.unwrap());
        assert!(!tx.revoke_token(&one.id, NOON.plus_days(1)).await.unwrap());
        assert!(!tx.revoke_token(&token(9).id, NOON).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(store.token_by_id(&one.id).await.unwrap().unwrap().revoked_at, Some(NOON));
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_ended_tokens(NOON).await.unwrap(), 0);
        assert_eq!(tx.forget_ended_tokens(NOON.plus_millis(1)).await.unwrap(), 1);
        // The last one stays, so that nobody takes this for a first start.
        assert!(tx.revoke_token(&token(2).id, NOON).await.unwrap());
        assert_eq!(tx.forget_ended_tokens(NOON.plus_days(1)).await.unwrap(), 0);
        tx.commit().await.unwrap();
        assert_eq!(store.tokens_page(&TokenFilter::default(), None, 9).await.unwrap().rows.len(), 1);
    }

    async fn events_are_read_on_from_where_one_was(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let mut about = event("database.created");
        about.project_id = Some(shop.id.clone());
        about.database_id = Some(orders.id.clone());
        about.actor = Actor::Token { id: token(1).id, name: "ci".to_owned(), user: None, address: None };
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.append_event(&event("server.started")).await.unwrap(), 1);
        assert_eq!(tx.append_event(&about).await.unwrap(), 2);
        assert_eq!(tx.append_event(&event("server.stopped")).await.unwrap(), 3);
        tx.commit().await.unwrap();
        let all = EventFilter::default();
        let page = store.events_after(0, &all, 2).await.unwrap();
        assert_eq!((page.rows.len(), page.more, page.rows[1].sequence), (2, true, 2));
        let page = store.events_after(2, &all, 2).await.unwrap();
        assert_eq!((page.rows[0].kind.as_str(), page.more), ("server.stopped", false));
        about.sequence = 2;
        for filter in [
            EventFilter { reach: Reach::of(shop.id.clone()), ..EventFilter::default() },
            EventFilter { database: Some(orders.id.clone()), ..EventFilter::default() },
        ] {
            assert_eq!(store.events_after(0, &filter, 9).await.unwrap().rows, [about.clone()]);
        }
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.forget_events(NOON.plus_millis(1)).await.unwrap(), 3);
        // Numbers that were given are not given again.
        assert_eq!(tx.append_event(&event("later.on")).await.unwrap(), 4);
        tx.commit().await.unwrap();
        assert_eq!(store.last_event().await.unwrap(), 4);
    }
}
