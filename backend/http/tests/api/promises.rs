//! Plan and apply over random wishes: what is planned is what is answered, through the whole
//! stack and for every attribute.

use crate::support::TestBerth;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Wishes that mostly hold, each with a chance to be refused.
fn wishes() -> impl Strategy<Value = Map<String, Value>> {
    fn of(name: &'static str, values: Vec<Value>) -> BoxedStrategy<Option<(String, Value)>> {
        prop_oneof![
            1 => Just(None),
            1 => prop::sample::select(values).prop_map(move |v| Some((name.to_owned(), v))),
        ]
        .boxed()
    }
    let fields = vec![
        of(
            "version",
            vec![json!("15"), json!("17"), json!("99"), json!(null)],
        ),
        of(
            "plan",
            vec![json!("small"), json!("tiny"), json!("large"), json!(null)],
        ),
        of("region", vec![json!("local"), json!("nyc1")]),
        of(
            "storage_gb",
            vec![json!(5), json!(10), json!(20), json!(501)],
        ),
        of("desired_status", vec![json!("running"), json!("stopped")]),
        of(
            "pooler",
            vec![
                json!({"mode": "session"}),
                json!({"enabled": false}),
                json!({"default_pool_size": 25, "reserve_pool_size": 2}),
                json!({"default_pool_size": 99}),
                json!({"parameters": {"query_timeout": "5"}, "server_idle_timeout_seconds": 60}),
                json!(null),
            ],
        ),
        of("credential_version", vec![json!(1), json!(2), json!(3)]),
        of("expose", vec![json!(true), json!(false)]),
        of(
            "public_port",
            vec![json!(15_000), json!(15_001), json!(16_000)],
        ),
        of(
            "allow_list",
            vec![json!(["10.0.0.0/8", "192.0.2.1/32"]), json!([])],
        ),
        of("tls_mode", vec![json!("allow"), json!("require")]),
        of("recovery_window_days", vec![json!(0), json!(7), json!(30)]),
        of("tags", vec![json!({"a": "b"}), json!({})]),
        of("database_name", vec![json!("orders"), json!("shop")]),
        of("username", vec![json!("app_orders"), json!("shop")]),
    ];
    fields.prop_map(|fields| fields.into_iter().flatten().collect())
}

/// The words of a row that a provider writes again when its user leaves them out.
const STICKY: [&str; 9] = [
    "project_id",
    "engine",
    "version",
    "plan",
    "region",
    "storage_gb",
    "database_name",
    "username",
    "credential_version",
];

fn agree(planned: &Value, answered: &Value) -> Result<(), TestCaseError> {
    let planned = planned["planned"].as_object().unwrap();
    prop_assert!(planned.len() > 25);
    for (field, value) in planned {
        prop_assert_eq!(&answered[field], value, "{}", field);
    }
    Ok(())
}

async fn hold(create: Map<String, Value>, change: Map<String, Value>) -> Result<(), TestCaseError> {
    let berth = TestBerth::start().await;
    let mut config = create;
    config.insert("name".to_owned(), json!("orders"));
    config.insert("engine".to_owned(), json!("postgresql"));
    let item = json!({"kind": "database", "config": config});
    let planned = berth.plan_one(&berth.admin, item).await;
    let reply = berth
        .post("/v1/databases", Value::Object(config.clone()))
        .await;
    prop_assert_eq!(
        planned["errors"] == json!([]),
        reply.status == 201,
        "{} {}",
        planned,
        reply.text
    );
    if reply.status != 201 {
        prop_assert_eq!(&planned["errors"], &reply.body["details"]);
        return Ok(());
    }
    let made = reply.body["database"].clone();
    agree(&planned, &made)?;

    // What a provider does with a change: the whole wish at plan, the differing fields at apply.
    let mut whole = change;
    whole.insert("name".to_owned(), json!("orders"));
    for field in STICKY {
        whole.entry(field).or_insert_with(|| made[field].clone());
    }
    if made["expose"] == json!(true) && whole.get("expose") == Some(&json!(true)) {
        whole
            .entry("public_port")
            .or_insert_with(|| made["public_port"].clone());
    }
    let item = json!({"kind": "database", "id": made["id"], "config": whole});
    let planned = berth.plan_one(&berth.admin, item).await;
    if planned["errors"] != json!([]) {
        let refused = berth
            .patch("/v1/databases/orders", Value::Object(whole))
            .await;
        prop_assert!(
            refused.status.is_client_error(),
            "{} {}",
            planned,
            refused.text
        );
        return Ok(());
    }
    let differing: Map<String, Value> = planned["planned"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(field, value)| made[*field] != **value && !DERIVED.contains(&field.as_str()))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    let changed = berth
        .patch("/v1/databases/orders", Value::Object(differing))
        .await;
    prop_assert_eq!(changed.status.as_u16(), 200, "{} {}", planned, changed.text);
    agree(&planned, &changed.body["database"])
}

/// Attributes that nobody orders.
const DERIVED: [&str; 6] = [
    "host",
    "pooler_host",
    "pooler_port",
    "public_host",
    "uri_template",
    "technology",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_planned_is_what_is_answered(create in wishes(), change in wishes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(hold(create, change))?;
    }
}
