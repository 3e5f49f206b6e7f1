//! The registry's REST API, at a fake one that answers like Confluent's, and like what is none.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;
use goldwire::schema_registry::{SchemaRegistry, SchemaRegistryConfig, probe};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Requests: the path with what stands behind it, and the right to ask.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// Answers `answer` to each path, and keeps the requests; its address.
async fn fake(answer: fn(&str) -> (u16, Value)) -> (String, Asked) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keep = move |State(asked): State<Asked>, uri: Uri, headers: HeaderMap| async move {
        let right = headers
            .get("authorization")
            .map(|right| right.to_str().unwrap().to_owned());
        asked.lock().unwrap().push((uri.to_string(), right));
        let (status, body) = answer(uri.path());
        (StatusCode::from_u16(status).unwrap(), body.to_string())
    };
    let router = Router::new().fallback(keep).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), asked)
}

fn config(url: &str, more: &Value) -> SchemaRegistryConfig {
    let mut config = json!({ "url": url });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn registry(url: &str, more: &Value) -> (SchemaRegistry, TempDir) {
    let dir = TempDir::new().unwrap();
    (
        SchemaRegistry::connect("topic", &config(url, more), dir.path()).unwrap(),
        dir,
    )
}

fn not_found(code: u32) -> (u16, Value) {
    (404, json!({ "error_code": code, "message": "not found" }))
}

#[tokio::test]
async fn what_a_schema_refers_to_is_read_by_subject_and_version_each_once() {
    let (url, asked) = fake(|path| {
        let reference = |name: &str, subject: &str, version: i64| {
            json!({ "name": name, "subject": subject, "version": version })
        };
        let record = |name: &str, of: &str| {
            json!({"type": "record", "name": name, "fields": [{"name": "x", "type": of}]}).to_string()
        };
        match path {
            "/apis/ccompat/v7/schemas/ids/9" => (200, json!({
                "schema": json!(["a.A", "b.B"]).to_string(),
                "references": [reference("a.A", "a/value", 3), reference("b.B", "b", 1)],
            })),
            "/apis/ccompat/v7/subjects/a%2Fvalue/versions/3" => (200, json!({
                "schema": record("a.A", "b.B"), "references": [reference("b.B", "b", 1)],
            })),
            "/apis/ccompat/v7/subjects/b/versions/1" => (200, json!({
                "subject": "b", "id": 2, "version": 1, "schemaType": "AVRO",
                "schema": record("b.B", "int"),
            })),
            _ => not_found(40403),
        }
    })
    .await;
    let secret = json!({ "username": "u", "password": "p" });
    let (registry, _dir) = registry(&format!("{url}/apis/ccompat/v7/"), &secret);
    let schema = registry.schema(9).await.unwrap();
    let body = schema.body(&Bytes::from_static(&[0, 14]), 100).unwrap();
    assert_eq!(body, r#"{"x":{"x":7}}"#);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for (_, right) in asked {
        assert_eq!(right.as_deref(), Some("Basic dTpw"));
    }
}

#[tokio::test]
async fn only_the_registrys_own_word_is_a_refusal() {
    let (url, asked) = fake(|path| match path.rsplit('/').next() {
        Some("1") => not_found(40403),
        Some("2") => (
            200,
            json!({ "schema": "\"x.Y\"", "references": [
                { "name": "x.Y", "subject": "gone", "version": 8 }] }),
        ),
        Some("8") => not_found(40402),
        _ => (200, json!({ "schema": "{", "schemaType": "AVRO" })),
    })
    .await;
    let (registry, _dir) = registry(&url, &json!({ "bearer": "token" }));
    let unknown = registry.schema(1).await.unwrap_err();
    assert_eq!(unknown.code, "unknown_schema");
    assert_eq!(
        asked.lock().unwrap().len(),
        3,
        "a node may learn of it late"
    );
    let reference = registry.schema(2).await.unwrap_err();
    assert_eq!(reference.code, "unusable_schema");
    for part in ["schema 2", "reference x.Y", "subject gone, version 8"] {
        assert!(reference.detail.contains(part), "{}", reference.detail);
    }
    let none = registry.schema(3).await.unwrap_err();
    assert!(
        none.detail.starts_with("schema 3 cannot be used"),
        "{}",
        none.detail
    );
    let right = asked.lock().unwrap()[0].1.clone();
    assert_eq!(right.as_deref(), Some("Bearer token"));
}

#[tokio::test]
async fn a_probe_says_what_to_do() {
    let ask = async |answer| {
        let (url, _) = fake(answer).await;
        probe(&config(&url, &json!({}))).await
    };
    assert_eq!(ask(|_| not_found(40403)).await, None);
    for (said, part) in [
        (
            ask(|_| (404, json!("<html>"))).await,
            "`url` ends where its API begins",
        ),
        (
            ask(|_| (200, json!({ "hello": 1 }))).await,
            "`url` ends where its API begins",
        ),
        (
            ask(|_| (401, json!({ "error_code": 401 }))).await,
            "correct `username`",
        ),
        (ask(|_| (503, json!({}))).await, "answers 503"),
    ] {
        let said = said.unwrap();
        assert!(
            said.starts_with("the registry ") && said.contains(part),
            "{said}"
        );
        assert!(!said.contains("127.0.0.1"), "{said}");
    }
    let nobody = probe(&config("http://127.0.0.1:1", &json!({})))
        .await
        .unwrap();
    assert_eq!(nobody, "the registry does not answer (connect)");
    let odd = probe(&config("registry", &json!({}))).await.unwrap();
    assert!(odd.contains("url: write its address in full"), "{odd}");
}
