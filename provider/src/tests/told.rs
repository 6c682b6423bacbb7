//! What a user is told, and where.

use super::*;
use crate::fake::Fault;
use serde_json::json;

async fn looked_up(stage: &Stage, type_name: &str, given: &[(&'static str, Value)]) -> String {
    told(stage.host.read_data(type_name, given.iter().cloned()).await)
}

#[tokio::test]
async fn a_lookup_in_vain_stands_at_its_key_and_offers_the_nearest() {
    let stage = Stage::start().await;
    let shop = stage.config("berth_project", &[("name", "shop".into())]);
    let mut project = stage.host.instance("berth_project");
    stage.host.apply(&mut project, &shop).await.unwrap();
    stage.created(&stage.database(&[])).await;

    let name = |name: &str| ("name", Value::from(name));
    let refused = looked_up(&stage, "berth_project", &[name("shopp")]).await;
    assert_eq!(
        refused,
        "error at name: Project not found: No project that the provider's token sees has the \
         name or id \"shopp\". Did you mean \"shop\"?"
    );
    let refused = looked_up(&stage, "berth_project", &[("id", "proj_9".into())]).await;
    assert!(
        refused.starts_with("error at id: Project not found"),
        "{refused}"
    );
    let refused = looked_up(&stage, "berth_database", &[name("order")]).await;
    assert_eq!(
        refused,
        "error at name: Database not found: No database that the provider's token sees has \
         the name or id \"order\". Did you mean \"orders\"?"
    );
    let other = [name("nope"), ("project_id", "proj_default".into())];
    let refused = looked_up(&stage, "berth_database", &other).await;
    assert!(
        refused.contains("No database in project proj_default has"),
        "{refused}"
    );
    let unknown = Fault::refusal("GET /v1/databases/nope", 404, "project_not_found");
    stage.fake.fail(unknown);
    let refused = looked_up(&stage, "berth_database", &other).await;
    assert!(
        refused.starts_with("error at project_id: Project not found"),
        "{refused}"
    );

    let id = [("database_id", Value::from("db_nope"))];
    let refused = told(stage.host.open("berth_database_credentials", id).await);
    assert!(
        refused.starts_with("error at database_id: Request refused"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_no_id_of_a_database_is_asked_of_nobody() {
    let stage = Stage::start().await;
    for id in ["", "orders"] {
        let given = [("database_id", Value::from(id))];
        let refused = told(stage.host.open("berth_database_credentials", given).await);
        assert!(refused.starts_with("error at database_id: "), "{refused}");
        assert!(refused.contains("begins with \"db_\""), "{refused}");
    }
    assert_eq!(stage.fake.requests(), [""; 0]);
}

#[tokio::test]
async fn an_import_in_vain_says_where_it_looked_and_what_it_takes() {
    let stage = Stage::start().await;
    let refused = told(stage.host.import("berth_database", "shop-r/nope").await);
    assert!(
        refused.contains("No database in project shop-r"),
        "{refused}"
    );
    assert!(refused.contains("ID, PROJECT/NAME, or NAME"), "{refused}");
    let unknown = Fault::refusal("GET /v1/databases/nope", 404, "project_not_found");
    stage.fake.fail(unknown);
    let refused = told(stage.host.import("berth_database", "shop-r/nope").await);
    assert!(refused.contains("Project not found"), "{refused}");
    assert!(refused.contains("ID, PROJECT/NAME, or NAME"), "{refused}");
    stage.fake.requests();
    let refused = told(stage.host.import("berth_database", "a/b/c").await);
    assert!(refused.contains("Not the id of a database"), "{refused}");
    assert!(refused.contains("Got \"a/b/c\""), "{refused}");
    assert_eq!(stage.fake.requests(), [""; 0]);
}

#[tokio::test]
async fn what_keeps_a_project_from_going_is_named_as_what_it_is() {
    let stage = Stage::start().await;
    let config = stage.config("berth_project", &[("name", "shop".into())]);
    let mut project = stage.host.instance("berth_project");
    stage.host.apply(&mut project, &config).await.unwrap();
    for (who, expected) in [
        (
            "foreign",
            "Database foreign is protected: set deletion_protection = false first.",
        ),
        (
            "shop",
            "shop is protected: set deletion_protection = false first.",
        ),
    ] {
        let message = format!("{who} is protected: set deletion_protection = false first");
        let answer = json!({"resources": [{
            "planned": null, "unknown": [], "notes": [],
            "errors": [{"field": "deletion_protection", "message": message}],
        }]});
        stage.fake.fail(Fault {
            status: 200,
            body: answer.to_string(),
            ..Fault::refusal("POST /v1/plan", 200, "")
        });
        let refused = told(stage.host.plan_destroy(&project).await);
        assert_eq!(
            refused,
            format!("error: This project cannot be destroyed: {expected}")
        );
    }
}

#[tokio::test]
async fn a_new_name_that_is_planned_again_is_told() {
    let stage = Stage::start().await;
    let twins = |project: &str| stage.database(&[("project_id", project.into())]);
    let plan = |config: Object| {
        let stage = &stage;
        async move {
            let instance = stage.host.instance("berth_database");
            let plan = stage.host.plan(&instance, &config).await.unwrap();
            warnings(&plan.diagnostics).join("\n")
        }
    };
    assert_eq!(plan(twins("proj_a")).await, "");
    assert_eq!(
        plan(twins("proj_b")).await,
        "",
        "projects have names of their own"
    );
    let told = plan(twins("proj_a")).await;
    assert!(
        told.contains("warning at name: The name is planned twice"),
        "{told}"
    );
    // Which project it is may be open, and then it may be two.
    let open = [("project_id", Value::unknown())];
    for _ in 0..2 {
        assert_eq!(plan(stage.database(&open)).await, "");
    }
    let next = stage.next_run().await;
    let instance = next.host.instance("berth_database");
    let plan = next.host.plan(&instance, &twins("proj_a")).await.unwrap();
    assert_eq!(warnings(&plan.diagnostics), [""; 0]);
}

#[tokio::test]
async fn somebody_elses_answer_is_shown_without_what_a_terminal_obeys() {
    let stage = Stage::start().await;
    let given = [("name", Value::from("shop"))];
    let foreign = |status, body: &str| Fault {
        body: body.to_owned(),
        ..Fault::refusal("GET /v1/projects/shop", status, "")
    };
    stage
        .fake
        .fail(foreign(418, "\u{1b}[31mI am\u{7} red\u{9b}"));
    let refused = looked_up(&stage, "berth_project", &given).await;
    assert!(refused.contains("[31mI am red"), "{refused}");
    assert!(!refused.chars().any(char::is_control), "{refused:?}");

    let location = "https://user:pw@login.example/in?token=t";
    stage
        .fake
        .fail(foreign(302, "").with_header("location", location));
    let refused = looked_up(&stage, "berth_project", &given).await;
    assert!(
        refused.contains("302 Found, which leads to https://login.example/in"),
        "{refused}"
    );
    assert!(
        !refused.contains("pw") && !refused.contains("token=t"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_tainted_object_that_was_not_refreshed_is_told_of_refreshing() {
    let stage = Stage::start().await;
    let config = stage.database(&[]);
    let mut instance = stage.created(&config).await;
    instance.tainted = true;
    let advice = "With -refresh=false, a tainted holder in this state cannot be recognised";
    // As with -refresh=false.
    let blind = stage.next_run().await;
    let refused = told(blind.host.plan(&instance, &config).await);
    assert!(refused.starts_with("error at name: "), "{refused}");
    assert!(refused.contains(advice), "{refused}");
    // A name that is wrong for another reason has no holder.
    let reserved = stage.database(&[("name", "reserved".into())]);
    let fresh = blind.host.instance("berth_database");
    let refused = told(blind.host.plan(&fresh, &reserved).await);
    assert!(refused.contains("name is reserved."), "{refused}");
    assert!(!refused.contains(advice), "{refused}");
    // Who was refreshed is recognised, and a stranger is none of this state.
    let mut other = instance.clone();
    let seeing = stage.next_run().await;
    seeing.host.refresh(&mut other).await.unwrap();
    stage.fake.change(|world| {
        let mut stranger = world.databases.values().next().unwrap().clone();
        stranger.insert("id".into(), json!("db_stranger"));
        stranger.insert("name".into(), json!("archive"));
        world.databases.insert("db_stranger".into(), stranger);
    });
    let taken = stage.database(&[("name", "archive".into())]);
    let fresh = seeing.host.instance("berth_database");
    let refused = told(seeing.host.plan(&fresh, &taken).await);
    assert!(refused.starts_with("error at name: "), "{refused}");
    assert!(!refused.contains(advice), "{refused}");
}

#[tokio::test]
async fn a_value_of_the_provider_block_is_not_blamed_on_a_resource() {
    let fake = crate::fake::Fake::start().await;
    let host = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let block = [
        ("endpoint", Value::from(fake.endpoint.as_str())),
        ("token", TOKEN.into()),
        ("project", "nope".into()),
        ("region", "mars".into()),
    ];
    host.configure(block).await.unwrap();
    let stage = Stage { host, fake };
    let mut instance = stage.host.instance("berth_database");
    let plan = |attributes: &[(&'static str, Value)]| stage.database(attributes);
    let refused = told(stage.host.plan(&instance, &plan(&[])).await);
    assert_eq!(
        refused,
        "error: Invalid value: Use one of local. It comes from the provider's argument region \
         (BERTH_REGION)."
    );
    let written = plan(&[("region", "mars".into())]);
    let refused = told(stage.host.plan(&instance, &written).await);
    assert_eq!(refused, "error at region: Invalid value: Use one of local.");

    // What berthd finds out at last is told in the same way.
    let late = json!({
        "error": "there is no such project", "code": "project_not_found", "request_id": "",
        "details": [{"field": "project_id", "message": "there is no such project"}],
    });
    stage.fake.fail(Fault {
        body: late.to_string(),
        ..Fault::refusal("POST /v1/databases", 404, "")
    });
    let elsewhere = plan(&[("region", "local".into())]);
    let refused = told(stage.host.apply(&mut instance, &elsewhere).await);
    assert_eq!(
        refused,
        "error: Request refused: There is no such project. It comes from the provider's \
         argument project (BERTH_PROJECT)."
    );
    let unknown = Fault::refusal("GET /v1/databases/orders", 404, "project_not_found");
    stage.fake.fail(unknown);
    let refused = looked_up(&stage, "berth_database", &[("name", "orders".into())]).await;
    assert!(
        refused.starts_with("error: Project not found") && refused.contains("(BERTH_PROJECT)"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_password_in_the_endpoint_is_refused_without_showing_it() {
    const ENDPOINT: &str = "https://ci:s3cret@berth.internal";
    let silent = TestHost::new(Berth::with_environment(|_| None)).unwrap();
    let argument = silent.configure([("endpoint", ENDPOINT.into())]).await;
    let variable = |name: &str| (name == "BERTH_ENDPOINT").then(|| ENDPOINT.to_owned());
    let speaking = TestHost::new(Berth::with_environment(variable)).unwrap();
    let environment = speaking.configure([]).await;
    for refused in [told(argument), told(environment)] {
        assert!(
            refused.contains("…@berth.internal\" has a login"),
            "{refused}"
        );
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_told_in_plain_sentences() {
    let told = crate::resources::unread("Token tok_1").to_string();
    assert!(!told.contains("  "), "{told}");
}

#[tokio::test]
async fn an_answer_of_another_form_is_told_and_not_taken_for_nothing() {
    let stage = Stage::start().await;
    let token = json!({
        "id": "tok_1", "name": 5, "user_id": "usr_1", "scopes": ["read"], "project_id": null,
        "expires_at": null, "created_at": "t", "revoked_at": null,
    });
    stage.fake.fail(Fault {
        status: 200,
        body: token.to_string(),
        ..Fault::refusal("GET /v1/tokens/tok_1", 200, "")
    });
    let refused = told(stage.host.import("berth_token", "tok_1").await);
    assert!(refused.contains("Answer cannot be read"), "{refused}");
    assert!(
        refused.contains("name in berthd's answer is a number"),
        "{refused}"
    );
}
