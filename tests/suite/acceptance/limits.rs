//! What an installation has only so many of.

use serde_json::{Value as Json, json};

use crate::harness::{Docker, Runtime, TestBerth};

/// How many addresses the network of a project has in a range of 24 bits.
const ADDRESSES: usize = 61;

fn create(berth: &TestBerth, wish: &Json) -> (u16, Json) {
    berth.call("POST", "/v1/databases", Some(wish))
}

/// The codes and fields with which a dry run refuses each of the resources.
fn refusals(berth: &TestBerth, wishes: &[Json]) -> Vec<Vec<String>> {
    let resources: Vec<Json> = wishes
        .iter()
        .map(|wish| json!({"kind": "database", "config": wish}))
        .collect();
    let body = json!({"resources": resources});
    let (status, answer) = berth.call("POST", "/v1/plan", Some(&body));
    assert_eq!(status, 200, "{answer}");
    let told = answer["resources"].as_array().unwrap().iter();
    told.map(|resource| {
        let errors = resource["errors"].as_array().unwrap().iter();
        let field = |error: &Json| error["field"].as_str().unwrap_or_default().to_owned();
        errors.map(field).collect()
    })
    .collect()
}

#[test]
fn who_would_get_no_address_is_refused_at_plan_and_at_apply() {
    let arguments = ["--network-range", "10.231.5.0/24"];
    let Some(berth) = TestBerth::start_with(Runtime::Fake, Docker::default(), &arguments) else {
        return;
    };
    let pooled = |n: usize| json!({"name": format!("db-{n}"), "engine": "postgresql"});
    let alone = json!({"name": "alone", "engine": "postgresql", "pooler": {"enabled": false}});
    // One and a half are left: one with a pooler fits, and after it one without.
    for n in 1..ADDRESSES / 2 {
        let (status, answer) = create(&berth, &pooled(n));
        assert_eq!(status, 201, "{n}: {answer}");
    }
    let project_id = vec!["project_id".to_owned()];
    assert_eq!(
        refusals(&berth, &[pooled(90), pooled(91), alone.clone()]),
        [vec![], project_id.clone(), vec![]],
        "what stands earlier in the plan counts, unless it is refused"
    );
    let (status, answer) = create(&berth, &pooled(30));
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        refusals(&berth, &[pooled(31), alone.clone()]),
        [project_id, vec![]]
    );
    let (status, answer) = create(&berth, &pooled(31));
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["code"], "network_full", "{answer}");
    let (status, answer) = create(&berth, &alone);
    assert_eq!(status, 201, "{answer}");

    // It is full: its owner may still change what needs no further address, and no other.
    let patch = |wish: &Json| berth.call("PATCH", "/v1/databases/alone", Some(wish));
    let (status, answer) = patch(&json!({"storage_gb": 20}));
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = patch(&json!({"pooler": {"enabled": true}}));
    assert_eq!((status, &answer["code"]), (409, &json!("network_full")));
    let (status, answer) = berth.call("DELETE", "/v1/databases/db-1", None);
    assert!(status < 300, "{answer}");
    let (status, answer) = patch(&json!({"pooler": {"enabled": true}}));
    assert_eq!(status, 200, "{answer}");
}
