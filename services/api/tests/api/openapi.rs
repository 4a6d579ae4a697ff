//! The OpenAPI document, and what happens to whoever follows it badly: never an answer of 500.

use std::collections::BTreeSet;

use reqwest::RequestBuilder;
use serde_json::{Map, Value, json};

use crate::harness::{Answer, Api, send};

const DOCUMENT: &str = "/api/database/openapi.json";

/// In the place of a parameter of the path or the query.
const BAD_TEXTS: [&str; 9] = [
    "x",
    "%00",
    "%FF%FE",
    "'%22%3B--",
    "..%2F..%2Fetc",
    "pg_catalog",
    "-1",
    "99999999999999999999999999",
    "%F0%9F%98%80",
];

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
    description: Value,
}

impl Operation {
    /// The path with `text` for each of its parameters.
    fn path_with(&self, text: &str) -> String {
        let mut path = String::new();
        for part in self.path.split('/').skip(1) {
            path.push('/');
            path.push_str(if part.starts_with('{') { text } else { part });
        }
        path
    }

    fn query_parameters(&self) -> Vec<String> {
        let parameters = self.description["parameters"].as_array();
        parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Schema of its JSON body.
    fn schema<'d>(&self, document: &'d Value) -> Option<&'d Value> {
        let reference =
            &self.description["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let pointer = reference.as_str()?.strip_prefix('#')?;
        Some(document.pointer(pointer).unwrap())
    }

    fn has_body(&self) -> bool {
        self.description["requestBody"].is_object()
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            operations.push(Operation {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                description: description.clone(),
            });
        }
    }
    operations
}

async fn document(api: &Api) -> Value {
    let answer = send(api.request("GET", DOCUMENT)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Values of every wrong kind.
fn bad_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}"),
        json!("\u{feff}\u{202e}'\"\\;--"),
        json!("x".repeat(70_000)),
        json!([]),
        json!([null, [[]], {}]),
        json!({}),
        json!({ "": { "$ref": [] } }),
    ]
}

/// A body that has a plausible value in each field, for one of them to be spoilt.
fn plausible(schema: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object().unwrap();
    let value = |property: &Value| match property["type"].as_str() {
        Some("string") => json!("x"),
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        Some("array") => json!([]),
        _ => json!({}),
    };
    properties
        .iter()
        .map(|(name, property)| (name.clone(), value(property)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_exists_and_wants_an_administrator() {
    let api = Api::start().await;
    let document = document(&api).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let operations = operations(&document);
    assert!(operations.len() >= 27, "{}", operations.len());
    let names: BTreeSet<_> = operations
        .iter()
        .map(|operation| operation.description["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), operations.len(), "each has a name of its own");
    for operation in &operations {
        let path = operation.path_with("x");
        let answer = send(api.request(&operation.method, &path)).await;
        assert_eq!(
            answer.status, 401,
            "{} {path}: {answer:?}",
            operation.method
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_is_the_callers_fault() {
    let api = Api::start().await;
    let document = document(&api).await;
    let mut sent = 0;
    for operation in operations(&document) {
        for request in spoilt(&api, &document, &operation) {
            let shown = format!("{request:?}");
            let answer = send(request).await;
            check(&answer, &shown.chars().take(400).collect::<String>());
            sent += 1;
        }
    }
    assert!(sent > 400, "{sent}");
}

fn check(answer: &Answer, request: &str) {
    assert!(answer.status < 500, "{request}: {answer:?}");
    if answer.status >= 400 {
        assert_eq!(
            answer.body["statusCode"],
            json!(answer.status),
            "{request}: {answer:?}"
        );
        for field in ["error", "message"] {
            assert!(answer.body[field].is_string(), "{request}: {answer:?}");
        }
    }
}

/// Requests each of which has something wrong.
fn spoilt(api: &Api, document: &Value, operation: &Operation) -> Vec<RequestBuilder> {
    let good = operation.path_with("nothing");
    let request = |path: &str| api.admin(&operation.method, path);
    let mut requests = Vec::new();
    if good != operation.path {
        let bad = BAD_TEXTS
            .iter()
            .map(|text| request(&operation.path_with(text)));
        requests.extend(bad);
    }
    for parameter in operation.query_parameters() {
        for text in BAD_TEXTS {
            requests.push(request(&format!(
                "{good}?{parameter}={text}&{parameter}={text}"
            )));
        }
    }
    if !operation.has_body() {
        return requests;
    }
    for text in [
        "{",
        "null",
        "5",
        "[]",
        "\"x\"",
        "{}",
        "[[[[",
        "{\"a\":1e999}",
        "\u{0}",
        "{\"a\":1,\"a\":2}",
    ] {
        for kind in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
        ] {
            let typed = request(&good).header("content-type", kind);
            requests.push(typed.body(text.to_owned()));
        }
    }
    if let Some(schema) = operation.schema(document) {
        let plausible = plausible(schema);
        for name in plausible.keys() {
            for value in bad_values() {
                let mut body = plausible.clone();
                body.insert(name.clone(), value);
                requests.push(request(&good).json(&body));
            }
        }
    }
    requests
}
