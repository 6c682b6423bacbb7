//! One store, one installation.

use serde_json::json;

use crate::harness::{Runtime, TestBerth};

/// What a start that has to fail says, in one sentence.
fn refused(berth: &TestBerth, arguments: &[&str], sentence: &str) {
    let ended = berth.served_again(arguments);
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{told}");
    assert!(told.contains(sentence), "{told}");
    let errors = told.lines().filter(|line| line.starts_with("berthd: "));
    assert_eq!(errors.count(), 1, "one sentence: {told}");
}

#[test]
fn a_store_is_refused_to_every_other_data_root() {
    let Some(mut owner) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let Some(mut other) = TestBerth::start(Runtime::Fake) else {
        return;
    };
    let wish = json!({"name": "orders", "engine": "postgresql"});
    let (status, answer) = owner.call("POST", "/v1/databases", Some(&wish));
    assert_eq!(status, 201, "{answer}");
    other.stop();

    let store = format!(
        "sqlite:{}",
        owner.data_root().join("berth.sqlite").display()
    );
    let key = owner.data_root().join("root.key").display().to_string();
    let with_key = ["--store", &store, "--root-key-file", &key];
    refused(&other, &with_key, "another berthd writes to this store");
    owner.get("/v1/databases/orders");
    owner.stop();
    let sentence = format!("the store belongs to installation {}", owner.installation());
    refused(&other, &with_key, &sentence);

    // The id of the installation is lost: that is told, and nothing is taken over.
    let file = owner.data_root().join("installation");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    refused(&owner, &[], &sentence);
    std::fs::write(&file, right).unwrap();

    // A key is not made beside an old store, whatever else is gone.
    let key_file = owner.data_root().join("root.key");
    let right = std::fs::read_to_string(&key_file).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    std::fs::remove_file(owner.data_root().join("ca.pem")).unwrap();
    refused(&owner, &[], "root.key is missing");
    assert!(!key_file.exists(), "no other key is made");
    std::fs::write(&key_file, right).unwrap();
    owner.resume();
    owner.get("/v1/databases/orders");
}
