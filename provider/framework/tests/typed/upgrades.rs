//! States that an older provider wrote.

use berth_plugin::object::Object;
use berth_plugin::value::Value;

use crate::ledger::{Ledger, TYPE};

async fn upgraded(version: i64, raw: &str) -> Result<Object, String> {
    let host = Ledger::default().host();
    let (value, told) = host
        .server()
        .upgrade_resource(TYPE, version, raw.as_bytes())
        .await;
    match value {
        Value::Object(object) if !told.has_errors() => Ok(object),
        Value::Null if told.has_errors() => Err(told.to_string()),
        other => panic!("{other:?} with {told}"),
    }
}

#[tokio::test]
async fn bug_14_every_old_version_goes_straight_to_the_current_one() {
    let oldest =
        r#"{"id": "led_9", "title": "orders", "big": "9007199254740993", "colour": "red"}"#;
    let object = upgraded(0, oldest).await.unwrap();
    assert_eq!(object.string("name"), Ok(Some("orders")));
    assert_eq!(object.integer("size"), Ok(Some(9_007_199_254_740_993)));

    let older =
        r#"{"id": "led_9", "name": "orders", "size": 3.141592653589793238, "colour": "red"}"#;
    let object = upgraded(1, older).await.unwrap();
    assert_eq!(object.string("kind"), Ok(Some("account")));
    let pi = "3.141592653589793238".parse().unwrap();
    assert_eq!(object.number("size"), Ok(Some(&pi)));
}

#[tokio::test]
async fn bug_14_an_attribute_that_is_gone_does_not_block_the_same_version() {
    let extra = r#"{"id": "led_9", "name": "orders", "gone": {"a": [1]}, "secret_wo": "x"}"#;
    let object = upgraded(2, extra).await.unwrap();
    assert_eq!(object.string("name"), Ok(Some("orders")));
    assert!(object.is_null("secret_wo").unwrap());
}

#[tokio::test]
async fn bug_14_what_cannot_be_upgraded_says_why() {
    let missing = upgraded(-1, "{}").await.unwrap_err();
    assert!(
        missing.contains("from version -1 to version 2"),
        "{missing}"
    );
    let leftover = upgraded(1, r#"{"name": "x", "taste": "salty"}"#)
        .await
        .unwrap_err();
    assert!(leftover.contains("no attribute \"taste\""), "{leftover}");
    for raw in ["", "null", "[]", "{"] {
        assert!(upgraded(1, raw).await.is_err(), "{raw}");
    }
}
