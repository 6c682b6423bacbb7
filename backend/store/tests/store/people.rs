//! People, their projects and their tokens.

use crate::bench::{on_both, open};
use crate::samples::{NOON, event, insert_project, one_database, project, tell, token};
use berth_domain::{Actor, ActorUser, FieldChange, Member, ProjectId, Role, Secret, User, UserId};
use berth_store::{
    DatabaseFilter, Error, EventFilter, Reach, SnapshotKind, SnapshotRows, TokenFilter,
};
use std::collections::BTreeMap;

pub fn user(number: u8) -> User {
    User {
        id: UserId::from_entropy([number; 8]),
        name: format!("user {number}"),
        email: None,
        created_at: NOON.plus_seconds(i64::from(number)),
        updated_at: NOON,
    }
}

fn member(project: &ProjectId, user: &User, role: Role) -> Member {
    Member {
        project_id: project.clone(),
        user_id: user.id.clone(),
        role,
        created_at: user.created_at,
        updated_at: NOON,
    }
}

on_both! {
    async fn people_are_made_changed_and_removed(bench) {
        let store = &bench.store;
        let (one, two) = (user(1), user(2));
        let mut tx = store.begin().await.unwrap();
        tx.insert_user(&one).await.unwrap();
        tx.insert_user(&two).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.user_by_name("user 1").await.unwrap().as_ref(), Some(&one));
        let page = store.users_page(None, 1).await.unwrap();
        assert_eq!((page.rows, page.more), (vec![one.clone()], true));
        assert_eq!(store.users_page(Some(&one.id), 9).await.unwrap().rows, std::slice::from_ref(&two));
        let changed = User {
            name: "ada".to_owned(),
            email: Some("ada@example.com".to_owned()),
            updated_at: NOON.plus_days(1),
            ..one.clone()
        };
        let mut tx = store.begin().await.unwrap();
        tx.update_user(&changed).await.unwrap();
        assert!(matches!(tx.update_user(&user(9)).await, Err(Error::Conflict { .. })));
        tx.commit().await.unwrap();
        assert_eq!(store.user_by_id(&one.id).await.unwrap(), Some(changed));
        // Names are unique.
        let mut tx = store.begin().await.unwrap();
        let twin = User { name: "ada".to_owned(), ..user(3) };
        assert!(tx.insert_user(&twin).await.is_err());
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.remove_user(&one.id).await.unwrap());
        assert!(!tx.remove_user(&one.id).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(store.users_page(None, 9).await.unwrap().rows, [two]);
    }

    async fn members_have_one_role_a_project(bench) {
        let store = &bench.store;
        let shop = project("shop");
        insert_project(store, &shop).await;
        let (one, two) = (user(1), user(2));
        let mut tx = store.begin().await.unwrap();
        for person in [&one, &two] {
            tx.insert_user(person).await.unwrap();
            tx.put_member(&member(&shop.id, person, Role::Owner)).await.unwrap();
        }
        assert_eq!(tx.count_owners(&shop.id).await.unwrap(), 2);
        let viewer = member(&shop.id, &two, Role::Viewer);
        tx.put_member(&viewer).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.count_owners(&shop.id).await.unwrap(), 1);
        assert_eq!(store.member(&shop.id, &two.id).await.unwrap(), Some(viewer.clone()));
        let roles = BTreeMap::from([(shop.id.clone(), Role::Viewer)]);
        assert_eq!(store.roles_of(&two.id).await.unwrap(), roles);
        let page = store.members_page(&shop.id, None, 1).await.unwrap();
        assert_eq!((page.rows[0].user_id.clone(), page.more), (one.id.clone(), true));
        let page = store.members_page(&shop.id, Some(&one.id), 1).await.unwrap();
        assert_eq!((page.rows, page.more), (vec![viewer], false));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.remove_member(&shop.id, &one.id).await.unwrap());
        assert!(!tx.remove_member(&shop.id, &one.id).await.unwrap());
        // Whoever goes is no member of anything any more.
        assert!(tx.remove_user(&two.id).await.unwrap());
        assert!(tx.members_page(&shop.id, None, 9).await.unwrap().rows.is_empty());
        tx.commit().await.unwrap();
    }

    async fn lists_show_what_a_member_reaches(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let other = project("other");
        insert_project(store, &other).await;
        let (inside, outside) = (user(1), user(2));
        let mut tx = store.begin().await.unwrap();
        for person in [&inside, &outside] {
            tx.insert_user(person).await.unwrap();
        }
        tx.put_member(&member(&shop.id, &inside, Role::Viewer)).await.unwrap();
        tx.commit().await.unwrap();
        for (person, found) in [(&inside, 1), (&outside, 0)] {
            let reach = Reach { project: None, member: Some(person.id.clone()) };
            let projects = store.projects_page(&reach, None, 9).await.unwrap().rows;
            assert_eq!(projects.len(), found);
            assert!(projects.iter().all(|row| row.id == shop.id));
            let filter = DatabaseFilter { member: Some(person.id.clone()), ..DatabaseFilter::default() };
            let databases = store.databases_page(&filter, None, 9).await.unwrap().rows;
            assert_eq!(databases.len(), found);
            assert!(databases.iter().all(|row| row.database.id == orders.id));
            for kind in [SnapshotKind::Project, SnapshotKind::Database] {
                let page = store.snapshot_page(kind, &reach, None, 9, NOON, &tell).await.unwrap();
                assert_eq!(page.rows.len(), found);
            }
            let beside = Reach { project: Some(other.id.clone()), ..reach };
            assert!(store.projects_page(&beside, None, 9).await.unwrap().rows.is_empty());
            let page = store.snapshot_page(SnapshotKind::Project, &beside, None, 9, NOON, &tell).await;
            assert_eq!(page.unwrap().rows, SnapshotRows::Projects(Vec::new()));
        }
    }

    async fn events_are_chosen_by_who_what_and_when(bench) {
        let store = &bench.store;
        let (shop, orders) = one_database(store).await;
        let (inside, outside) = (user(1), user(2));
        let mut about = event("database.changed");
        about.project_id = Some(shop.id.clone());
        about.database_id = Some(orders.id.clone());
        about.actor = Actor::Token {
            id: token(1).id,
            name: "ci".to_owned(),
            user: Some(ActorUser { id: inside.id.clone(), name: inside.name.clone() }),
            address: Some("192.0.2.1".to_owned()),
        };
        about.changes = vec![
            FieldChange {
                field: "plan".to_owned(),
                from: Some("\"small\"".to_owned()),
                to: Some("\"large\"".to_owned()),
                sensitive: false,
            },
            FieldChange::secret("password"),
        ];
        about.at = NOON.plus_seconds(10);
        about.sequence = 2;
        let mut tx = store.begin().await.unwrap();
        for person in [&inside, &outside] {
            tx.insert_user(person).await.unwrap();
        }
        tx.put_member(&member(&shop.id, &inside, Role::Viewer)).await.unwrap();
        tx.append_event(&event("server.started")).await.unwrap();
        tx.append_event(&about).await.unwrap();
        tx.commit().await.unwrap();
        let all = EventFilter::default;
        let reach = |person: &User| Reach { project: None, member: Some(person.id.clone()) };
        for filter in [
            EventFilter { reach: reach(&inside), ..all() },
            EventFilter { kind: Some("database.changed".to_owned()), ..all() },
            EventFilter { kind: Some("database".to_owned()), ..all() },
            EventFilter { actor: Some(token(1).id.to_string()), ..all() },
            EventFilter { actor: Some(inside.id.to_string()), ..all() },
            EventFilter { since: Some(about.at), ..all() },
        ] {
            assert_eq!(store.events_after(0, &filter, 9).await.unwrap().rows, [about.clone()]);
        }
        for filter in [
            EventFilter { reach: reach(&outside), ..all() },
            EventFilter { kind: Some("data".to_owned()), ..all() },
            EventFilter { kind: Some("database.".to_owned()), ..all() },
            EventFilter { actor: Some(outside.id.to_string()), ..all() },
            EventFilter { since: Some(about.at.plus_millis(1)), ..all() },
            EventFilter { until: Some(NOON), ..all() },
        ] {
            assert!(store.events_after(0, &filter, 9).await.unwrap().rows.is_empty(), "{filter:?}");
        }
        let before = EventFilter { until: Some(about.at), ..all() };
        assert_eq!(store.events_after(0, &before, 9).await.unwrap().rows.len(), 1);

        let newest = store.events_before(i64::MAX, &all(), 1).await.unwrap();
        assert_eq!((newest.rows.as_slice(), newest.more), (std::slice::from_ref(&about), true));
        let older = store.events_before(about.sequence, &all(), 1).await.unwrap();
        assert_eq!((older.rows[0].sequence, older.more), (1, false));
        let filter = EventFilter { reach: reach(&outside), ..all() };
        assert!(store.events_before(i64::MAX, &filter, 9).await.unwrap().rows.is_empty());
    }

    async fn tokens_follow_their_user(bench) {
        let store = &bench.store;
        let person = user(1);
        let (mut one, two) = (token(1), token(2));
        one.user_id = person.id.clone();
        let mut tx = store.begin().await.unwrap();
        tx.insert_user(&person).await.unwrap();
        tx.insert_token(&one).await.unwrap();
        tx.insert_token(&two).await.unwrap();
        tx.commit().await.unwrap();
        let bearer = store.bearer_by_hash(&one.hash).await.unwrap().unwrap();
        assert_eq!((&bearer.token, bearer.user_name.as_deref()), (&one, Some("user 1")));
        // Nobody of that id is there in a bare store.
        assert_eq!(store.bearer_by_hash(&two.hash).await.unwrap().unwrap().user_name, None);
        let own = TokenFilter { project: None, user: Some(person.id.clone()) };
        assert_eq!(store.tokens_page(&own, None, 9).await.unwrap().rows, [one.clone()]);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.set_token_end(&one.id, Some(NOON.plus_days(1))).await.unwrap());
        assert!(!tx.set_token_end(&token(9).id, None).await.unwrap());
        // Expired for long enough, it goes like a revoked one.
        assert_eq!(tx.forget_ended_tokens(NOON.plus_days(1)).await.unwrap(), 0);
        assert!(tx.set_token_name(&one.id, "deploy").await.unwrap());
        assert!(!tx.set_token_name(&token(9).id, "nobody").await.unwrap());
        assert_eq!(tx.token_by_id(&one.id).await.unwrap().unwrap().name, "deploy");
        let revoked = tx.revoke_tokens_of(&person.id, NOON).await.unwrap();
        assert_eq!(revoked.iter().map(|t| &t.id).collect::<Vec<_>>(), [&one.id]);
        assert!(tx.revoke_tokens_of(&person.id, NOON).await.unwrap().is_empty());
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert!(tx.set_token_end(&two.id, Some(NOON)).await.unwrap());
        let secret = Secret::new("berth_kept".to_owned());
        for kept in [&token(2).id, &token(3).id] {
            tx.keep_token_secret(kept, &secret).await.unwrap();
        }
        assert_eq!(tx.kept_token_secret(&two.id).await.unwrap(), Some(secret.clone()));
        assert_eq!(tx.kept_token_secret(&one.id).await.unwrap(), None);
        assert_eq!(tx.forget_ended_tokens(NOON.plus_millis(1)).await.unwrap(), 0);
        tx.insert_token(&token(3)).await.unwrap();
        assert_eq!(tx.forget_ended_tokens(NOON.plus_millis(1)).await.unwrap(), 2);
        // A secret goes with its token, and stays with it.
        assert_eq!(tx.kept_token_secret(&two.id).await.unwrap(), None);
        assert_eq!(tx.kept_token_secret(&token(3).id).await.unwrap(), Some(secret));
        tx.forget_token_secret(&token(3).id).await.unwrap();
        assert_eq!(tx.kept_token_secret(&token(3).id).await.unwrap(), None);
        tx.commit().await.unwrap();
    }

    async fn what_is_older_than_people_is_the_administrators(bench) {
        let old = token(1);
        let mut done = event("server.started");
        done.actor = Actor::Token { id: old.id.clone(), name: "ci".to_owned(), user: None, address: None };
        let mut tx = bench.store.begin().await.unwrap();
        tx.insert_token(&old).await.unwrap();
        done.sequence = tx.append_event(&done).await.unwrap();
        tx.commit().await.unwrap();
        bench.store.close().await;
        // The store as it was before there were people.
        for statement in [
            "DROP INDEX tokens_user",
            "ALTER TABLE tokens DROP COLUMN user_id",
            "DROP TABLE project_members",
            "DROP TABLE users",
            "DROP INDEX events_token",
            "DROP INDEX events_user",
            "ALTER TABLE events DROP COLUMN actor_user",
            "ALTER TABLE events DROP COLUMN actor_user_name",
            "ALTER TABLE events DROP COLUMN changes",
            "DELETE FROM schema_migrations WHERE version IN (3, 6)",
        ] {
            bench.tamper(statement).await;
        }
        let store = open(&bench.url).await.unwrap();
        let bearer = store.bearer_by_hash(&old.hash).await.unwrap().unwrap();
        assert_eq!(bearer.token.user_id, UserId::administrator());
        assert_eq!(bearer.token, old);
        let read = store.events_after(0, &EventFilter::default(), 9).await.unwrap();
        assert_eq!(read.rows, [done]);
    }
}
