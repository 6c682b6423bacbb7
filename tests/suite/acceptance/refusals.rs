//! Wrong arguments are refused before anything is changed, with the right word.

use super::{shop, stage};
use crate::harness::flat;

#[test]
fn what_the_catalogue_does_not_have_is_refused_with_what_it_has() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let cases = [
        ("version = \"9\"", "version", "17"),
        ("plan = \"db-s-1vcpu-1g\"", "plan", "db-s-1vcpu-1gb"),
        ("region = \"lokal\"", "region", "local"),
        ("storage_gb = 20000", "storage_gb", "from 1 to 16384"),
        ("public_port = 80\n expose = true", "public_port", "15000"),
        ("allow_list = [\"10.1.2.3/8\"]", "allow_list", "10.0.0.0/8"),
        ("pooler = { mode = \"statment\" }", "", "statement"),
        ("tls_mode = \"requires\"", "tls_mode", "require"),
        ("host = \"mine\"", "host", "Read-only"),
    ];
    for (argument, name, expected) in cases {
        stack.write(&shop(argument));
        let refused = flat(&stack.plan().refused());
        assert!(
            refused.contains(expected) && refused.contains(name),
            "{argument}: {refused}"
        );
    }
    for (engine, expected) in [
        ("postgres", "Write \"postgresql\""),
        ("oracle", "postgresql"),
    ] {
        stack.write(&shop("").replace("\"postgresql\"", &format!("{engine:?}")));
        let refused = flat(&stack.plan().refused());
        assert!(
            refused.contains(expected) && refused.contains("engine"),
            "{refused}"
        );
    }
    assert!(berth.databases().is_empty() && berth.projects().is_empty());
}

#[test]
fn a_taken_name_is_refused_with_the_import_command() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let order = serde_json::json!({"name": "orders", "engine": "postgresql"});
    let (status, body) = berth.call("POST", "/v1/databases", Some(&order));
    assert_eq!(status, 201, "{body}");
    stack.write(
        "resource \"berth_database\" \"orders\" {\n name = \"orders\"\n engine = \"postgresql\"\n}",
    );
    let refused = flat(&stack.plan().refused());
    assert!(refused.contains("import"), "{refused}");
    assert!(
        refused.contains(body["database"]["id"].as_str().unwrap()),
        "{refused}"
    );
    assert_eq!(berth.databases().len(), 1);
}

#[test]
fn a_protected_database_is_not_destroyed() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let protected =
        "resource \"berth_database\" \"orders\" {\n name = \"orders\"\n engine = \"postgresql\"\n}";
    stack.write(protected);
    stack.apply().ok();
    let refused = flat(&stack.run(&["plan", "-destroy", "-no-color"]).refused());
    assert!(refused.contains("deletion_protection"), "{refused}");
    stack.destroy().refused();
    stack
        .run(&[
            "apply",
            "-auto-approve",
            "-no-color",
            "-replace=berth_database.orders",
        ])
        .refused();
    assert_eq!(berth.databases().len(), 1);
    stack.write(&protected.replace("engine", "deletion_protection = false\n engine"));
    stack.apply().ok();
    stack.destroy().ok();
}

#[test]
fn what_cannot_be_changed_in_place_is_an_error_and_not_a_replacement() {
    let Some((_berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop("storage_gb = 20\n version = \"17\""));
    stack.apply().ok();
    for argument in [
        "storage_gb = 10\n version = \"17\"",
        "storage_gb = 20\n version = \"16\"",
        "storage_gb = 20\n version = \"18\"",
        "storage_gb = 20\n version = \"17\"\n username = \"other\"",
        "storage_gb = 20\n version = \"17\"\n database_name = \"other\"",
    ] {
        stack.write(&shop(argument));
        let refused = stack.plan().refused();
        assert!(refused.contains("Error"), "{refused}");
    }
    stack.write(&shop("storage_gb = 20\n version = \"17\""));
    stack.assert_settled();
    stack.destroy().ok();
}
