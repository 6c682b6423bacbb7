//! What holds when many ask at the same moment.

use crate::support::{TestBerth, postgres, request};
use axum::http::Method;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn of_many_equal_creates_one_wins() {
    let berth = TestBerth::start().await;
    let replies = join_all((0..20).map(|_| berth.post("/v1/databases", postgres("orders")))).await;
    let made = replies.iter().filter(|r| r.status == 201).count();
    let taken = replies
        .iter()
        .filter(|r| r.line() == "409 name_taken [name]")
        .count();
    assert_eq!((made, taken), (1, 19));
}

#[tokio::test]
async fn no_two_get_the_same_port_and_none_too_many() {
    let berth = TestBerth::start().await;
    let exposed =
        |n: usize| json!({"name": format!("db-{n}"), "engine": "postgresql", "expose": true});
    let replies = join_all((0..6).map(|n| berth.post("/v1/databases", exposed(n)))).await;
    let ports: BTreeSet<_> = replies
        .iter()
        .filter_map(|r| r.body["database"]["public_port"].as_u64())
        .collect();
    assert_eq!(ports, BTreeSet::from([15_000, 15_001, 15_002]));
    let refused = replies
        .iter()
        .filter(|r| r.line() == "409 ports_exhausted [expose]")
        .count();
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn the_memory_of_the_host_is_promised_once() {
    let berth = TestBerth::start().await;
    let large =
        |n: usize| json!({"name": format!("db-{n}"), "engine": "postgresql", "plan": "large"});
    let replies = join_all((0..8).map(|n| berth.post("/v1/databases", large(n)))).await;
    assert_eq!(replies.iter().filter(|r| r.status == 201).count(), 4);
    assert_eq!(
        replies
            .iter()
            .filter(|r| r.line() == "409 capacity_exceeded [plan]")
            .count(),
        4
    );
}

#[tokio::test]
async fn a_key_that_is_sent_twice_at_once_does_its_work_once() {
    let berth = TestBerth::start().await;
    let keyed = || {
        let mut sent = request(
            &berth.admin,
            Method::POST,
            "/v1/databases",
            Some(postgres("orders")),
        );
        sent.headers_mut()
            .insert("idempotency-key", "once".parse().unwrap());
        berth.send(sent)
    };
    let replies = join_all((0..10).map(|_| keyed())).await;
    let ids: BTreeSet<_> = replies
        .iter()
        .map(|r| r.body["database"]["id"].to_string())
        .collect();
    assert!(replies.iter().all(|r| r.status == 201));
    assert_eq!(ids.len(), 1);
    let listed = berth.get("/v1/databases").await.expect(200);
    assert_eq!(listed["databases"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn changes_of_one_database_follow_each_other() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let tag = |n: usize| json!({"tags": {"n": n.to_string()}});
    let replies = join_all((0..10).map(|n| berth.patch("/v1/databases/orders", tag(n)))).await;
    assert!(replies.iter().all(|r| r.status == 200));
    let id = berth_domain::DatabaseId::parse(made["id"].as_str().unwrap()).unwrap();
    let row = berth.store.database_by_id(&id).await.unwrap().unwrap();
    assert_eq!(row.generation, 11);
    let both = join_all([
        berth.delete("/v1/databases/orders"),
        berth.delete("/v1/databases/orders"),
    ])
    .await;
    let gone = both.iter().filter(|r| r.status == 200).count();
    assert!(gone >= 1 && both.iter().all(|r| r.status == 200 || r.status == 404));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_no_commit_that_nobody_hears_of() {
    let berth = TestBerth::start().await;
    let commits = berth.store.watch_version();
    for number in 0..40_u32 {
        let body = postgres(&format!("db-{number}"));
        let asked = request(&berth.admin, Method::POST, "/v1/databases", Some(body));
        // Each one hangs up at another moment, so that all parts of the way are hit.
        let patience = std::time::Duration::from_micros(u64::from(number) * 100);
        if tokio::time::timeout(patience, berth.send(asked))
            .await
            .is_ok()
        {
            continue;
        }
        // Whoever writes next waits for what is still being committed.
        berth.store.begin().await.unwrap().rollback().await.unwrap();
        let version = berth.store.version().await.unwrap();
        let heard = async {
            commits
                .clone()
                .wait_for(|heard| *heard >= version)
                .await
                .map(|_| ())
        };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(10), heard).await;
        assert!(
            heard.is_ok(),
            "version {version} was committed and nobody heard of it"
        );
    }
}

#[tokio::test]
async fn who_waits_hears_when_the_operation_ends() {
    let berth = TestBerth::start().await;
    let made = berth.database(postgres("orders")).await;
    let path = format!(
        "/v1/operations/{}?wait=60",
        made["operation_id"].as_str().unwrap()
    );
    let patience = std::time::Duration::from_secs(30);
    let (waited, ()) = tokio::join!(
        tokio::time::timeout(patience, berth.get(&path)),
        berth.settle(made["id"].as_str().unwrap())
    );
    assert_eq!(waited.unwrap().expect(200)["state"], "succeeded");
}
