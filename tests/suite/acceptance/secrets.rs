//! Where a password is, and where it is not.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{shop, stage};
use crate::harness::needles::{self, Search};
use crate::harness::places::{Place, archives, files};
use crate::harness::{Stack, TestBerth, flat};

/// All that a run leaves: the client's folder, what is in its plan files, berthd's log.
fn left(stack: &Stack, berth: &TestBerth) -> Vec<Place> {
    let mut places = files(stack.folder());
    places.extend(archives(stack.folder()));
    places.push(Place::new("berthd's log", berth.log()));
    places
}

/// Which secret stands where, and in which form.
fn found(search: &Search, places: &[Place]) -> BTreeSet<String> {
    let in_place = |place: &Place| {
        let name = place.name.rsplit('/').next().unwrap().to_owned();
        let hits: Vec<_> = search.hits(&place.bytes).collect();
        hits.into_iter()
            .map(|needle| format!("{} ({}) in {name}", needle.secret, needle.form))
            .collect::<Vec<_>>()
    };
    places.iter().flat_map(in_place).collect()
}

/// The search finds a password that was put on purpose, also in base64 and in a plan file, and
/// the plan files were really looked into.
fn assert_the_search_works(search: &Search, stack: &Stack, berth: &TestBerth, password: &str) {
    let opened = |place: &Place| {
        place.name.contains("saved.plan!") && needles::holds(&place.bytes, "app_orders")
    };
    assert!(left(stack, berth).iter().any(opened), "the plan was opened");
    let planted = stack.folder().join("planted");
    for before in ["u:", "me:", "you:"] {
        let encoded = needles::base64(format!("{before}{password}").as_bytes());
        std::fs::write(&planted, encoded).unwrap();
        let hits = found(search, &left(stack, berth));
        assert!(hits.contains("password (base64) in planted"), "{hits:?}");
    }
    std::fs::remove_file(&planted).unwrap();
}

#[test]
fn a_state_has_the_real_password_or_none() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let wanted = json!({"name": "writer", "scopes": ["read", "plan", "write"]});
    let (status, made) = berth.call("POST", "/v1/tokens", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let writer = Stack::new(&berth).unwrap();
    let writer = writer.with_token(made["secret"].as_str().unwrap());
    let config = shop("expose = true\n expose_credentials_in_state = true");
    writer.write(&config);
    let told = flat(&writer.apply().ok());
    assert!(
        told.contains("The credentials of orders are not in"),
        "{told}"
    );
    let state = writer.resource("berth_database.orders");
    for name in ["password", "uri", "pooled_uri"] {
        assert_eq!(state[name], Json::Null, "{name}");
    }

    // Whoever may read them finds out by the next plan.
    let file = "terraform.tfstate";
    let state = std::fs::read(writer.folder().join(file)).unwrap();
    std::fs::write(stack.folder().join(file), state).unwrap();
    stack.write(&config);
    let agrees = || {
        stack.apply().ok();
        stack.assert_settled();
        let state = stack.resource("berth_database.orders");
        let path = format!("/v1/databases/{}", state["id"].as_str().unwrap());
        let right = berth.get(&format!("{path}/credentials"));
        for name in ["password", "uri", "pooled_uri"] {
            assert_eq!(state[name], right[name], "{name}");
        }
        (path, state["public_port"].as_u64().unwrap())
    };
    let (path, port) = agrees();
    let moved = json!({"public_port": port + 7});
    let (status, body) = berth.call("PATCH", &path, Some(&moved));
    assert!(status < 300, "{body}");
    assert_eq!(agrees().1, port + 7);
    stack.destroy().ok();
}

#[test]
fn a_password_is_handed_over_and_stands_nowhere() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let log = stack.folder().join("client.log");
    let stack = stack
        .with_variable("TF_LOG", "TRACE")
        .with_variable("TF_LOG_PATH", log.to_str().unwrap());
    let proof = stack.folder().join("handed-over");
    stack.write(&format!(
        r#"{}
ephemeral "berth_database_credentials" "orders" {{
  database_id = berth_database.orders.id
}}
resource "terraform_data" "proof" {{
  triggers_replace = [berth_database.orders.id]
  provisioner "local-exec" {{
    command     = "printf %s \"$BERTH_PASSWORD\" > {}"
    environment = {{ BERTH_PASSWORD = ephemeral.berth_database_credentials.orders.password }}
  }}
}}
"#,
        shop(""),
        proof.display()
    ));
    stack.run(&["plan", "-no-color", "-out=first.plan"]).ok();
    stack.run(&["apply", "-no-color", "first.plan"]).ok();
    // The database is there now, so that this plan has its password in hand.
    stack.run(&["plan", "-no-color", "-out=saved.plan"]).ok();
    let id = stack.resource("berth_database.orders")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let credentials = berth.get(&format!("/v1/databases/{id}/credentials"));
    let password = credentials["password"].as_str().unwrap();
    assert_eq!(
        std::fs::read_to_string(&proof).unwrap(),
        password,
        "it was handed over"
    );
    let mut search = Search::default();
    search.add("password", password);
    search.add("token", &berth.token());
    // It stands where it was put on purpose, and nowhere else.
    let expected = BTreeSet::from(["password (plain) in handed-over".to_owned()]);
    assert_eq!(found(&search, &left(&stack, &berth)), expected);
    assert_the_search_works(&search, &stack, &berth, password);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(
        logged.contains("berthd answered"),
        "the provider's own log is in there"
    );
    stack.destroy().ok();
}
