use crate::support::TestBerth;
use std::path::Path;

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
