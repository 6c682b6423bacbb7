use crate::support::{TestBerth, request};
use axum::http::Method;
use berth_http::Config;
use http_body_util::BodyExt;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tower::ServiceExt;

/// The document that is checked in, so that a change of the API shows in its review. Set
/// `BERTH_UPDATE` to write it anew.
#[tokio::test]
async fn the_openapi_document_is_the_one_that_is_checked_in() {
    let berth = TestBerth::start().await;
    let document = berth.get("/openapi.json").await.expect(200);
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    if std::env::var_os("BERTH_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{} differs: run the test again with BERTH_UPDATE=1 and look at the difference",
        path.display()
    );
    for schema in ["Database", "DatabaseBody", "ApiError", "PlanAnswer"] {
        assert!(
            document["components"]["schemas"].get(schema).is_some(),
            "{schema}"
        );
    }
}

#[tokio::test]
async fn the_document_is_written_once() {
    let berth = TestBerth::start().await;
    let router = berth_http::router(Arc::clone(&berth.services), Config::default());
    let mut places = Vec::new();
    for _ in 0..2 {
        let sent = request("", Method::GET, "/openapi.json", None);
        let answer = router.clone().oneshot(sent).await.unwrap();
        // It comes in parts; where the first lies tells where all do.
        let part = answer.into_body().frame().await.unwrap().unwrap();
        places.push(part.into_data().unwrap());
    }
    // Both answers are the same bytes at the same place.
    assert_eq!(places[0].as_ptr(), places[1].as_ptr());
    assert_eq!(places[0], places[1]);
}

#[tokio::test]
async fn every_operation_has_an_id_of_its_own() {
    let berth = TestBerth::start().await;
    let document = berth.get("/openapi.json").await.expect(200);
    let mut seen = std::collections::BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(seen.insert(id.clone()), "two operations are {id}");
        }
    }
    assert!(
        seen.contains("post_v1_projects_project_database"),
        "{seen:?}"
    );
}

/// The schema that a body is of, when it is one by name; of a list, that of its elements.
fn schema<'a>(document: &'a Value, content: &Value) -> Option<&'a Value> {
    let schema = &content["schema"];
    let items = schema["items"]["$ref"].as_str();
    let name = schema["$ref"].as_str().or(items)?.rsplit('/').next()?;
    document["components"]["schemas"].get(name)
}

/// What an example has that its schema does not know, and lacks that it requires.
fn misfits(example: &Value, schema: &Value) -> Vec<String> {
    let (Some(example), Some(known)) = (example.as_object(), schema["properties"].as_object())
    else {
        return Vec::new();
    };
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required.filter_map(|field| {
        let field = field.as_str()?;
        (!example.contains_key(field)).then(|| format!("lacks {field}"))
    });
    let unknown = example.keys().filter(|field| !known.contains_key(*field));
    let unknown = unknown.map(|field| format!("has {field}"));
    missing.chain(unknown).collect()
}

#[tokio::test]
async fn every_json_body_has_an_example() {
    let berth = TestBerth::start().await;
    let document = berth.get("/openapi.json").await.expect(200);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().iter();
            let bodies = answers
                .filter(|(status, _)| status.starts_with('2'))
                .map(|(_, answer)| answer)
                .chain(operation.get("requestBody"));
            for content in bodies.filter_map(|body| body["content"].get("application/json")) {
                let what = format!("{method} {path}");
                seen += 1;
                let of = schema(&document, content);
                let own = content.get("example").is_some() || content.get("examples").is_some();
                match of.and_then(|schema| schema.get("example")) {
                    None if !own => wrong.push(format!("{what} has none")),
                    None => {}
                    Some(example) => {
                        let misfits = misfits(example, of.unwrap());
                        wrong.extend(misfits.iter().map(|misfit| format!("{what} {misfit}")));
                    }
                }
            }
        }
    }
    assert!(seen > 50, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
