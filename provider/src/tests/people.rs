//! Tokens, members, and the ephemeral values that belong to them.

use super::*;
use crate::fake::Fault;
use serde_json::json;

const SCOPES: [&str; 2] = ["read", "plan"];

fn token(stage: &Stage, attributes: &[(&'static str, Value)]) -> Object {
    let least = [("name", Value::from("ci")), ("scopes", Value::set(SCOPES))];
    let mut all: Vec<_> = least.into_iter().collect();
    for (name, value) in attributes {
        all.retain(|(have, _)| have != name);
        all.push((*name, value.clone()));
    }
    stage.config("berth_token", &all)
}

async fn made(stage: &Stage, config: &Object) -> Instance {
    let mut instance = stage.host.instance("berth_token");
    stage.host.apply(&mut instance, config).await.unwrap();
    instance
}

fn text<'a>(instance: &'a Instance, name: &str) -> Option<&'a str> {
    instance.state.as_ref().unwrap().string(name).unwrap()
}

#[tokio::test]
async fn a_token_lives_and_its_secret_stands_nowhere() {
    let stage = Stage::start().await;
    let config = token(&stage, &[]);
    let plan = stage
        .host
        .plan(&stage.host.instance("berth_token"), &config)
        .await
        .unwrap();
    assert_eq!(open(&plan), ["id", "user_id"]);
    let mut instance = made(&stage, &config).await;
    stage.assert_settled(&mut instance, &config).await;
    assert!(text(&instance, "secret").is_none());
    assert_eq!(text(&instance, "user_id"), Some("usr_admin"));
    assert!(!format!("{instance:?}").contains("berth_fake_secret"));

    let id = text(&instance, "id").unwrap().to_owned();
    let imported = stage.host.import("berth_token", &id).await.unwrap();
    assert_eq!(imported.state, instance.state);
    stage.host.destroy(&mut instance).await.unwrap();
    let revoked = stage
        .fake
        .change(|world| world.people.tokens[&id]["revoked_at"].clone());
    assert!(revoked.is_string(), "{revoked}");
    let refused = told(stage.host.import("berth_token", &id).await);
    assert!(refused.contains("cannot be brought back"), "{refused}");
}

#[tokio::test]
async fn name_and_end_change_in_place_and_the_rest_is_another_token() {
    let stage = Stage::start().await;
    let mut instance = made(&stage, &token(&stage, &[])).await;
    let id = text(&instance, "id").unwrap().to_owned();
    let end = "2099-01-31T14:00:00+02:00";
    let config = token(
        &stage,
        &[("name", "deploy".into()), ("expires_at", end.into())],
    );
    let plan = stage.host.apply(&mut instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    assert_eq!(text(&instance, "id"), Some(id.as_str()));
    // The spelling is the user's; what is kept is UTC.
    assert_eq!(text(&instance, "expires_at"), Some(end));
    let kept = stage
        .fake
        .change(|world| world.people.tokens[&id]["expires_at"].clone());
    assert_eq!(kept, json!("2099-01-31T12:00:00Z"));
    stage.assert_settled(&mut instance, &config).await;
    let same = token(
        &stage,
        &[
            ("name", "deploy".into()),
            ("expires_at", "2099-01-31T12:00:00Z".into()),
        ],
    );
    stage.fake.requests();
    stage.host.apply(&mut instance, &same).await.unwrap();
    assert_eq!(stage.fake.count("PATCH"), 0, "the same moment is no change");
    let endless = token(&stage, &[("name", "deploy".into())]);
    stage.host.apply(&mut instance, &endless).await.unwrap();
    stage.assert_settled(&mut instance, &endless).await;

    for (name, value) in [
        ("scopes", Value::set(["read"])),
        ("user_id", "usr_other".into()),
        ("project_id", "proj_shop".into()),
    ] {
        let config = token(&stage, &[("name", "deploy".into()), (name, value)]);
        let plan = stage.host.plan(&instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Replace, "{name}");
    }
}

#[tokio::test]
async fn a_binding_that_is_taken_away_is_another_token() {
    let stage = Stage::start().await;
    let bound = [
        ("project_id", "proj_shop".into()),
        ("user_id", "usr_anna".into()),
    ];
    let instance = made(&stage, &token(&stage, &bound)).await;
    let wider = token(&stage, &[("user_id", "usr_anna".into())]);
    let plan = stage.host.plan(&instance, &wider).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    // Without a word on the user it stays whose it is.
    let silent = token(&stage, &[("project_id", "proj_shop".into())]);
    let plan = stage.host.plan(&instance, &silent).await.unwrap();
    assert_eq!(plan.action, Action::NoOp);
}

#[tokio::test]
async fn wrong_words_are_refused_before_anybody_is_asked() {
    let stage = Stage::start().await;
    let instance = stage.host.instance("berth_token");
    for (attribute, complaint) in [
        (
            ("scopes", Value::set(["credential"])),
            "Did you mean \"credentials\"?",
        ),
        (("scopes", Value::set([""; 0])), "scopes"),
        (("name", "".into()), "name"),
        (("user_id", "anna".into()), "berthd user list"),
        (("project_id", "shop".into()), "proj_"),
        (("expires_at", "tomorrow".into()), "RFC 3339"),
        (
            ("expires_at", "2001-01-01T00:00:00Z".into()),
            "still to come",
        ),
    ] {
        let config = token(&stage, &[attribute]);
        let refused = told(stage.host.plan(&instance, &config).await);
        assert!(refused.contains(complaint), "{complaint}: {refused}");
    }
    assert_eq!(stage.fake.requests(), [""; 0]);
}

#[tokio::test]
async fn a_secret_is_in_the_state_only_on_request() {
    let stage = Stage::start().await;
    let exposed = token(&stage, &[("expose_secret_in_state", true.into())]);
    let warned = stage.host.validate("berth_token", &exposed).await.unwrap();
    assert!(warnings(&warned)[0].contains("in the state"));
    let mut instance = made(&stage, &exposed).await;
    let secret = text(&instance, "secret").unwrap().to_owned();
    assert!(secret.starts_with("berth_fake_secret"));
    stage.assert_settled(&mut instance, &exposed).await;

    let hidden = token(&stage, &[]);
    stage.host.apply(&mut instance, &hidden).await.unwrap();
    assert!(text(&instance, "secret").is_none());
    stage.assert_settled(&mut instance, &hidden).await;
    // It is the same secret again: nothing that uses it was ended.
    stage.host.apply(&mut instance, &exposed).await.unwrap();
    assert_eq!(text(&instance, "secret"), Some(secret.as_str()));
    stage.assert_settled(&mut instance, &exposed).await;
    assert_eq!(
        berth_plugin::secrets::mask(&secret),
        berth_plugin::secrets::MASK
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_fails_the_update_and_is_tried_again() {
    let stage = Stage::start().await;
    let mut instance = made(&stage, &token(&stage, &[])).await;
    let exposed = token(&stage, &[("expose_secret_in_state", true.into())]);
    stage
        .fake
        .fail(Fault::refusal("GET /v1/tokens/", 403, "scope_missing"));
    let refused = told(stage.host.apply(&mut instance, &exposed).await);
    assert!(refused.contains("Not allowed"), "{refused}");
    assert!(text(&instance, "secret").is_none());
    let plan = stage.host.plan(&instance, &exposed).await.unwrap();
    assert_eq!(plan.action, Action::Update, "{:?}", plan.planned);
    stage.host.apply(&mut instance, &exposed).await.unwrap();
    assert!(text(&instance, "secret").is_some());
}

#[tokio::test]
async fn what_is_revoked_is_made_anew() {
    let stage = Stage::start().await;
    let config = token(&stage, &[]);
    let mut instance = made(&stage, &config).await;
    stage.fake.change(|world| {
        world.people.tokens.values_mut().for_each(|row| {
            row.insert("revoked_at".into(), json!("2026-02-01T00:00:00Z"));
        });
    });
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert_eq!(warnings(&told).len(), 1, "{told}");
    assert_eq!(instance.state, None);
    let plan = stage.host.plan(&instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::Create);
}

/// It may be another user's, which nobody but the administrator sees.
#[tokio::test]
async fn a_token_that_is_not_found_is_told_before_a_second_one_is_made() {
    let stage = Stage::start().await;
    let config = token(&stage, &[]);
    for known in [true, false] {
        let mut instance = made(&stage, &config).await;
        let id = text(&instance, "id").unwrap().to_owned();
        stage.fake.change(|world| {
            world.people.tokens.clear();
            world.people.events.clear();
            if known {
                let sentence = format!("token ci ({id}) was revoked");
                world.people.did("carla", "token.revoked", &sentence, &[]);
            }
        });
        let told = stage.host.refresh(&mut instance).await.unwrap();
        let told = warnings(&told).join("\n");
        let by = match known {
            true => "carla with token carlas laptop (tok_carla) from 10.0.0.7 revoked it at 2026",
            false => "Who did it is not in the part of the journal that the provider's token may",
        };
        for part in [
            &format!("sees no token ci ({id})"),
            "its secret is still valid",
            by,
            &format!("`berthd token revoke {id}`"),
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(instance.state, None);
        let plan = stage.host.plan(&instance, &config).await.unwrap();
        assert_eq!(plan.action, Action::Create);
    }
}

#[tokio::test]
async fn a_token_that_is_over_is_told() {
    let stage = Stage::start().await;
    let config = token(&stage, &[("expires_at", "2099-01-01T00:00:00Z".into())]);
    let mut instance = made(&stage, &config).await;
    stage.fake.change(|world| {
        let rows = world.people.tokens.values_mut();
        rows.for_each(|row| _ = row.insert("expires_at".into(), json!("2020-01-01T00:00:00Z")));
    });
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(told.to_string().contains("has expired"), "{told}");
    let plan = stage.host.plan(&instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::Update);
}

#[tokio::test]
async fn a_provider_bound_to_a_project_makes_no_token_that_seems_unbound() {
    let stage = Stage::start().await;
    stage
        .fake
        .change(|world| world.people.bound = Some("proj_shop".to_owned()));
    let mut instance = stage.host.instance("berth_token");
    let refused = told(stage.host.apply(&mut instance, &token(&stage, &[])).await);
    assert!(refused.contains("project_id = \"proj_shop\""), "{refused}");
    let left = stage.fake.change(|world| {
        let rows = world.people.tokens.values();
        rows.filter(|row| row["revoked_at"].is_null()).count()
    });
    assert_eq!(left, 0);
    let bound = token(&stage, &[("project_id", "proj_shop".into())]);
    let mut instance = made(&stage, &bound).await;
    stage.assert_settled(&mut instance, &bound).await;
}

#[tokio::test]
async fn a_pipeline_that_may_not_see_tokens_and_members_still_plans() {
    let stage = Stage::start().await;
    let config = token(&stage, &[]);
    let mut instance = made(&stage, &config).await;
    stage
        .fake
        .fail(Fault::refusal("GET /v1/tokens/", 403, "scope_missing"));
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(told.to_string().contains("was not read"), "{told}");
    let plan = stage.host.plan(&instance, &config).await.unwrap();
    assert_eq!(plan.action, Action::NoOp);

    let config = member(&stage, "viewer");
    let mut instance = stage.host.instance("berth_project_member");
    stage.host.apply(&mut instance, &config).await.unwrap();
    stage
        .fake
        .fail(Fault::refusal("GET /v1/projects/", 403, "scope_missing"));
    let told = stage.host.refresh(&mut instance).await.unwrap();
    assert!(told.to_string().contains("was not read"), "{told}");
    assert!(instance.state.is_some());
}

fn member(stage: &Stage, role: &str) -> Object {
    let all = [
        ("project_id", Value::from("proj_shop")),
        ("user_id", "usr_anna".into()),
        ("role", role.into()),
    ];
    stage.config("berth_project_member", &all)
}

#[tokio::test]
async fn a_member_lives_and_changes_its_role_in_place() {
    let stage = Stage::start().await;
    let mut instance = stage.host.instance("berth_project_member");
    stage
        .host
        .apply(&mut instance, &member(&stage, "viewer"))
        .await
        .unwrap();
    stage
        .assert_settled(&mut instance, &member(&stage, "viewer"))
        .await;
    let owner = member(&stage, "owner");
    let plan = stage.host.apply(&mut instance, &owner).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    let imported = stage
        .host
        .import("berth_project_member", "proj_shop/usr_anna")
        .await;
    assert_eq!(imported.unwrap().state, instance.state);
    let other = [
        ("project_id", Value::from("proj_shop")),
        ("user_id", "usr_other".into()),
        ("role", "owner".into()),
    ];
    let other = stage.config("berth_project_member", &other);
    let plan = stage.host.plan(&instance, &other).await.unwrap();
    assert_eq!(plan.action, Action::Replace);
    stage.host.destroy(&mut instance).await.unwrap();
    assert!(stage.fake.change(|world| world.people.members.is_empty()));
}

#[tokio::test]
async fn a_member_of_somebody_elses_is_not_taken_over() {
    let stage = Stage::start().await;
    let key = ("proj_shop".to_owned(), "usr_anna".to_owned());
    stage
        .fake
        .change(|world| world.people.members.insert(key, "owner".to_owned()));
    let mut instance = stage.host.instance("berth_project_member");
    let refused = told(
        stage
            .host
            .apply(&mut instance, &member(&stage, "viewer"))
            .await,
    );
    assert!(
        refused.contains("import ADDRESS proj_shop/usr_anna"),
        "{refused}"
    );
    // The very same part may be that of a run whose answer was lost.
    let mut instance = stage.host.instance("berth_project_member");
    stage
        .host
        .apply(&mut instance, &member(&stage, "owner"))
        .await
        .unwrap();

    let refused = told(stage.host.plan(&instance, &member(&stage, "editr")).await);
    assert!(refused.contains("Did you mean \"editor\"?"), "{refused}");
    let refused = told(stage.host.import("berth_project_member", "usr_anna").await);
    assert!(refused.contains("PROJECT/USER"), "{refused}");
    stage.fake.change(|world| world.people.members.clear());
    stage.host.refresh(&mut instance).await.unwrap();
    assert_eq!(instance.state, None);
}

/// Without it the rest of a destruction would find nothing, and take that for gone.
#[tokio::test]
async fn the_part_of_the_providers_own_user_goes_with_the_project() {
    for (own, stays) in [
        (Some("usr_anna"), true),
        (Some("usr_me"), false),
        (None, false),
    ] {
        let stage = Stage::start().await;
        stage
            .fake
            .change(|world| world.people.user = own.map(str::to_owned));
        let mut instance = stage.host.instance("berth_project_member");
        stage
            .host
            .apply(&mut instance, &member(&stage, "owner"))
            .await
            .unwrap();
        let told = stage.host.destroy(&mut instance).await.unwrap();
        let told = warnings(&told).join("\n");
        assert_eq!(told.contains("own user stays"), stays, "{told}");
        assert_eq!(instance.state, None);
        let left = stage.fake.change(|world| world.people.members.len());
        assert_eq!(left, usize::from(stays), "{own:?}");
    }
}

#[tokio::test]
async fn a_member_survives_a_lost_answer() {
    let stage = Stage::start().await;
    let mut instance = stage.host.instance("berth_project_member");
    let lost = Fault {
        after: true,
        ..Fault::refusal("PUT /v1/projects/", 503, "unavailable")
    };
    stage.fake.fail(lost.with_header("retry-after", "0"));
    stage
        .host
        .apply(&mut instance, &member(&stage, "editor"))
        .await
        .unwrap();
    assert_eq!(stage.fake.count("PUT"), 2);
}

#[tokio::test]
async fn a_secret_is_handed_over_and_a_plan_gets_one_that_opens_nothing() {
    let stage = Stage::start().await;
    let instance = made(&stage, &token(&stage, &[])).await;
    let id = Value::from(text(&instance, "id").unwrap());
    let open = || {
        stage
            .host
            .open("berth_token_secret", [("token_id", id.clone())])
    };
    let opened = open().await.unwrap();
    let secret = opened
        .result
        .as_object()
        .unwrap()
        .string("secret")
        .unwrap()
        .unwrap();
    assert!(secret.starts_with("berth_fake_secret"));
    assert!(opened.diagnostics.is_empty());
    assert_eq!(
        open().await.unwrap().result,
        opened.result,
        "it is the same each time"
    );
    assert_eq!(stage.fake.count("GET /v1/tokens/"), 2);

    stage.fake.change(|world| world.inert = true);
    let inert = open().await.unwrap();
    let warned = warnings(&inert.diagnostics);
    assert!(warned[0].contains("opens nothing"), "{warned:?}");
    assert_ne!(inert.result, opened.result);

    stage.fake.change(|world| {
        world.inert = false;
        world.people.secrets.clear();
    });
    let refused = told(open().await);
    assert!(refused.contains("not kept"), "{refused}");
}

#[tokio::test]
async fn an_environment_is_handed_over_and_a_plan_gets_one_that_opens_nothing() {
    let stage = Stage::start().await;
    let url = "postgresql://app:hunter22@h/shop";
    stage.fake.change(|world| {
        world.people.variables = vec![
            ("DATABASE_URL".to_owned(), url.to_owned(), true),
            ("API_KEY".to_owned(), "hunter33".to_owned(), true),
            ("DSN".to_owned(), "postgresql://app@h/shop".to_owned(), true),
            ("HOOK_URL".to_owned(), "hunter44".to_owned(), true),
            ("MODE".to_owned(), "live".to_owned(), false),
            ("APPLICATION".to_owned(), "shop-of-env".to_owned(), false),
        ];
    });
    let project = || [("project_id", Value::from("proj_shop"))];
    let value = |opened: &berth_plugin::server::OpenedEphemeral, name: &str| {
        let object = opened.result.as_object().unwrap();
        let variables = object.map("variables").unwrap().unwrap();
        variables[name].as_str().unwrap().to_owned()
    };
    let opened = stage
        .host
        .open("berth_project_env", project())
        .await
        .unwrap();
    assert_eq!(value(&opened, "DATABASE_URL"), url);
    assert_eq!(
        berth_plugin::secrets::mask("hunter33"),
        berth_plugin::secrets::MASK
    );
    let plain = "live shop-of-env APPLICATION HOOK_URL DATABASE_URL";
    assert_eq!(berth_plugin::secrets::mask(plain), plain);

    stage.fake.change(|world| world.inert = true);
    let inert = stage
        .host
        .open("berth_project_env", project())
        .await
        .unwrap();
    let warned = warnings(&inert.diagnostics).join("\n");
    assert!(warned.contains("DATABASE_URL, API_KEY"), "{warned}");
    for (name, is_url) in [
        ("DATABASE_URL", true),
        ("DSN", true),
        ("API_KEY", false),
        ("HOOK_URL", false),
    ] {
        let stand_in = value(&inert, name);
        assert_eq!(stand_in.parse::<url::Url>().is_ok(), is_url, "{name}");
    }
    assert_eq!(value(&inert, "MODE"), "live");

    // Whoever applies gets none of them.
    stage.fake.change(|world| world.people.writes = true);
    let refused = told(stage.host.open("berth_project_env", project()).await);
    assert!(refused.contains("Not allowed"), "{refused}");
    assert!(refused.contains("\"credentials\""), "{refused}");
    assert!(refused.contains("DATABASE_URL, API_KEY"), "{refused}");
    stage
        .fake
        .change(|world| world.people.variables.truncate(0));
    let open = stage.host.open("berth_project_env", project()).await;
    assert!(open.unwrap().diagnostics.is_empty());
}

#[tokio::test]
async fn an_environment_is_seen_from_where_it_is_used() {
    let stage = Stage::start().await;
    let note = "the variables of bills are left out: it is not exposed";
    stage.fake.change(|world| {
        world.people.notes = vec![note.to_owned()];
    });
    for (network, asked, is_told) in [
        (None, "network=auto", false),
        (Some("project"), "network=project", false),
        (Some("public"), "network=public", true),
    ] {
        let mut config = vec![("project_id", Value::from("proj_shop"))];
        config.extend(network.map(|network| ("network", network.into())));
        let opened = stage.host.open("berth_project_env", config).await.unwrap();
        let requests = stage.fake.requests().join(" ");
        assert!(requests.contains(asked), "{requests}");
        let told = opened.diagnostics.to_string();
        assert_eq!(told.contains("The variables of bills"), is_told, "{told}");
    }
    let wrong = [
        ("project_id", Value::from("proj_shop")),
        ("network", "auto".into()),
    ];
    let refused = told(stage.host.open("berth_project_env", wrong).await);
    assert!(refused.contains("error at network"), "{refused}");
    assert_eq!(stage.fake.requests(), [""; 0]);
}

#[tokio::test]
async fn any_edit_of_a_token_settles() {
    let stage = Stage::start().await;
    let ends = [
        None,
        Some("2099-01-01T00:00:00Z"),
        Some("2099-01-01T02:00:00+02:00"),
        Some("2099-01-01T00:00:00.5Z"),
    ];
    let mut wishes = Vec::new();
    for end in ends {
        for exposed in [false, true] {
            for user in [None, Some("usr_admin")] {
                let mut given = vec![("expose_secret_in_state", Value::from(exposed))];
                given.extend(end.map(|end| ("expires_at", end.into())));
                given.extend(user.map(|user| ("user_id", user.into())));
                wishes.push(token(&stage, &given));
            }
        }
    }
    for from in &wishes {
        for to in &wishes {
            let mut instance = made(&stage, from).await;
            let plan = stage.host.plan(&instance, to).await.unwrap();
            assert_ne!(plan.action, Action::Replace);
            stage
                .host
                .apply_plan(&mut instance, &plan, to)
                .await
                .unwrap();
            stage.host.refresh(&mut instance).await.unwrap();
            let plan = stage.host.plan(&instance, to).await.unwrap();
            assert_eq!(plan.action, Action::NoOp, "{from:?} to {to:?}");
        }
    }
}
