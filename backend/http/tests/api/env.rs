//! What applications find in their environment.

use crate::support::{TestBerth, password_of, postgres, request};
use axum::http::Method;
use berth_domain::{DatabaseId, Timestamp};
use serde_json::{Value, json};

const ENV: &str = "/v1/projects/default/env";

/// The variables as `NAME=value`, by name.
fn lines(environment: &Value) -> Vec<String> {
    let variables = environment["variables"].as_array().unwrap().iter();
    variables
        .map(|v| {
            let value = v["value"].as_str().unwrap_or("(hidden)");
            format!("{}={value}", v["name"].as_str().unwrap())
        })
        .collect()
}

fn names(environment: &Value) -> Vec<&str> {
    let variables = environment["variables"].as_array().unwrap().iter();
    variables.map(|v| v["name"].as_str().unwrap()).collect()
}

async fn put(berth: &TestBerth, name: &str, body: Value) -> crate::support::Reply {
    let path = format!("{ENV}/{name}");
    berth
        .call(&berth.admin, Method::PUT, &path, Some(body))
        .await
}

#[tokio::test]
async fn the_variables_are_there_when_the_order_is_answered() {
    let berth = TestBerth::start().await;
    let first = berth.database(postgres("my-orders")).await;
    berth.pass_days(1);
    let mut second = postgres("bills");
    second["tls_mode"] = json!("require");
    second["pooler"] = json!({"enabled": false});
    let second = berth.database(second).await;
    let [one, two] = [&first, &second].map(|db| db["id"].as_str().unwrap());
    let (p1, p2) = (
        password_of(&berth, one).await,
        password_of(&berth, two).await,
    );
    let (p1, p2) = (p1.reveal(), p2.reveal());

    let found = berth.get(ENV).await.expect(200);
    let pooled = format!(
        "postgresql://app_my-orders:{p1}@berth-pgbouncer-my-orders:5432/my-orders?sslmode=disable"
    );
    assert_eq!(
        lines(&found),
        [
            format!(
                "BILLS_URL=postgresql://app_bills:{p2}@berth-db-bills:5432/bills?sslmode=require"
            ),
            format!("DATABASE_URL={pooled}"),
            format!(
                "DIRECT_URL=postgresql://app_my-orders:{p1}@berth-db-my-orders:5432/my-orders?sslmode=disable"
            ),
            format!("MY_ORDERS_URL={pooled}"),
        ]
    );
    for variable in found["variables"].as_array().unwrap() {
        assert_eq!(variable["managed_by"], "berth");
        assert_eq!(variable["sensitive"], true);
    }
    assert_eq!(found["variables"][0]["source"], two);
    assert_eq!(found["next_page_token"], Value::Null);

    // The next oldest takes its place.
    berth
        .delete(&format!("/v1/databases/{one}"))
        .await
        .expect(200);
    let found = berth.get(ENV).await.expect(200);
    assert_eq!(names(&found), ["BILLS_URL", "DATABASE_URL", "DIRECT_URL"]);
    assert_eq!(found["variables"][1]["source"], two);
}

#[tokio::test]
async fn an_environment_leads_to_databases_from_where_it_is_used() {
    let berth = TestBerth::start().await;
    put(&berth, "ORDERS_URL", json!({"value": "mine"}))
        .await
        .expect(201);
    let inside = berth.database(postgres("orders")).await;
    berth.pass_days(1);
    let mut exposed = postgres("bills");
    exposed["expose"] = json!(true);
    let exposed = berth.database(exposed).await;
    let password = password_of(&berth, exposed["id"].as_str().unwrap()).await;
    let published = format!(
        "BILLS_URL=postgresql://app_bills:{}@{}:{}/bills?sslmode=require",
        password.reveal(),
        exposed["public_host"].as_str().unwrap(),
        exposed["public_port"],
    );
    let by_default = berth.get(ENV).await.expect(200);
    assert!(!lines(&by_default).contains(&published), "{by_default}");
    let project = berth.get(&format!("{ENV}?network=project")).await;
    assert_eq!(project.expect(200), by_default);

    // The oldest has the short names still, and the published port is another's.
    let auto = berth.get(&format!("{ENV}?network=auto")).await.expect(200);
    assert_eq!(names(&auto), names(&by_default));
    assert!(lines(&auto).contains(&published), "{auto}");
    assert_eq!(auto["variables"][1], by_default["variables"][1]);
    assert_eq!(auto["variables"][1]["source"], inside["id"]);

    // What is left out is nobody else's: neither the next database's nor the project's own.
    let path = format!("{ENV}?network=public");
    let public = berth.get(&path).await.expect(200);
    assert_eq!(lines(&public).join(" "), published);
    let notes = public["notes"].to_string();
    assert!(
        notes.contains("the variables of orders are left out"),
        "{notes}"
    );
    let text = berth.get(&format!("{path}&format=dotenv")).await.text;
    assert!(
        text.contains("BILLS_URL=") && !text.contains("DATABASE_URL"),
        "{text}"
    );
    let plan = berth.token("plan", None).await;
    let hidden = berth
        .call(&plan, Method::GET, &path, None)
        .await
        .expect(200);
    assert_eq!(lines(&hidden), ["BILLS_URL=(hidden)"]);

    let wrong = berth.get(&format!("{ENV}?network=lan")).await;
    assert_eq!(wrong.line(), "422 invalid_field [network]");
}

#[tokio::test]
async fn who_may_not_read_credentials_gets_names_and_writes_nothing() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    put(&berth, "REGION", json!({"value": "eu", "sensitive": false}))
        .await
        .expect(201);
    put(&berth, "KEY", json!({"value": "hunter2"}))
        .await
        .expect(201);
    for preset in ["plan", "application"] {
        let token = berth.token(preset, None).await;
        let before = berth.services.store_version().await.unwrap();
        let reply = berth.call(&token, Method::GET, ENV, None).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        let found = reply.expect(200);
        let after = berth.services.store_version().await.unwrap();
        let hidden = lines(&found)
            .iter()
            .filter(|line| line.ends_with("(hidden)"))
            .count();
        let told = lines(&found).contains(&"REGION=eu".to_owned());
        assert!(told, "{found}");
        assert_eq!(found["only_plans"], json!(preset == "plan"));
        if preset == "plan" {
            assert_eq!((hidden, after), (4, before), "{found}");
            for format in ["dotenv", "docker"] {
                let path = format!("{ENV}?format={format}");
                let refused = berth.call(&token, Method::GET, &path, None).await;
                assert_eq!(refused.line(), "403 scope_missing");
            }
        } else {
            assert_eq!((hidden, after), (0, before + 1), "{found}");
            let path = format!("{ENV}/KEY");
            let body = Some(json!({"value": "x"}));
            let refused = berth.call(&token, Method::PUT, &path, body).await;
            assert_eq!(refused.line(), "403 scope_missing");
        }
    }
    // One that applies and may not read them is told from one that plans.
    let body = json!({"name": "ci", "scopes": ["read", "plan", "write"]});
    let made = berth.post("/v1/tokens", body).await.expect(201);
    let writer = made["secret"].as_str().unwrap();
    let found = berth.call(writer, Method::GET, ENV, None).await.expect(200);
    assert_eq!(found["only_plans"], json!(false));
    assert!(
        lines(&found).contains(&"KEY=(hidden)".to_owned()),
        "{found}"
    );
    let events = berth.get("/v1/events").await.expect(200).to_string();
    assert!(
        events.contains("env.read") && events.contains("env.changed"),
        "{events}"
    );
    assert!(!events.contains("hunter2"), "{events}");
}

#[tokio::test]
async fn a_variable_of_ones_own_is_set_changed_and_removed() {
    let berth = TestBerth::start().await;
    let made = put(
        &berth,
        "MAIL_FROM",
        json!({"value": "a@b", "sensitive": false}),
    )
    .await;
    assert_eq!(
        made.expect(201)["variable"],
        json!({"name": "MAIL_FROM", "value": "a@b", "sensitive": false, "managed_by": null, "source": null})
    );
    // The answer says what was stored, and no secret.
    let hidden = put(&berth, "KEY", json!({"variable": {"value": "hunter2"}}))
        .await
        .expect(201);
    assert_eq!(hidden["variable"]["value"], Value::Null);
    // What is not said again stays.
    let changed = put(&berth, "MAIL_FROM", json!({"value": "c@d"}))
        .await
        .expect(200);
    assert_eq!(changed["variable"]["sensitive"], false);
    let before = berth.services.store_version().await.unwrap();
    put(&berth, "MAIL_FROM", json!({"value": "c@d"}))
        .await
        .expect(200);
    assert_eq!(berth.services.store_version().await.unwrap(), before);
    let found = berth.get(ENV).await.expect(200);
    assert_eq!(lines(&found), ["KEY=hunter2", "MAIL_FROM=c@d"]);

    let path = format!("{ENV}/KEY");
    assert_eq!(berth.delete(&path).await.status, 204);
    assert_eq!(berth.delete(&path).await.line(), "404 variable_not_found");
    assert_eq!(lines(&berth.get(ENV).await.expect(200)), ["MAIL_FROM=c@d"]);
    let nowhere = berth.delete("/v1/projects/nowhere/env/KEY").await;
    assert_eq!(nowhere.line(), "404 project_not_found");
}

#[tokio::test]
async fn what_is_no_variable_is_refused() {
    let berth = TestBerth::start().await;
    for (name, body, line) in [
        ("1A", json!({"value": ""}), "422 invalid_field [name]"),
        ("A-B", json!({"value": ""}), "422 invalid_field [name]"),
        ("%C3%84", json!({"value": ""}), "422 invalid_field [name]"),
        ("PATH", json!({"value": "/tmp"}), "422 invalid_field [name]"),
        (
            "BASH_ENV",
            json!({"value": "$(id -u > /tmp/file)"}),
            "422 invalid_field [name]",
        ),
        (
            "LD_PRELOAD",
            json!({"value": "/tmp/a.so"}),
            "422 invalid_field [name]",
        ),
        ("A%0AB", json!({"value": ""}), "422 invalid_field [name]"),
        // What interpreters read is for the application to say.
        ("NODE_OPTIONS", json!({"value": "--no-warnings"}), "201 -"),
        ("A", json!({}), "422 invalid_field [value]"),
        ("A", json!({"value": 5}), "422 invalid_field [value]"),
        (
            "A",
            json!({"value": "", "secret": true}),
            "422 invalid_field [secret]",
        ),
        (
            "A",
            json!({"value": "a\u{0}b"}),
            "422 invalid_field [value]",
        ),
        (
            "A",
            json!({"value": "x".repeat(64 * 1024 + 1)}),
            "422 invalid_field [value]",
        ),
    ] {
        assert_eq!(put(&berth, name, body.clone()).await.line(), line, "{name}");
    }
    let long = "A".repeat(129);
    assert_eq!(
        put(&berth, &long, json!({"value": ""})).await.line(),
        "422 invalid_field [name]"
    );
    put(&berth, &long[1..], json!({"value": "x".repeat(64 * 1024)}))
        .await
        .expect(201);
    // All of them together fit into the environment of a process.
    for number in 0..14 {
        put(
            &berth,
            &format!("N{number}"),
            json!({"value": "x".repeat(64 * 1024)}),
        )
        .await
        .expect(201);
    }
    let last = put(&berth, "LAST", json!({"value": "x".repeat(64 * 1024)})).await;
    assert_eq!(last.line(), "409 environment_full");
    let wrong = berth.get(&format!("{ENV}?format=yaml")).await;
    assert_eq!(wrong.line(), "422 invalid_field [format]");
}

#[tokio::test]
async fn managed_names_are_berths() {
    let berth = TestBerth::start().await;
    put(
        &berth,
        "ORDERS_URL",
        json!({"value": "mine", "sensitive": false}),
    )
    .await
    .expect(201);
    berth.database(postgres("orders")).await;
    for name in ["DATABASE_URL", "DIRECT_URL", "ORDERS_URL"] {
        let refused = put(&berth, name, json!({"value": "x"})).await;
        assert_eq!(refused.line(), "409 managed_variable");
    }
    let refused = berth.delete(&format!("{ENV}/DATABASE_URL")).await;
    assert_eq!(refused.line(), "409 managed_variable");
    // One that was there before the database is hidden, which is told, and can be removed.
    let found = berth.get(ENV).await.expect(200);
    assert_eq!(names(&found), ["DATABASE_URL", "DIRECT_URL", "ORDERS_URL"]);
    assert!(
        found["notes"][0].as_str().unwrap().contains("ORDERS_URL"),
        "{found}"
    );
    assert_eq!(berth.delete(&format!("{ENV}/ORDERS_URL")).await.status, 204);
    assert_eq!(berth.get(ENV).await.expect(200)["notes"], json!([]));
}

#[tokio::test]
async fn a_database_is_called_what_the_application_calls_it() {
    let berth = TestBerth::start().await;
    let mut order = postgres("orders");
    order["inject_env"] = json!({"DATABASE_URL": "PG_URL", "ORDERS_URL": "orders"});
    let made = berth.database(order.clone()).await;
    assert_eq!(made["inject_env"], order["inject_env"]);
    let found = berth.get(ENV).await.expect(200);
    assert_eq!(names(&found), ["DIRECT_URL", "PG_URL", "orders"]);
    // The old name is free for a variable of one's own.
    put(&berth, "DATABASE_URL", json!({"value": "elsewhere"}))
        .await
        .expect(201);
    assert_eq!(
        put(&berth, "PG_URL", json!({"value": ""})).await.line(),
        "409 managed_variable"
    );

    let path = format!("/v1/databases/{}", made["id"].as_str().unwrap());
    for (map, line) in [
        (
            json!({"OTHER_URL": "X"}),
            "422 invalid_field [inject_env.OTHER_URL]",
        ),
        (
            json!({"DATABASE_URL": "1X"}),
            "422 invalid_field [inject_env.DATABASE_URL]",
        ),
        (
            json!({"DATABASE_URL": "BASH_ENV"}),
            "422 invalid_field [inject_env.DATABASE_URL]",
        ),
        (
            json!({"DATABASE_URL": "X", "DIRECT_URL": "X"}),
            "422 invalid_field [inject_env.DIRECT_URL]",
        ),
    ] {
        let refused = berth.patch(&path, json!({"inject_env": map})).await;
        assert_eq!(refused.line(), line);
    }
    // No operation: what runs knows nothing of names.
    let operation = berth.get(&path).await.expect(200)["database"]["operation_id"].clone();
    let changed = berth
        .patch(&path, json!({"inject_env": {}}))
        .await
        .expect(200);
    assert_eq!(changed["database"]["operation_id"], operation);
    assert_eq!(
        names(&berth.get(ENV).await.expect(200)),
        ["DATABASE_URL", "DIRECT_URL", "ORDERS_URL"]
    );

    // Where two databases want one name, the older one has it, and that is told.
    berth.pass_days(1);
    let mut bills = postgres("bills");
    bills["inject_env"] = json!({"BILLS_URL": "ORDERS_URL"});
    berth.database(bills).await;
    let found = berth.get(ENV).await.expect(200);
    let of_orders = found["variables"].as_array().unwrap().iter();
    let sources: Vec<_> = of_orders.filter(|v| v["name"] == "ORDERS_URL").collect();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0]["source"], made["id"]);
    assert!(
        found["notes"].to_string().contains("BILLS_URL of bills"),
        "{found}"
    );
}

#[tokio::test]
async fn a_name_that_would_be_the_first_databases_is_given_to_none() {
    let berth = TestBerth::start().await;
    let item = json!({"kind": "database", "config": postgres("database")});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert!(
        planned["notes"].to_string().contains("DATABASE_URL"),
        "{planned}"
    );
    berth.database(postgres("orders")).await;
    berth.pass_days(1);
    berth.database(postgres("database")).await;
    berth.database(postgres("direct")).await;
    let found = berth.get(ENV).await.expect(200);
    assert_eq!(names(&found), ["DATABASE_URL", "DIRECT_URL", "ORDERS_URL"]);
    assert_eq!(found["notes"].as_array().unwrap().len(), 2, "{found}");
}

#[tokio::test]
async fn an_environment_is_a_file_for_compose_or_for_docker() {
    let berth = TestBerth::start().await;
    put(&berth, "HARD", json!({"value": "it's $5 # \"no\""}))
        .await
        .expect(201);
    put(&berth, "PLAIN", json!({"value": "a:b"}))
        .await
        .expect(201);
    let reply = berth.get(&format!("{ENV}?format=dotenv")).await;
    assert_eq!(reply.text, "HARD=\"it's \\$5 # \\\"no\\\"\"\nPLAIN=a:b\n");
    assert!(reply.header("content-type").starts_with("text/plain"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let reply = berth.get(&format!("{ENV}?format=docker")).await;
    assert_eq!(reply.text, "HARD=it's $5 # \"no\"\nPLAIN=a:b\n");
    put(&berth, "KEY_PEM", json!({"value": "-----\nhunter2\n"}))
        .await
        .expect(201);
    let refused = berth.get(&format!("{ENV}?format=docker")).await;
    assert_eq!(refused.line(), "422 unwritable_variable [KEY_PEM]");
    assert!(!refused.text.contains("hunter2"));
    assert!(
        berth
            .get(&format!("{ENV}?format=dotenv"))
            .await
            .text
            .contains("KEY_PEM='-----\nhunter2\n'\n")
    );
}

#[tokio::test]
async fn the_first_use_makes_the_first_database() {
    let berth = TestBerth::start().await;
    let shop = json!({"name": "shop", "auto_provision": true});
    let made = berth.post("/v1/projects", shop).await.expect(201);
    assert_eq!(made["project"]["auto_provision"], true);
    assert_eq!(made["project"]["env_dir"], "/run/berth/0123abcd/env/shop");
    let path = "/v1/projects/shop/env";
    let application = berth.token("application", Some("shop")).await;
    let plan = berth.token("plan", None).await;
    let none = berth.call(&plan, Method::GET, path, None).await.expect(200);
    assert_eq!(names(&none), Vec::<&str>::new());
    let looking = format!("{path}?provision=false");
    let none = berth.call(&application, Method::GET, &looking, None).await;
    assert_eq!(names(&none.expect(200)), Vec::<&str>::new());
    let (one, two) = tokio::join!(
        berth.call(&application, Method::GET, path, None),
        berth.call(&application, Method::GET, path, None),
    );
    for reply in [one, two] {
        let found = reply.expect(200);
        assert_eq!(names(&found), ["DATABASE_URL", "DIRECT_URL", "SHOP_URL"]);
    }
    let list = "/v1/databases?project_id=shop";
    let databases = berth.get(list).await.expect(200)["databases"].clone();
    assert_eq!(databases.as_array().unwrap().len(), 1, "{databases}");
    assert_eq!(databases[0]["engine"], "postgresql");
    assert_eq!(databases[0]["name"], "shop");
    // Once in a project's life: what was destroyed does not come back empty.
    let id = databases[0]["id"].as_str().unwrap();
    berth
        .delete(&format!("/v1/databases/{id}"))
        .await
        .expect(200);
    let found = berth.get(path).await.expect(200);
    assert_eq!(names(&found), Vec::<&str>::new());
    // Nor is anything made where nobody wanted it.
    let changed = berth
        .patch("/v1/projects/default", json!({"auto_provision": null}))
        .await;
    assert_eq!(changed.expect(200)["project"]["auto_provision"], false);
    berth.get(ENV).await.expect(200);
    assert_eq!(
        berth.get("/v1/databases").await.expect(200)["databases"],
        json!([])
    );
}

#[tokio::test]
async fn what_is_long_forgotten_does_not_come_back_empty() {
    let berth = TestBerth::start().await;
    let shop = json!({"name": "shop", "auto_provision": true});
    berth.post("/v1/projects", shop).await.expect(201);
    let mut orders = postgres("orders");
    orders["project_id"] = json!("shop");
    let orders = berth.database(orders).await;
    let id = orders["id"].as_str().unwrap();
    berth
        .delete(&format!("/v1/databases/{id}"))
        .await
        .expect(200);
    let mut tx = berth.store.begin().await.unwrap();
    let (id, purged) = (
        DatabaseId::parse(id).unwrap(),
        Timestamp::parse("2027-01-01T00:00:00Z").unwrap(),
    );
    tx.mark_purged(&id, purged).await.unwrap();
    let forgotten = tx.forget_purged_databases(purged.plus_days(31)).await;
    assert_eq!(forgotten.unwrap(), 1);
    tx.commit().await.unwrap();
    let found = berth.get("/v1/projects/shop/env").await.expect(200);
    assert_eq!(names(&found), Vec::<&str>::new());
    let list = berth.get("/v1/databases?project_id=shop").await.expect(200);
    assert_eq!(list["databases"], json!([]));
}

#[tokio::test]
async fn new_attributes_are_planned() {
    let berth = TestBerth::start().await;
    let config = json!({"name": "shop", "auto_provision": true});
    let planned = berth
        .plan_one(&berth.admin, json!({"kind": "project", "config": config}))
        .await;
    assert_eq!(planned["planned"]["auto_provision"], true);
    assert_eq!(
        planned["planned"]["env_dir"],
        "/run/berth/0123abcd/env/shop"
    );
    let item =
        json!({"kind": "project", "config": {"name": "shop"}, "unknown": ["auto_provision"]});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert!(
        planned["unknown"].to_string().contains("auto_provision"),
        "{planned}"
    );
    let mut config = postgres("orders");
    config["inject_env"] = json!({"ORDERS_URL": "PG"});
    let item = json!({"kind": "database", "config": config});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert_eq!(planned["planned"]["inject_env"], config["inject_env"]);
    let item = json!({"kind": "database", "config": postgres("orders"), "unknown": ["inject_env"]});
    let planned = berth.plan_one(&berth.admin, item).await;
    assert!(
        planned["unknown"].to_string().contains("inject_env"),
        "{planned}"
    );
}

#[tokio::test]
async fn another_projects_environment_is_not_there() {
    let berth = TestBerth::start().await;
    berth
        .post("/v1/projects", json!({"name": "shop"}))
        .await
        .expect(201);
    let token = berth.token("application", Some("shop")).await;
    let reply = berth.send(request(&token, Method::GET, ENV, None)).await;
    assert_eq!(reply.line(), "404 project_not_found");
}
