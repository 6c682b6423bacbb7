//! Projects: what their quota leaves, and what keeps them.

use super::stage;
use crate::harness::flat;
use serde_json::json;

/// A project with so many databases at most, and that many of them.
fn shop(quota: u32, count: u32) -> String {
    format!(
        r#"
resource "berth_project" "shop" {{
  name  = "shop"
  quota = {{ databases = {quota} }}
}}

resource "berth_database" "one" {{
  count               = {count}
  name                = "orders-${{count.index}}"
  project_id          = berth_project.shop.id
  engine              = "postgresql"
  deletion_protection = false
}}
"#
    )
}

#[test]
fn a_quota_is_raised_by_the_edit_that_uses_it() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(1, 1));
    stack.apply().ok();
    stack.write(&shop(1, 2));
    let refused = flat(&stack.plan().refused());
    assert!(
        refused.contains("shop may have 1 database and has 1:"),
        "{refused}"
    );
    stack.write(&shop(3, 3));
    stack.apply().ok();
    stack.assert_settled();
    assert_eq!(berth.databases().len(), 3);
    stack.write(&shop(3, 4));
    let refused = flat(&stack.plan().refused());
    assert!(refused.contains("may have 3 databases"), "{refused}");
}

#[test]
fn a_quota_is_lowered_by_the_edit_that_makes_room() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    stack.write(&shop(3, 3));
    stack.apply().ok();
    // Nothing goes: the plan warns and the apply is refused.
    stack.write(&shop(2, 3));
    let planned = flat(&stack.plan().output);
    assert!(planned.contains("the project has 3 databases"), "{planned}");
    assert!(!planned.contains("Error:"), "{planned}");
    let refused = flat(&stack.apply().refused());
    assert!(refused.contains("the project has 3 databases"), "{refused}");
    stack.write(&shop(2, 2));
    stack.apply().ok();
    stack.assert_settled();
    assert_eq!(berth.databases().len(), 2);
}

#[test]
fn what_people_typed_into_a_project_keeps_it_from_a_destroy() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let text = |more: &str| {
        format!("resource \"berth_project\" \"shop\" {{\n name = \"shop\"\n {more}\n}}")
    };
    stack.write(&text(""));
    stack.apply().ok();
    let id = stack.resource("berth_project.shop")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/projects/{id}/env/STRIPE_KEY");
    let (status, answer) = berth.call("PUT", &path, Some(&json!({"value": "sk_live"})));
    assert_eq!(status, 201, "{answer}");
    let refused = flat(&stack.destroy().refused());
    for part in ["is protected and holds 1 variable of its own", "STRIPE_KEY"] {
        assert!(refused.contains(part), "{part} is not in: {refused}");
    }
    stack.write(&text("deletion_protection = false"));
    stack.apply().ok();
    let refused = flat(&stack.destroy().refused());
    assert!(refused.contains("on_destroy"), "{refused}");
    stack.write(&text(
        "deletion_protection = false\n on_destroy = \"cascade\"",
    ));
    stack.apply().ok();
    stack.destroy().ok();
    // Who makes it anew is told what it will not have, and the old one comes back.
    stack.write(&text(""));
    let plan = flat(&stack.plan().output);
    assert!(
        plan.contains(&format!("berthd trash restore {id}")),
        "{plan}"
    );
    let back = berth.cli(&["trash", "restore", &id]);
    assert!(back.status.success(), "{back:?}");
    let environment = berth.get(&format!("/v1/projects/{id}/env"));
    assert_eq!(environment["variables"][0]["value"], "sk_live");
    berth.call("DELETE", &path, None);
    let listed = berth.cli(&["trash", "variables", "shop"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("STRIPE_KEY") && !listed.contains("sk_live"),
        "{listed}"
    );
    let back = berth.cli(&["trash", "restore-variable", "shop", "STRIPE_KEY"]);
    assert!(back.status.success(), "{back:?}");
    let environment = berth.get(&format!("/v1/projects/{id}/env"));
    assert_eq!(environment["variables"][0]["value"], "sk_live");
}
