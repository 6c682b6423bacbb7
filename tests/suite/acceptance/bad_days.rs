//! A backend that is away, slow, strange or strict, seen through the real client.

use std::time::Duration;

use super::{shop, stage};
use crate::harness::{Moment, Proxy, Stack, Verdict, flat};

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
