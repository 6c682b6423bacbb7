//! A backend that is away, slow, strange or strict, seen through the real client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{shop, stage};
use crate::harness::{Moment, Proxy, Stack, Verdict, flat, not_to_be_had};

#[test]
fn a_backend_that_is_down_is_named() {
    let Some((mut berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    berth.stop();
    let refused = flat(&stack.plan().refused());
    assert!(refused.contains("berthd cannot be reached"), "{refused}");
    assert!(refused.contains(berth.address()), "{refused}");
}

#[test]
fn a_wrong_token_is_told() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    let wrong = Stack::new(&berth)
        .unwrap()
        .with_token("not-a-token-of-anyone");
    wrong.write(&shop(""));
    let refused = flat(&wrong.plan().refused());
    assert!(refused.contains("Token not accepted"), "{refused}");
    assert!(!refused.contains("not-a-token-of-anyone"), "{refused}");
}

#[test]
fn faults_in_between_are_outlasted() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    // The first try of each request fails: unanswered, told to wait, answered by an error.
    let proxy = Proxy::start(berth.address(), |number, moment, request| {
        let wait = ("retry-after".to_owned(), "0".to_owned());
        let body =
            "{\"error\":\"x\",\"code\":\"x\",\"request_id\":\"r\",\"details\":[]}".to_owned();
        match (number % 6, moment) {
            (1, Moment::Before) if request.starts_with("GET") => Verdict::Cut,
            (3, Moment::Before) => Verdict::Answer(429, vec![wait], body),
            (5, Moment::After) if request.starts_with("GET") || request.starts_with("POST") => {
                Verdict::Answer(503, vec![wait], body)
            }
            _ => Verdict::Pass,
        }
    });
    stack.goes_to(proxy.endpoint());
    stack.write(&shop(""));
    stack.apply().ok();
    stack.assert_settled();
    assert_eq!(berth.databases().len(), 1);
    stack.destroy().ok();
    assert!(berth.databases().is_empty());
}

#[test]
fn a_slow_backend_is_waited_for() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let proxy = Proxy::start(berth.address(), |_, moment, _| {
        if moment == Moment::Before {
            std::thread::sleep(Duration::from_millis(700));
        }
        Verdict::Pass
    });
    stack.goes_to(proxy.endpoint());
    stack.write(&shop(""));
    stack.apply().ok();
    stack.assert_settled();
    stack.destroy().ok();
}

#[test]
fn refresh_asks_seldom() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let many = "resource \"berth_project\" \"many\" {\n count = 30\n name = \"many-${count.index}\"\n deletion_protection = false\n}";
    stack.write(many);
    stack.apply().ok();
    let proxy = Proxy::start(berth.address(), |_, _, _| Verdict::Pass);
    stack.goes_to(proxy.endpoint());
    assert_eq!(stack.plan().code, Some(0));
    assert_eq!(
        proxy.seen(),
        ["GET /v1/version", "GET /v1/snapshot?kind=project"]
    );
    stack.goes_to(berth.endpoint());
    stack.destroy().ok();
}

#[test]
fn an_interrupted_create_leaves_its_id() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let interrupt = stack.interrupter();
    let interrupted = AtomicBool::new(false);
    // The wait for the database hangs, and its user loses patience.
    let proxy = Proxy::start(berth.address(), move |_, moment, request| {
        if request.starts_with("GET /v1/operations") && moment == Moment::Before {
            if !interrupted.swap(true, Ordering::SeqCst) {
                interrupt();
            }
            std::thread::sleep(Duration::from_secs(30));
        }
        Verdict::Pass
    });
    stack.goes_to(proxy.endpoint());
    stack.write(&shop(""));
    let ran = stack.apply();
    if ran.code.is_none() {
        not_to_be_had("this client dies of an interrupt instead of passing it on");
        return;
    }
    let refused = flat(&ran.refused());
    assert!(refused.contains("was stopped"), "{refused}");
    let left = stack.resource("berth_database.orders")["id"].clone();
    assert_eq!(left, berth.databases()[0]["id"]);

    stack.goes_to(berth.endpoint());
    stack.apply().ok();
    stack.assert_settled();
    assert_eq!(berth.databases().len(), 1);
    stack.destroy().ok();
}

#[test]
fn a_token_that_may_only_plan_plans_and_changes_nothing() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let wanted = serde_json::json!({"name": "review", "preset": "plan"});
    let (status, made) = berth.call("POST", "/v1/tokens", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let reviewer = Stack::new(&berth).unwrap();
    let reviewer = reviewer.with_token(made["secret"].as_str().unwrap());
    reviewer.write(&shop(""));
    assert_eq!(reviewer.plan().code, Some(2));
    let refused = flat(&reviewer.apply().refused());
    assert!(refused.contains("Not allowed"), "{refused}");
    assert!(berth.databases().is_empty() && berth.projects().is_empty());

    // What exists hands out values that open nothing, so that its plan is whole all the same.
    let with_login = format!(
        "{}ephemeral \"berth_database_credentials\" \"orders\" {{\n database_id = berth_database.orders.id\n}}\n",
        shop("")
    );
    stack.write(&with_login);
    stack.apply().ok();
    reviewer.write(&with_login);
    let state = std::fs::read(stack.folder().join("terraform.tfstate")).unwrap();
    std::fs::write(reviewer.folder().join("terraform.tfstate"), state).unwrap();
    let plan = reviewer.plan();
    assert_eq!(plan.code, Some(0), "{}", plan.output);
    assert!(
        flat(&plan.output).contains("open nothing"),
        "{}",
        plan.output
    );
    stack.destroy().ok();
}
