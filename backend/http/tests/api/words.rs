//! What a client reads of its mistakes: words of the API, never those of the program.

use crate::support::{TestBerth, postgres, read, request};
use axum::http::Method;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

/// Words by which the program's language or its reader of JSON would show through.
const FOREIGN: [&str; 24] = [
    "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "usize", "isize", "bool",
    "boolean", "struct", "enum", "tuple", "variant", "sequence", "map", "unit", "visitor",
    "expected", "serde",
];

/// One value of each kind, some of them with others in them.
fn kinds() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(1),
        json!(-1),
        json!(1.5),
        json!("ten"),
        json!([]),
        json!([1]),
        json!([{}]),
        json!({}),
        json!({"a": 1}),
        json!({"a": []}),
    ]
}

/// The properties of a schema; of nested objects with what they are nested in.
fn fields(document: &Value, schema: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let named = |schema: &Value| {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        Some(document["components"]["schemas"][name].clone())
    };
    let schema = named(schema).unwrap_or_else(|| schema.clone());
    let Some(properties) = schema["properties"].as_object() else {
        return found;
    };
    for (name, property) in properties {
        found.push(vec![name.clone()]);
        let choices = property["oneOf"].as_array().cloned().unwrap_or_default();
        for nested in choices.iter().chain([property]) {
            if named(nested).is_none() {
                continue;
            }
            for mut inner in fields(document, nested) {
                inner.insert(0, name.clone());
                found.push(inner);
            }
        }
    }
    found
}

/// An object with that value at that place.
fn with(path: &[String], value: &Value) -> Value {
    let mut made = value.clone();
    for name in path.iter().rev() {
        made = Value::Object(Map::from_iter([(name.clone(), made)]));
    }
    made
}

/// Every sentence of an answer.
fn sentences(answer: &Value, found: &mut Vec<String>) {
    match answer {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "message" || name == "error" => {
                        found.push(text.clone());
                    }
                    _ => sentences(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| sentences(item, found)),
        _ => {}
    }
}

fn foreign(sentence: &str) -> Option<&str> {
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let mut words = sentence.split(is_part);
    words.find(|word| FOREIGN.contains(word) || word.ends_with("Body"))
}

#[tokio::test]
async fn no_mistake_is_told_in_words_of_the_program() {
    let berth = TestBerth::start().await;
    berth.database(postgres("orders")).await;
    let document = berth.get("/openapi.json").await.expect(200);
    // As they would stand in the table of what is tried.
    let mut tried = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{project}", "default")
            .replace("{database}", "orders")
            .replace("{user}", "usr_admin")
            .replace("{name}", "REGION");
        for (method, operation) in methods.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            for field in fields(&document, body) {
                tried.push((method.to_uppercase(), path.clone(), field));
            }
        }
    }
    assert!(tried.len() > 60, "{}", tried.len());
    let mut wrong = Vec::new();
    for (method, path, field) in tried {
        for value in kinds() {
            let mut bodies = vec![with(&field, &value)];
            if path == "/v1/databases" || path == "/v1/projects" {
                let kind = path.trim_start_matches("/v1/").trim_end_matches('s');
                let item = json!({"kind": kind, "config": bodies[0]});
                bodies.push(json!({"resources": [item]}));
            }
            for (number, body) in bodies.into_iter().enumerate() {
                let path = if number == 0 {
                    path.as_str()
                } else {
                    "/v1/plan"
                };
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                // The local socket has no limit.
                let sent = request("", method, path, Some(body.clone()));
                let reply = read(berth.local.clone().oneshot(sent).await.unwrap()).await;
                let mut told = Vec::new();
                sentences(&reply.body, &mut told);
                for sentence in told {
                    if let Some(word) = foreign(&sentence) {
                        wrong.push(format!("{path} {body}: {word} in: {sentence}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
