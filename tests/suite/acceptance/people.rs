//! Tokens, members, the environment and the journal, with the real client.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};

use super::{shop, stage};
use crate::harness::{Moment, Proxy, Stack, TestBerth, Verdict, flat, root};

/// The id of a new user.
fn user(berth: &TestBerth, name: &str) -> String {
    let (status, body) = berth.call("POST", "/v1/users", Some(&json!({ "name": name })));
    assert_eq!(status, 201, "{body}");
    body["user"]["id"].as_str().unwrap().to_owned()
}

/// The shop with a member and a token of that user's.
fn staffed(user: &str, role: &str, token: &str) -> String {
    format!(
        r#"{}
resource "berth_project_member" "anna" {{
  project_id = berth_project.shop.id
  user_id    = "{user}"
  role       = "{role}"
}}
resource "berth_token" "ci" {{
  user_id    = "{user}"
  project_id = berth_project.shop.id
  depends_on = [berth_project_member.anna]
  {token}
}}
"#,
        shop("")
    )
}

const READER: &str = "name = \"ci\"\n scopes = [\"read\", \"plan\"]";

fn text<'a>(resource: &'a Json, name: &str) -> &'a str {
    resource[name].as_str().unwrap()
}

/// Applies a configuration that ends with what `hand_over` writes into `file`, and gives that.
fn handed_over(stack: &Stack, configuration: &str, value: &str) -> String {
    let file = stack.folder().join("handed-over");
    stack.write(&format!(
        r#"{configuration}
resource "terraform_data" "proof" {{
  triggers_replace = [timestamp()]
  provisioner "local-exec" {{
    command     = "printf %s \"$VALUE\" > {}"
    environment = {{ VALUE = {value} }}
  }}
}}
"#,
        file.display()
    ));
    stack.apply().ok();
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn a_token_and_a_member_live_and_end() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    stack.write(&staffed(&anna, "viewer", READER));
    stack.apply().ok();
    stack.assert_settled();
    let made = stack.resource("berth_token.ci");
    let (id, project) = (text(&made, "id"), text(&made, "project_id"));
    assert_eq!(made["secret"], Json::Null);

    let end = "\n expires_at = \"2099-01-31T14:00:00.5+02:00\"";
    let renamed = READER.replace("\"ci\"", "\"deploy\"");
    for (role, token) in [
        ("editor", READER.to_owned()),
        ("editor", format!("{READER}{end}")),
        ("owner", format!("{renamed}{end}")),
        ("owner", renamed.clone()),
    ] {
        stack.write(&staffed(&anna, role, &token));
        stack.apply().ok();
        stack.assert_settled();
        assert_eq!(
            stack.resource("berth_token.ci")["id"],
            made["id"],
            "{token}"
        );
        let member = berth.get(&format!("/v1/projects/{project}/members/{anna}"));
        assert_eq!(member["member"]["role"], json!(role));
    }

    let imported = Stack::new(&berth).unwrap();
    imported.write(&staffed(&anna, "owner", &renamed));
    for (address, key) in [
        ("berth_project.shop", "shop"),
        ("berth_database.orders", "shop/orders"),
        ("berth_project_member.anna", &format!("{project}/{anna}")),
        ("berth_token.ci", id),
    ] {
        imported.run(&["import", "-no-color", address, key]).ok();
    }
    imported.assert_settled();
    // Project and user by id or by name.
    for key in [
        format!("shop/{anna}"),
        format!("{project}/anna"),
        "shop/anna".to_owned(),
    ] {
        let imported = Stack::new(&berth).unwrap();
        imported.write(&format!(
            "resource \"berth_project_member\" \"anna\" {{\n project_id = {project:?}\n \
             user_id = {anna:?}\n role = \"owner\"\n}}\n"
        ));
        imported
            .run(&["import", "-no-color", "berth_project_member.anna", &key])
            .ok();
        imported.assert_settled();
    }

    stack.write(&staffed(
        &anna,
        "owner",
        &renamed.replace("\"plan\"", "\"plan\", \"write\""),
    ));
    let plan = flat(&stack.plan().output);
    assert!(plan.contains("berth_token.ci must be replaced"), "{plan}");
    stack.apply().ok();
    stack.assert_settled();
    assert_ne!(stack.resource("berth_token.ci")["id"], made["id"]);
    let old = berth.get("/v1/tokens");
    let old = old["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["id"] == made["id"]);
    assert!(old.unwrap()["revoked_at"].is_string());
    stack.destroy().ok();
    assert_eq!(berth.projects(), [""; 0]);
}

#[test]
fn a_secret_is_handed_over_and_opens_what_it_should() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    let configuration = format!(
        "{}\nephemeral \"berth_token_secret\" \"ci\" {{\n token_id = berth_token.ci.id\n}}\n",
        staffed(&anna, "viewer", READER)
    );
    let value = "ephemeral.berth_token_secret.ci.secret";
    let secret = handed_over(&stack, &configuration, value);
    let again = handed_over(&stack, &configuration, value);
    assert_eq!(secret, again, "handing it over again ends nothing");
    let (status, seen) = berth.call_as(&secret, "GET", "/v1/projects", None);
    assert_eq!(status, 200, "{seen}");
    assert_eq!(seen["projects"].as_array().unwrap().len(), 1, "{seen}");
    let (status, _) = berth.call_as(
        &secret,
        "POST",
        "/v1/projects",
        Some(&json!({"name": "more"})),
    );
    assert_eq!(status, 403);
    let state = std::fs::read_to_string(stack.folder().join("terraform.tfstate")).unwrap();
    assert!(!state.contains(&secret) && !berth.log().contains(&secret));

    // A pipeline that only plans plans this too, and writes nothing.
    let events = || {
        berth.get("/v1/events?kind=token")["events"]
            .as_array()
            .unwrap()
            .len()
    };
    let planner = berth.call(
        "POST",
        "/v1/tokens",
        Some(&json!({"name": "planner", "preset": "plan"})),
    );
    let before = events();
    let stack = stack.with_token(text(&planner.1, "secret"));
    stack.write(&configuration);
    let plan = stack.plan();
    assert!(plan.code.is_some_and(|code| code != 1), "{}", plan.output);
    let told = flat(&plan.output);
    assert!(told.contains("A secret that opens nothing"), "{told}");
    assert!(told.contains("was not read"), "{told}");
    assert_eq!(events(), before);

    let stack = stack.with_token(&berth.token());
    let exposed = format!("{READER}\n expose_secret_in_state = true");
    stack.write(&staffed(&anna, "viewer", &exposed));
    let told = flat(&stack.apply().ok());
    assert!(told.contains("The secret will be in the state"), "{told}");
    assert_eq!(stack.resource("berth_token.ci")["secret"], json!(secret));
    stack.assert_settled();
    stack.destroy().ok();
    let (status, _) = berth.call_as(&secret, "GET", "/v1/projects", None);
    assert_eq!(status, 401, "what is destroyed opens nothing");
}

/// An example that stands in the tree.
fn example(path: &str) -> String {
    std::fs::read_to_string(root().join("examples").join(path)).unwrap()
}

/// The example is applied as it is written, to a state that has nothing yet.
#[test]
fn an_environment_is_handed_over_and_a_plan_gets_none_of_it() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let files = [
        "resources/berth_project/resource.tf",
        "resources/berth_database/resource.tf",
        "ephemeral-resources/berth_project_env/ephemeral-resource.tf",
    ];
    stack.write(&files.map(example).join("\n"));
    let file = |name: &str| stack.folder().join(name);
    std::fs::write(file("schema.sql"), "SELECT 1;\n").unwrap();
    std::fs::write(
        file("seed"),
        "#!/bin/sh\nprintf %s \"$DATABASE_URL\" >seen\n",
    )
    .unwrap();
    let runs = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(file("seed"), runs).unwrap();
    stack.apply().ok();
    let url = std::fs::read_to_string(file("seen")).unwrap();
    let credentials = berth.get("/v1/databases/orders/credentials?network=public");
    assert_eq!(url, text(&credentials, "pooled_uri"));
    stack.assert_settled();

    let planner = berth.call(
        "POST",
        "/v1/tokens",
        Some(&json!({"name": "planner", "preset": "plan"})),
    );
    let stack = stack.with_token(text(&planner.1, "secret"));
    let told = flat(&stack.plan().output);
    assert!(told.contains("Variables that open nothing"), "{told}");
}

#[test]
fn who_changed_it_is_told_by_the_next_plan_and_by_the_journal() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    stack.write(&staffed(&anna, "owner", READER));
    stack.apply().ok();
    let wish = json!({"name": "annas laptop", "preset": "apply", "user_id": anna});
    let (status, made) = berth.call("POST", "/v1/tokens", Some(&wish));
    assert_eq!(status, 201, "{made}");
    let path = format!(
        "/v1/databases/{}",
        text(&stack.resource("berth_database.orders"), "id")
    );
    let change = json!({"tags": {"by": "hand"}});
    let (status, body) = berth.call_as(text(&made, "secret"), "PATCH", &path, Some(&change));
    assert_eq!(status, 200, "{body}");

    let plan = stack.plan();
    assert_eq!(plan.code, Some(2), "{}", plan.output);
    let told = flat(&plan.output);
    for part in [
        "orders was changed since this state was written",
        &format!(
            "anna with token annas laptop ({}) from 127.0.0.1",
            text(&made, "id")
        ),
        "changed tags at 20",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    stack.write(&format!(
        r#"{}
data "berth_audit" "orders" {{
  database_id = berth_database.orders.id
  actor       = "{anna}"
  limit       = 5
}}
output "audit" {{ value = data.berth_audit.orders.events }}
"#,
        staffed(&anna, "owner", READER)
    ));
    stack
        .run(&["apply", "-auto-approve", "-no-color", "-refresh=false"])
        .ok();
    let output = stack.run(&["output", "-json", "audit"]).ok();
    let events: Json = serde_json::from_str(output.trim()).unwrap();
    let event = &events[0];
    assert_eq!(event["user_name"], json!("anna"));
    assert_eq!(event["token_name"], json!("annas laptop"));
    assert_eq!(event["kind"], json!("database.changed"));
    let tags = event["changes"].as_array().unwrap().iter();
    let tags = tags.filter(|change| text(change, "field").starts_with("tags"));
    assert!(tags.count() >= 1, "{event}");

    let (status, body) = berth.call_as(text(&made, "secret"), "DELETE", &path, None);
    assert!(status < 300, "{body}");
    stack.write(&staffed(&anna, "owner", READER));
    let told = flat(&stack.plan().output);
    assert!(
        told.contains("anna with token annas laptop") && told.contains("destroyed it at 20"),
        "{told}"
    );
    stack.destroy().ok();
}

#[test]
fn lost_answers_make_one_token_and_one_member() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    let lost = [AtomicBool::new(false), AtomicBool::new(false)];
    let proxy = Proxy::start(berth.address(), move |_, moment, request| {
        let which = ["POST /v1/tokens", "PUT /v1/projects/"];
        let which = which.iter().position(|begin| request.starts_with(begin));
        match (which, moment) {
            (Some(at), Moment::After) if !lost[at].swap(true, Ordering::SeqCst) => Verdict::Cut,
            _ => Verdict::Pass,
        }
    });
    stack.goes_to(proxy.endpoint());
    stack.write(&staffed(&anna, "viewer", READER));
    stack.apply().ok();
    stack.assert_settled();
    let asked = |begin: &str| {
        proxy
            .seen()
            .iter()
            .filter(|line| line.starts_with(begin))
            .count()
    };
    assert_eq!(
        (asked("POST /v1/tokens"), asked("PUT /v1/projects/")),
        (2, 2)
    );
    let tokens = berth.get("/v1/tokens");
    let made = tokens["tokens"].as_array().unwrap().iter();
    assert_eq!(made.filter(|token| token["name"] == "ci").count(), 1);
    stack.destroy().ok();
}

#[test]
fn an_owner_staffs_her_project_and_no_other() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let (anna, berta) = (user(&berth, "anna"), user(&berth, "berta"));
    for (name, owned) in [("shop", true), ("bank", false)] {
        let wish = json!({ "name": name });
        let (status, body) = berth.call("POST", "/v1/projects", Some(&wish));
        assert_eq!(status, 201, "{body}");
        if owned {
            let path = format!("/v1/projects/{name}/members/{anna}");
            let (status, body) = berth.call("PUT", &path, Some(&json!({"role": "owner"})));
            assert_eq!(status, 201, "{body}");
        }
    }
    let wish = json!({"name": "annas laptop", "preset": "admin", "user_id": anna});
    let (_, made) = berth.call("POST", "/v1/tokens", Some(&wish));
    let stack = stack.with_token(text(&made, "secret"));
    let id = |name: &str| {
        let project = berth.get(&format!("/v1/projects/{name}"));
        text(&project["project"], "id").to_owned()
    };
    let staff = |project: &str| {
        format!(
            r#"
resource "berth_project_member" "berta" {{
  project_id = "{project}"
  user_id    = "{berta}"
  role       = "editor"
}}
resource "berth_token" "hers" {{
  name       = "hers"
  scopes     = ["read"]
  project_id = "{project}"
}}
"#
        )
    };
    stack.write(&staff(&id("shop")));
    stack.apply().ok();
    stack.assert_settled();
    // Whose it is follows from whose token the provider has.
    assert_eq!(stack.resource("berth_token.hers")["user_id"], json!(anna));
    stack.destroy().ok();
    stack.write(&staff(&id("bank")));
    let refused = flat(&stack.apply().refused());
    assert!(refused.contains("Project not found"), "{refused}");
    let (_, bank) = berth.call("GET", "/v1/projects/bank/members", None);
    assert_eq!(bank["members"], json!([]));
}

/// A destroy takes members before their project; what a pipeline needs of its own stays till then.
#[test]
fn a_pipeline_that_is_a_member_itself_takes_everything_down() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let (pipeline, anna) = (user(&berth, "pipeline"), user(&berth, "anna"));
    let scopes = ["read", "plan", "write", "credentials", "admin"];
    let wish = json!({"name": "pipeline", "scopes": scopes, "user_id": pipeline});
    let (_, made) = berth.call("POST", "/v1/tokens", Some(&wish));
    let stack = stack.with_token(text(&made, "secret"));
    let owner = |name: &str, user: &str| {
        format!(
            r#"
resource "berth_project_member" "{name}" {{
  project_id = berth_project.shop.id
  user_id    = "{user}"
  role       = "owner"
  depends_on = [berth_database.orders]
}}
"#
        )
    };
    // As the only owner, and as one of two.
    for others in ["", &owner("anna", &anna)] {
        let own = owner("pipeline", &pipeline);
        stack.write(&format!("{}{own}{others}", shop("")));
        stack.apply().ok();
        stack.assert_settled();
        let told = flat(&stack.destroy().ok());
        assert!(told.contains("own user stays in the project"), "{told}");
        assert_eq!(berth.projects(), [""; 0]);
        assert_eq!(berth.databases(), [Json::Null; 0]);
    }
}

#[test]
fn who_ended_a_project_a_member_or_a_token_is_told_by_the_next_plan() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    stack.write(&staffed(&anna, "owner", READER));
    stack.apply().ok();
    let wish = json!({"name": "annas laptop", "preset": "admin", "user_id": anna});
    let (_, made) = berth.call("POST", "/v1/tokens", Some(&wish));
    let does = |method: &str, path: &str, body: Option<&Json>| {
        let (status, body) = berth.call_as(text(&made, "secret"), method, path, body);
        assert!(status < 300, "{method} {path}: {status} {body}");
    };
    let token = format!(
        "/v1/tokens/{}",
        text(&stack.resource("berth_token.ci"), "id")
    );
    let told = |parts: &[&str]| {
        let told = flat(&stack.plan().output);
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
    };
    does("PATCH", &token, Some(&json!({"name": "deploy"})));
    told(&["anna with token annas laptop", "changed name at 20"]);
    does("DELETE", &token, None);
    told(&[
        "deploy was revoked",
        "anna with token annas laptop",
        "revoked it at 20",
    ]);

    // berta first: the last owner stays.
    let berta = user(&berth, "berta");
    let path = |user: &str| format!("/v1/projects/shop/members/{user}");
    does("PUT", &path(&berta), Some(&json!({"role": "owner"})));
    let wish = json!({"name": "bertas laptop", "preset": "admin", "user_id": berta});
    let (_, made) = berth.call("POST", "/v1/tokens", Some(&wish));
    let does = |method: &str, path: &str, body: Option<&Json>| {
        let (status, body) = berth.call_as(text(&made, "secret"), method, path, body);
        assert!(status < 300, "{method} {path}: {status} {body}");
    };
    does("PUT", &path(&anna), Some(&json!({"role": "viewer"})));
    told(&["berta with token bertas laptop", "changed role at 20"]);
    does("DELETE", &path(&anna), None);
    told(&[
        "A member was removed",
        "berta with token bertas laptop",
        "removed it at 20",
    ]);
    does("DELETE", "/v1/projects/shop", None);
    told(&[
        "A project is not there any more",
        "berta with token bertas laptop",
        "destroyed it at 20",
    ]);
}

#[test]
fn refusals_of_people_come_at_plan_or_say_what_to_do() {
    let Some((berth, stack)) = stage() else {
        return;
    };
    let anna = user(&berth, "anna");
    for (token, complaint) in [
        (
            "name = \"ci\"\n scopes = [\"credential\"]",
            "Did you mean \"credentials\"?",
        ),
        (
            "name = \"ci\"\n scopes = [\"read\"]\n expires_at = \"2001-01-01T00:00:00Z\"",
            "still to come",
        ),
    ] {
        stack.write(&staffed(&anna, "viewer", token));
        let refused = flat(&stack.plan().output);
        assert!(refused.contains(complaint), "{refused}");
    }
    stack.write(&staffed("usr_0000000000000000", "viewer", READER));
    let refused = flat(&stack.apply().refused());
    assert!(refused.contains("berth_project_member.anna"), "{refused}");

    let project = berth.get("/v1/projects/shop")["project"]["id"].clone();
    let path = format!("/v1/projects/{}/members/{anna}", project.as_str().unwrap());
    let (status, body) = berth.call("PUT", &path, Some(&json!({"role": "owner"})));
    assert_eq!(status, 201, "{body}");
    stack.write(&staffed(&anna, "viewer", READER));
    let refused = flat(&stack.apply().refused());
    assert!(refused.contains("terraform import ADDRESS"), "{refused}");
    stack.destroy().ok();
}
