//! Where a password is, and where it is not.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{shop, stage};
use crate::harness::{Stack, flat};

/// The files below `folder` that have `needle` in them, as it is or in base64.
fn holders(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if std::fs::read(&path).is_ok_and(|bytes| has(&bytes, needle)) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
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
    stack.run(&["plan", "-no-color", "-out=saved.plan"]).ok();
    stack.run(&["apply", "-no-color", "saved.plan"]).ok();
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
    // The search finds it where it was put on purpose, and nowhere else.
    assert_eq!(holders(stack.folder(), password), ["handed-over"]);
    assert_eq!(holders(stack.folder(), &berth.token()), [""; 0]);
    assert!(!berth.log().contains(password));
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(
        logged.contains("berthd answered"),
        "the provider's own log is in there"
    );
    stack.destroy().ok();
}
