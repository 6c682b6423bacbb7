//! The bugs that providers commonly have, each as a test of what the framework does about it.

use berth_plugin::object::Object;
use berth_plugin::schema::{Attribute, Schema};
use berth_plugin::testing::{Action, Failure, Instance, TestHost};
use berth_plugin::types::Type;
use berth_plugin::value::Value;
use berth_plugin::wire::{json, msgpack};

use crate::anything::{Anything, Mistake, TYPE as ANYTHING, TestProvider};
use crate::ledger::{Ledger, Mood, SECRET, TYPE};

fn basic() -> Vec<(&'static str, Value)> {
    vec![("name", "orders".into()), ("kind", "journal".into())]
}

fn config(host: &TestHost, more: impl IntoIterator<Item = (&'static str, Value)>) -> Object {
    host.config(TYPE, basic().into_iter().chain(more)).unwrap()
}

async fn created(host: &TestHost, config: &Object) -> Instance {
    let mut instance = host.instance(TYPE);
    host.apply(&mut instance, config).await.unwrap();
    instance
}

fn state(instance: &Instance) -> &Object {
    instance.state.as_ref().unwrap()
}

fn told(failure: Failure) -> Vec<String> {
    let told = failure.diagnostics();
    assert!(!told.is_empty(), "{failure}");
    told.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn bug_1_an_empty_answer_for_nothing_stays_nothing() {
    let ledger = Ledger::default();
    ledger.mood(Mood::EmptyForNull);
    let host = ledger.host();
    let config = config(&host, []);
    let mut instance = created(&host, &config).await;
    host.refresh(&mut instance).await.unwrap();
    assert!(state(&instance).is_null("note").unwrap());
    assert!(state(&instance).is_null("tags").unwrap());
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
}

#[tokio::test]
async fn bug_1_reversed_an_empty_text_that_was_configured_stays_empty() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let config = config(&host, [("note", "".into())]);
    let mut instance = created(&host, &config).await;
    for object in ledger.server.lock().unwrap().objects.values_mut() {
        object.set("note", Value::Null).unwrap();
    }
    host.refresh(&mut instance).await.unwrap();
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
}

#[tokio::test]
async fn bug_2_a_value_for_an_attribute_that_is_not_computed_is_named() {
    // The name is required, so the plan may not make it unknown.
    let schema = crate::generate::schema(&mut crate::generate::Choices::new(&[]));
    let host = TestHost::new(TestProvider::of(Anything::new(
        schema,
        Mistake::ForgetsName,
    )))
    .unwrap();
    let config = host.config(ANYTHING, [("name", "x".into())]).unwrap();
    let failure = host
        .plan(&host.instance(ANYTHING), &config)
        .await
        .unwrap_err();
    let told = told(failure);
    assert!(
        told[0].starts_with("error at name: Provider planned an invalid change"),
        "{told:?}"
    );
}

#[tokio::test]
async fn bug_3_no_digit_of_a_number_is_lost() {
    let host = Ledger::default().host();
    for text in [
        "9007199254740993",
        "123456789.123456789",
        "1e30",
        "0.1",
        "3.141592653589793238",
        "-0.30000000000000004",
    ] {
        let number = Value::Number(text.parse().unwrap());
        let config = config(&host, [("size", number.clone())]);
        let mut instance = created(&host, &config).await;
        host.refresh(&mut instance).await.unwrap();
        assert_eq!(state(&instance).get("size").unwrap(), &number);
        // Planning passes the state through its stored form as well.
        assert_eq!(
            host.plan(&instance, &config).await.unwrap().action,
            Action::NoOp,
            "{text}"
        );
    }
}

#[tokio::test]
async fn bug_4_keeping_a_value_that_changes_is_caught_with_its_name() {
    let wrong = Ledger {
        keeps_etag: true,
        ..Ledger::default()
    };
    for (ledger, fine) in [(Ledger::default(), true), (wrong, false)] {
        let host = ledger.host();
        let mut instance = created(&host, &config(&host, [])).await;
        let changed = config(&host, [("note", "new".into())]);
        let outcome = host.apply(&mut instance, &changed).await;
        match outcome {
            Ok(_) => assert!(fine),
            Err(failure) => {
                assert!(!fine, "{failure}");
                assert!(told(failure)[0].starts_with("error at etag:"));
            }
        }
    }
}

#[tokio::test]
async fn bug_5_an_object_that_was_made_before_the_error_is_kept() {
    for mood in [Mood::FailsAfterCreate, Mood::PanicsAfterCreate] {
        let ledger = Ledger::default();
        ledger.mood(mood);
        let host = ledger.host();
        let config = config(&host, []);
        let mut instance = host.instance(TYPE);
        host.apply(&mut instance, &config).await.unwrap_err();
        assert_eq!(state(&instance).string("id"), Ok(Some("led_0")), "{mood:?}");
        assert!(state(&instance).is_null("etag").unwrap());
        assert!(instance.tainted);
        assert!(!instance.private.is_empty());
        assert_eq!(instance.identity, Some(Value::object([("id", "led_0")])));

        ledger.mood(Mood::Good);
        let plan = host.apply(&mut instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Replace);
        let left: Vec<_> = ledger
            .server
            .lock()
            .unwrap()
            .objects
            .keys()
            .cloned()
            .collect();
        assert_eq!(left, [state(&instance).require_string("id").unwrap()]);
    }
}

fn grants(users: &[&str]) -> Value {
    Value::list(users.iter().map(|user| Value::object([("user", *user)])))
}

#[tokio::test]
async fn bug_6_elements_of_a_set_keep_what_was_computed_for_them() {
    let host = Ledger::default().host();
    let mut instance = created(&host, &config(&host, [("grants", grants(&["ann", "bob"]))])).await;
    let tokens = |instance: &Instance| {
        let elements = state(instance)
            .elements("grants")
            .unwrap()
            .unwrap()
            .to_vec();
        let token = |element: &Value| {
            let grant = element.as_object().unwrap();
            grant.require_string("token").unwrap().to_owned()
        };
        elements.iter().map(token).collect::<Vec<_>>()
    };
    let before = tokens(&instance);

    let reordered = config(&host, [("grants", grants(&["bob", "ann"]))]);
    assert_eq!(
        host.plan(&instance, &reordered).await.unwrap().action,
        Action::NoOp
    );

    let more = config(&host, [("grants", grants(&["cid", "ann", "bob"]))]);
    host.apply(&mut instance, &more).await.unwrap();
    let after = tokens(&instance);
    assert_eq!(after.len(), 3);
    assert!(
        before.iter().all(|token| after.contains(token)),
        "{before:?} {after:?}"
    );

    let changed = config(&host, [("grants", grants(&["ann", "dan"]))]);
    host.apply(&mut instance, &changed).await.unwrap();
    let last = tokens(&instance);
    assert!(
        last.contains(&before[0]) && !last.contains(&before[1]),
        "{last:?}"
    );
}

#[tokio::test]
async fn bug_7_an_identity_is_filled_in_and_never_changes() {
    let host = Ledger::default().host();
    let mut instance = created(&host, &config(&host, [])).await;
    let identity = instance.identity.take();
    assert!(identity.is_some());
    host.refresh(&mut instance).await.unwrap();
    assert_eq!(
        instance.identity, identity,
        "an old state without identity gets one"
    );
    let changed = config(&host, [("note", "new".into())]);
    host.apply(&mut instance, &changed).await.unwrap();
    assert_eq!(instance.identity, identity);
}

#[tokio::test]
async fn bug_7_a_failed_update_keeps_the_identity() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let mut instance = created(&host, &config(&host, [])).await;
    let before = instance.clone();
    ledger.mood(Mood::FailsHalfwayThroughUpdate);
    let changed = config(&host, [("name", "renamed".into()), ("note", "new".into())]);
    host.apply(&mut instance, &changed).await.unwrap_err();
    assert_eq!(instance.identity, before.identity);
    assert_eq!(instance.private, before.private);
    assert_eq!(state(&instance).string("name"), Ok(Some("renamed")));
    assert!(state(&instance).is_null("note").unwrap());
    assert!(!instance.tainted);
}

#[tokio::test]
async fn bug_9_an_object_that_is_gone_is_planned_anew() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let config = config(&host, []);
    let mut instance = created(&host, &config).await;
    ledger.server.lock().unwrap().objects.clear();
    host.refresh(&mut instance).await.unwrap();
    assert_eq!(instance.state, None);
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::Create
    );
}

#[tokio::test]
async fn bug_9_a_read_that_only_sets_the_state_keeps_private_data_and_identity() {
    let host = Ledger::default().host();
    let mut instance = created(&host, &config(&host, [])).await;
    let before = instance.clone();
    host.refresh(&mut instance).await.unwrap();
    assert!(!before.private.is_empty());
    assert_eq!(
        (instance.private, instance.identity),
        (before.private, before.identity)
    );
}

#[tokio::test]
async fn bug_10_what_is_known_early_stays_when_more_is_known() {
    let host = Ledger::default().host();
    let vague = config(&host, [("note", Value::unknown())]);
    let clear = config(&host, [("note", "known now".into())]);
    let mut instance = host.instance(TYPE);
    let plan = host.plan(&instance, &vague).await.unwrap();
    assert_eq!(plan.planned.as_ref().unwrap().integer("size"), Ok(Some(10)));
    assert!(plan.planned.as_ref().unwrap().is_unknown("note").unwrap());
    host.apply_plan(&mut instance, &plan, &clear).await.unwrap();
    assert_eq!(state(&instance).string("note"), Ok(Some("known now")));
}

#[tokio::test]
async fn bug_11_what_the_provider_decides_cannot_be_configured() {
    let host = Ledger::default().host();
    let root = config(&host, [("id", "mine".into())]);
    let failure = host.validate(TYPE, &root).await.unwrap_err();
    assert!(told(failure)[0].starts_with("error at id: Read-only attribute"));
    let nested = Value::object([("made", "mine")]);
    let failure = host
        .validate(TYPE, &config(&host, [("settings", nested)]))
        .await
        .unwrap_err();
    assert!(told(failure)[0].starts_with("error at settings.made: Read-only attribute"));
}

#[tokio::test]
async fn bug_11_null_does_not_reach_a_required_attribute() {
    let host = Ledger::default().host();
    let nameless = host.config(TYPE, [("kind", "journal".into())]).unwrap();
    let failure = host.validate(TYPE, &nameless).await.unwrap_err();
    assert!(told(failure)[0].starts_with("error at name: Missing required value"));
    let userless = Value::list([Value::object([("user", Value::Null)])]);
    let failure = host
        .validate(TYPE, &config(&host, [("grants", userless)]))
        .await
        .unwrap_err();
    assert!(told(failure)[0].starts_with("error at grants: Missing required value"));
}

#[tokio::test]
async fn bug_12_another_spelling_of_the_same_is_no_change() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let config = config(&host, [("label", "Big Blue".into())]);
    let mut instance = created(&host, &config).await;
    assert_eq!(state(&instance).string("label"), Ok(Some("Big Blue")));
    host.refresh(&mut instance).await.unwrap();
    assert_eq!(state(&instance).string("label"), Ok(Some("Big Blue")));
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
}

#[tokio::test]
async fn bug_12_another_unicode_form_of_the_same_is_no_change() {
    let ledger = Ledger::default();
    ledger.mood(Mood::Decomposes);
    let host = ledger.host();
    let config = config(&host, [("name", "café".into())]);
    let mut instance = created(&host, &config).await;
    host.refresh(&mut instance).await.unwrap();
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
}

#[tokio::test]
async fn bug_13_a_write_only_value_reaches_no_plan_and_no_state() {
    for mood in [Mood::Good, Mood::FailsAfterCreate] {
        let ledger = Ledger {
            copies_config: true,
            ..Ledger::default()
        };
        ledger.mood(mood);
        let host = ledger.host();
        let secret = [("secret_wo", SECRET.into()), ("secret_version", 1.into())];
        let config = config(&host, secret);
        let mut instance = host.instance(TYPE);
        let plan = host.plan(&instance, &config).await.unwrap();
        let outcome = host.apply_plan(&mut instance, &plan, &config).await;
        assert_eq!(outcome.is_err(), mood == Mood::FailsAfterCreate);
        assert!(instance.state.is_some());
        let seen = format!("{plan:?} {instance:?} {outcome:?}");
        assert!(!seen.contains(SECRET), "{seen}");
    }
}

#[tokio::test]
async fn bug_13_a_host_that_would_store_the_value_is_told_so() {
    let host = Ledger::default().host().without_write_only();
    let secret = [("secret_wo", SECRET.into()), ("secret_version", 1.into())];
    let failure = host
        .validate(TYPE, &config(&host, secret))
        .await
        .unwrap_err();
    let told = told(failure);
    assert!(told[0].starts_with("error at secret_wo: Write-only attribute not supported"));
    assert!(!told[0].contains(SECRET));
    host.validate(TYPE, &config(&host, [])).await.unwrap();
}

#[tokio::test]
async fn bug_15_a_panic_is_an_error_and_nothing_is_lost() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let config = config(&host, []);
    let mut instance = created(&host, &config).await;
    let before = instance.clone();
    ledger.mood(Mood::Panics);
    let validated = host.validate(TYPE, &config).await.unwrap_err();
    let planned = host.plan_destroy(&instance).await.unwrap_err();
    let refreshed = host.refresh(&mut instance).await.unwrap_err();
    for failure in [validated, planned, refreshed] {
        let told = told(failure);
        assert!(
            told[0].starts_with("error: Provider failed unexpectedly"),
            "{told:?}"
        );
        assert!(!told[0].contains("bad mood"), "a panic may carry any value");
    }
    assert_eq!(instance, before);
    ledger.mood(Mood::Good);
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
}

#[tokio::test]
async fn bug_15_a_delete_that_fails_keeps_everything() {
    let ledger = Ledger::default();
    let host = ledger.host();
    let mut instance = created(&host, &config(&host, [])).await;
    let before = instance.clone();
    ledger.mood(Mood::RefusesDelete);
    host.destroy(&mut instance).await.unwrap_err();
    assert_eq!(instance, before);
    ledger.mood(Mood::Good);
    host.destroy(&mut instance).await.unwrap();
    assert_eq!(instance.state, None);
}

#[tokio::test]
async fn bug_15_after_a_stop_the_provider_goes_on() {
    let host = Ledger::default().host();
    host.server().stop();
    let instance = created(&host, &config(&host, [])).await;
    assert!(instance.state.is_some());
}

#[tokio::test]
async fn bug_15_an_answer_that_cannot_be_decoded_costs_no_object() {
    let schema = Schema::new([
        Attribute::string("id").computed().keep_prior(),
        Attribute::string("name").required(),
        Attribute::string("derived").computed(),
    ]);
    let provider = TestProvider::of(Anything::new(schema, Mistake::WrongType));
    let host = TestHost::new(provider).unwrap();
    let config = host.config(ANYTHING, [("name", "x".into())]).unwrap();
    let mut instance = host.instance(ANYTHING);
    let failure = host.apply(&mut instance, &config).await.unwrap_err();
    assert!(told(failure)[0].starts_with("error at name: Provider returned an invalid object"));
    assert_eq!(state(&instance).string("id"), Ok(Some("made-0")));
    assert_eq!(state(&instance).string("name"), Ok(Some("x")));
    assert!(instance.tainted);
}

/// Twenty megabytes in one attribute, through every step; the transport has its own test.
#[tokio::test]
async fn bug_8_a_large_value_passes() {
    let host = Ledger::default().host();
    let config = config(&host, [("note", "x".repeat(20 << 20).into())]);
    let instance = created(&host, &config).await;
    assert_eq!(
        host.plan(&instance, &config).await.unwrap().action,
        Action::NoOp
    );
    let text = json::object_to_json(state(&instance)).to_string();
    assert!(text.len() > 20 << 20);
    let bytes = msgpack::encode(&"x".repeat(20 << 20).into(), &Type::String).unwrap();
    assert_eq!(bytes.len(), (20 << 20) + 5);
}
