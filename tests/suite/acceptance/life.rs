//! A database from its order to its end.

use serde_json::{Value as Json, json};

use super::{shop, stage};
use crate::harness::{Runtime, Stack, TestBerth, flat};

/// Everything that can be told of a resource's life, on any runtime.
fn whole_life(berth: &TestBerth, stack: &Stack) {
    stack.write(&shop(""));
    let plan = stack.planned();
    assert_eq!(open(&plan, "berth_project.shop"), ["created_at", "id"]);
    // The region may be the default one of a project that does not exist yet.
    assert_eq!(
        open(&plan, "berth_database.orders"),
        ["created_at", "id", "project_id", "region"]
    );
    stack.apply().ok();
    stack.assert_settled();
    let created = stack.resource("berth_database.orders");
    assert_eq!(berth.databases().len(), 1);
    assert_eq!(berth.databases()[0]["claimed"], json!(true));
    assert_eq!(berth.databases()[0]["status"], json!("running"));

    for more in [
        "storage_gb = 20",
        "storage_gb = 20\n tags = { team = \"shop\" }",
        "storage_gb = 20\n pooler = { mode = \"session\", default_pool_size = 30 }",
        "storage_gb = 20\n pooler = { mode = \"session\" }",
        "storage_gb = 20\n tls_mode = \"require\"",
        "storage_gb = 20\n credential_version = 2",
        "storage_gb = 20\n expose = true",
        "storage_gb = 20\n desired_status = \"stopped\"",
        "storage_gb = 20",
    ] {
        stack.write(&shop(more));
        let plan = stack.planned();
        assert_eq!(
            actions(&plan, "berth_database.orders"),
            json!(["update"]),
            "{more}"
        );
        stack.apply().ok();
        stack.assert_settled();
        let now = stack.resource("berth_database.orders");
        for kept in ["id", "slug", "host", "username", "created_at"] {
            assert_eq!(now[kept], created[kept], "{more} changed {kept}");
        }
    }

    let imported = Stack::new(berth).unwrap();
    imported.write(&shop("storage_gb = 20"));
    imported
        .run(&["import", "-no-color", "berth_project.shop", "shop"])
        .ok();
    imported
        .run(&[
            "import",
            "-no-color",
            "berth_database.orders",
            "shop/orders",
        ])
        .ok();
    imported.assert_settled();
    let id = created["id"].as_str().unwrap();
    imported.run(&["state", "rm", "berth_database.orders"]).ok();
    imported
        .run(&["import", "-no-color", "berth_database.orders", id])
        .ok();
    imported.assert_settled();

    let told = stack.destroy().ok();
    assert!(flat(&told).contains("orders will be destroyed"), "{told}");
    assert_eq!(berth.databases(), Vec::<Json>::new());
    assert_eq!(berth.projects(), Vec::<String>::new());
}

/// The attributes that a plan leaves open.
fn open(plan: &Json, address: &str) -> Vec<String> {
    let change = &change(plan, address)["after_unknown"];
    let open = change.as_object().unwrap().iter();
    open.filter(|(_, value)| value.to_string().contains("true"))
        .map(|(name, _)| name.clone())
        .collect()
}

fn actions(plan: &Json, address: &str) -> Json {
    change(plan, address)["actions"].clone()
}

fn change(plan: &Json, address: &str) -> Json {
    let changes = plan["resource_changes"].as_array().unwrap().iter();
    let found = changes.clone().find(|change| change["address"] == address);
    found.map_or_else(
        || panic!("no {address} in {plan}"),
        |found| found["change"].clone(),
    )
}

#[test]
fn a_database_lives_and_dies() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    whole_life(&berth, &stack);
}

#[test]
fn a_database_lives_and_dies_in_containers() {
    let Some((berth, stack)) = Stack::staged(Runtime::Docker, &[]) else {
        return;
    };
    whole_life(&berth, &stack);
}

#[test]
fn a_destroyed_database_comes_back() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let kept = |more: &str| {
        format!(
            "resource \"berth_database\" \"orders\" {{\n name = \"orders\"\n deletion_protection = false\n {more}\n}}"
        )
    };
    stack.write(&kept("engine = \"postgresql\""));
    stack.apply().ok();
    let before = stack.resource("berth_database.orders");
    let id = before["id"].as_str().unwrap().to_owned();
    let told = stack.destroy().ok();
    assert!(flat(&told).contains("kept"), "{told}");
    assert_eq!(berth.databases().len(), 0);

    let refused = stack
        .run(&["import", "-no-color", "berth_database.orders", &id])
        .refused();
    assert!(flat(&refused).contains("restore_from = {"), "{refused}");
    stack.write(&kept(&format!(
        "restore_from = {{ deleted_database_id = \"{id}\" }}"
    )));
    stack.apply().ok();
    stack.assert_settled();
    let after = stack.resource("berth_database.orders");
    for kept in ["id", "slug", "host", "username", "database_name"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    stack.write(&kept("engine = \"postgresql\""));
    stack.apply().ok();
    stack.assert_settled();
    stack.destroy().ok();
}

#[test]
fn what_others_change_is_seen_by_the_next_run() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    let id = stack.resource("berth_database.orders")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, body) = berth.call(
        "PATCH",
        &format!("/v1/databases/{id}"),
        Some(&json!({"tags": {"by": "hand"}})),
    );
    assert_eq!(status, 200, "{body}");
    let plan = stack.plan();
    assert_eq!(plan.code, Some(2), "{}", plan.output);
    assert!(plan.output.contains("\"by\""), "{}", plan.output);
    stack.apply().ok();
    stack.assert_settled();

    let (status, body) = berth.call("DELETE", &format!("/v1/databases/{id}"), None);
    assert!(status < 300, "{body}");
    let plan = flat(&stack.plan().output);
    assert!(
        plan.contains("1 to add, 0 to change, 0 to destroy"),
        "{plan}"
    );
    stack.destroy().ok();
}

#[test]
fn a_tainted_or_replaced_database_is_made_anew() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    let first = stack.resource("berth_database.orders")["id"].clone();
    stack.run(&["taint", "berth_database.orders"]).ok();
    stack.apply().ok();
    let second = stack.resource("berth_database.orders")["id"].clone();
    assert_ne!(first, second);
    // What the second of a replacement's plans warns of is dropped by the client.
    stack
        .run(&[
            "apply",
            "-auto-approve",
            "-no-color",
            "-replace=berth_database.orders",
        ])
        .ok();
    assert_ne!(second, stack.resource("berth_database.orders")["id"]);
    assert_eq!(berth.databases().len(), 1);
    stack.assert_settled();
    stack.destroy().ok();
}

#[test]
fn data_sources_show_the_installation() {
    let Some((_berth, stack)) = stage() else {
        return;
    };
    stack.write(&format!(
        r#"{}
data "berth_server" "here" {{}}
data "berth_plans" "all" {{}}
data "berth_engines" "all" {{}}
data "berth_regions" "all" {{}}
data "berth_project" "shop" {{ name = berth_project.shop.name }}
data "berth_database" "orders" {{ id = berth_database.orders.id }}
output "facts" {{
  value = {{
    runtime = data.berth_server.here.runtime
    plan    = data.berth_plans.all.plans[0].name
    engines = data.berth_engines.all.engines[*].name
    region  = data.berth_regions.all.regions[0].name
    project = data.berth_project.shop.id == berth_project.shop.id
    status  = data.berth_database.orders.status
  }}
}}
"#,
        shop("")
    ));
    stack.apply().ok();
    let state = stack.run(&["output", "-json", "facts"]).ok();
    let line = state.lines().find(|line| line.starts_with('{')).unwrap();
    let facts: Json = serde_json::from_str(line).unwrap();
    assert_eq!(facts["runtime"], json!("fake"));
    assert_eq!(facts["plan"], json!("db-s-1vcpu-1gb"));
    assert_eq!(facts["region"], json!("local"));
    assert_eq!(facts["project"], json!(true));
    assert_eq!(facts["status"], json!("running"));
    assert!(facts["engines"].to_string().contains("postgresql"));
    stack.destroy().ok();
}

#[test]
fn a_tainted_project_is_made_anew_with_what_is_in_it() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(""));
    stack.apply().ok();
    stack.run(&["taint", "berth_project.shop"]).ok();
    stack.run(&["taint", "berth_database.orders"]).ok();
    stack.apply().ok();
    stack.assert_settled();
    let replaced = [
        "apply",
        "-auto-approve",
        "-no-color",
        "-replace=berth_project.shop",
    ];
    let refused = stack.run(&replaced).refused();
    assert!(flat(&refused).contains("holds"), "{refused}");
    assert_eq!((berth.databases().len(), berth.projects().len()), (1, 1));
    stack.destroy().ok();
}
