//! A backend that is away, slow, strange or strict, seen through the real client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value as Json;

use super::{shop, stage};
use crate::harness::{Moment, Proxy, Stack, TestBerth, Verdict, flat};

/// How long a run may take to order a database.
const ORDER_SECONDS_MAX: u64 = 120;
/// How long berthd is away: longer than one request is sent again and again.
const AWAY_SECONDS: u64 = 5;

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
fn a_restart_of_berthd_during_a_create_is_outlasted() {
    let Some((mut berth, stack)) = stage() else {
        return;
    };
    let back = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    let is_back = Arc::clone(&back);
    let proxy = Proxy::start(berth.address(), move |_, moment, request| {
        let waits = request.starts_with("GET /v1/operations") && moment == Moment::Before;
        if !waits || is_back.load(Ordering::SeqCst) {
            return Verdict::Pass;
        }
        let _ = tell.send(());
        Verdict::Cut
    });
    stack.goes_to(proxy.endpoint());
    stack.write(&shop(""));
    let applied = std::thread::scope(|scope| {
        let run = scope.spawn(|| stack.apply());
        let patience = Duration::from_secs(ORDER_SECONDS_MAX);
        told.recv_timeout(patience).unwrap();
        berth.kill();
        std::thread::sleep(Duration::from_secs(AWAY_SECONDS));
        berth.resume();
        back.store(true, Ordering::SeqCst);
        run.join().unwrap()
    });
    applied.ok();
    stack.goes_to(berth.endpoint());
    stack.assert_settled();
    let made = berth.databases();
    assert_eq!((made.len(), &made[0]["claimed"]), (1, &true.into()));
    assert_eq!(made[0]["id"], stack.resource("berth_database.orders")["id"]);
    stack.destroy().ok();
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
    assert!(ran.code.is_some(), "the client died of it:\n{}", ran.output);
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

/// A way to berthd on which no operation is seen to end within the second that is granted.
fn slow(berth: &TestBerth) -> Proxy {
    Proxy::start(berth.address(), |_, moment, request| {
        if request.starts_with("GET /v1/operations") && moment == Moment::Before {
            std::thread::sleep(Duration::from_secs(5));
        }
        Verdict::Pass
    })
}

/// A database that is given a second to be made.
fn hasty(more: &str) -> String {
    format!(
        "resource \"berth_database\" \"orders\" {{\n name = \"orders\"\n engine = \"postgresql\"\n \
         timeouts {{\n create = \"1s\"\n }}\n {more}\n}}\n"
    )
}

#[test]
fn a_protected_create_that_times_out_is_made_anew() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let proxy = slow(&berth);
    stack.goes_to(proxy.endpoint());
    stack.write(&hasty(""));
    let refused = flat(&stack.apply().refused());
    assert!(refused.contains("not finished after 1 second"), "{refused}");
    assert!(refused.contains("untaint ADDRESS"), "{refused}");
    let left = berth.databases();
    assert_eq!((left.len(), &left[0]["claimed"]), (1, &false.into()));

    stack.goes_to(berth.endpoint());
    stack.write(&hasty("").replace("1s", "5m"));
    let told = flat(&stack.apply().ok());
    assert!(told.contains("nobody has taken it over"), "{told}");
    assert!(!told.contains("instead of made twice"), "{told}");
    stack.assert_settled();
    let made = berth.databases();
    assert_eq!((made.len(), &made[0]["claimed"]), (1, &true.into()));
    assert_ne!(made[0]["id"], left[0]["id"]);
    let first = berth.get(&format!(
        "/v1/databases/{}",
        left[0]["id"].as_str().unwrap()
    ));
    assert!(
        first["database"]["recoverable_until"].is_string(),
        "{first}"
    );
}

#[test]
fn a_create_that_times_out_and_is_untainted_is_taken_over_and_protected() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let proxy = slow(&berth);
    stack.goes_to(proxy.endpoint());
    stack.write(&hasty(""));
    stack.apply().refused();
    stack.goes_to(berth.endpoint());
    stack.run(&["untaint", "berth_database.orders"]).ok();
    let plan = stack.plan();
    assert_eq!(plan.code, Some(2), "{}", plan.output);
    let told = flat(&plan.output);
    assert!(told.contains("orders is not taken over yet"), "{told}");
    assert!(told.contains("0 to destroy"), "{told}");
    stack.apply().ok();
    stack.assert_settled();
    let left = berth.databases();
    assert_eq!((left.len(), &left[0]["claimed"]), (1, &true.into()));
    let refused = flat(&stack.destroy().refused());
    assert!(refused.contains("is protected"), "{refused}");
}

#[test]
fn a_restore_that_times_out_loses_nothing() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let off = "deletion_protection = false";
    stack.write(&hasty(off).replace("1s", "5m"));
    stack.apply().ok();
    let id = berth.databases()[0]["id"].as_str().unwrap().to_owned();
    stack.destroy().ok();
    let row = || berth.get(&format!("/v1/databases/{id}"))["database"].clone();
    let until = row()["recoverable_until"].clone();
    assert!(until.is_string());

    let restoring = hasty(&format!(
        "{off}\n recovery_window_days = 0\n restore_from = {{ deleted_database_id = {id:?} }}"
    ));
    let proxy = slow(&berth);
    let times_out = || {
        stack.goes_to(proxy.endpoint());
        stack.write(&restoring);
        let refused = flat(&stack.apply().refused());
        assert!(refused.contains("not finished after 1 second"), "{refused}");
        assert_eq!(
            (&row()["claimed"], &row()["recoverable_until"]),
            (&false.into(), &Json::Null)
        );
        stack.goes_to(berth.endpoint());
        stack.write(&restoring.replace("1s", "5m"));
    };
    // Given up, it is in the trash as it was before.
    times_out();
    stack.destroy().ok();
    assert_eq!(
        (&row()["status"], &row()["recoverable_until"]),
        (&"destroyed".into(), &until)
    );
    // Tried again, it is the same database.
    times_out();
    let told = flat(&stack.apply().ok());
    assert!(told.contains("former recovery window"), "{told}");
    stack.assert_settled();
    assert_eq!(berth.databases().len(), 1);
    assert_eq!(
        (&row()["status"], &row()["claimed"]),
        (&"running".into(), &true.into())
    );
    stack.destroy().ok();
}
