//! What is answered: to whom, in which form, and how current it says that it is.

use std::time::Duration;

use goldwire::event::{Object, SubjectState};
use goldwire::sink::{Effect, Sink as _};
use serde_json::{Value, json};

use super::{NOW, Served, TOKEN, absorbed, alive, headers, row, snapshot, write};

const RECORDS: &str = "/v1/golden-records";

#[tokio::test]
async fn nobody_is_answered_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let known = alive(&snapshot("entities/a", "canary-name", &["canary-id"]));
    let served = Served::over(dir.path(), vec![row("entities/a", 1, known)]).await;
    for path in [
        "/entities/a",
        "?source=SFDC&value=canary-id",
        "/entities/none",
        "",
    ] {
        let url = format!("http://{}{RECORDS}{path}", served.serving.address());
        let bare = served.http.get(&url);
        let other = || served.http.get(&url);
        for request in [
            bare,
            other().bearer_auth("wrong"),
            other().bearer_auth(""),
            other().bearer_auth(format!("{TOKEN}x")),
            other().basic_auth("me", Some(TOKEN)),
            other().header("authorization", TOKEN),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            assert_eq!(headers(&answer)["www-authenticate"], "Bearer");
            assert!(!answer.text().await.unwrap().contains("canary"), "{path}");
        }
        for token in [TOKEN, "another"] {
            let answer = other().bearer_auth(token).send().await.unwrap();
            assert_ne!(answer.status(), 401);
        }
    }
}

#[tokio::test]
async fn a_golden_record_is_answered_to_the_byte_by_uri_and_by_crosswalk() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{ "uri": "entities/a", "crosswalks": [{"type":"SFDC","value":"a b&c"}], "n": 1.50e400, "odd": "\ud800", "big": 12345678901234567890123 }"#;
    let object = Object::parse(text.as_bytes()).unwrap();
    let state = SubjectState::Alive(std::sync::Arc::new(object));
    let served = Served::over(dir.path(), vec![row("entities/a", 1_000, state)]).await;
    served.clock.pass(61_500);
    for path in ["/entities/a", "/entities%2Fa", "?source=SFDC&value=a+b%26c"] {
        let answer = served.get(&format!("{RECORDS}{path}"), &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let told = headers(&answer);
        assert_eq!(told["content-type"], "application/json");
        assert_eq!(told["cache-control"], "private, no-cache");
        assert_eq!(told["last-modified"], "Thu, 01 Jan 2026 00:00:01 GMT");
        let place = told.get("content-location").map(String::as_str);
        let is_elsewhere = path.starts_with('?');
        assert_eq!(
            place,
            is_elsewhere.then_some("/v1/golden-records/entities/a")
        );
        let wanted = format!(
            r#"{{"uri":"entities/a","type":"Individual","version":1000,"contentTime":{},"ageSeconds":60,"asOf":null,"stale":true,"record":{text}}}"#,
            NOW + 1_000
        );
        assert_eq!(answer.text().await.unwrap(), wanted);
    }
}

#[tokio::test]
async fn a_loser_is_answered_with_its_survivor() {
    let dir = tempfile::tempdir().unwrap();
    let rows = vec![
        row("entities/w", 1, alive(&snapshot("entities/w", "W", &["w"]))),
        row("entities/l", 1, absorbed("entities/w")),
    ];
    let served = Served::over(dir.path(), rows).await;
    let answer = served.get(&format!("{RECORDS}/entities/l"), &[]).await;
    assert_eq!(answer.status(), 200);
    let place = &headers(&answer)["content-location"];
    assert_eq!(place, "/v1/golden-records/entities/w");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["uri"], "entities/w");
    assert_eq!(body["survivorOf"], "entities/l");
    assert_eq!(body["record"]["label"], "W");
    let (_, body) = served.record("entities/w").await;
    assert_eq!(body.get("survivorOf"), None);
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = alive(&snapshot("entities/a", "one", &[]));
    let served = Served::over(dir.path(), vec![row("entities/a", 1, first)]).await;
    let path = format!("{RECORDS}/entities/a");
    let tag = headers(&served.get(&path, &[]).await)["etag"].clone();
    let strong = tag.trim_start_matches("W/").to_owned();
    let several = format!("\"x\", {tag}");
    for known in [&*tag, &strong, &several, "*"] {
        let answer = served.get(&path, &[("if-none-match", known)]).await;
        assert_eq!(answer.status(), 304, "{known}");
        let told = headers(&answer);
        assert_eq!((&*told["etag"], &*told["goldwire-stale"]), (&*tag, "true"));
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    served.clock.pass(10_000);
    let later = headers(&served.get(&path, &[]).await)["etag"].clone();
    assert_eq!(later, tag, "its age is not what it is");
    let second = alive(&snapshot("entities/a", "two", &[]));
    let written = served
        .sink
        .write(&[write(row("entities/a", 1, second))])
        .await;
    assert_eq!(written[0].clone().unwrap().effect, Effect::Delivered);
    let answer = served.get(&path, &[("if-none-match", &tag)]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_answer_is_stale_unless_the_cache_had_everything_lately() {
    let dir = tempfile::tempdir().unwrap();
    let known = alive(&snapshot("entities/a", "A", &[]));
    let served = Served::over(dir.path(), vec![row("entities/a", 1, known)]).await;
    let stale = async || {
        let answer = served.get(&format!("{RECORDS}/entities/a"), &[]).await;
        let header = headers(&answer)["goldwire-stale"].clone();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["stale"].to_string(), header);
        (body["stale"].as_bool().unwrap(), body["asOf"].clone())
    };
    assert_eq!(stale().await, (true, Value::Null));
    served.sink.caught_up(NOW);
    assert_eq!(stale().await, (false, json!(NOW)));
    served.clock.pass(60_000);
    assert_eq!(stale().await, (false, json!(NOW)));
    served.clock.pass(1);
    assert_eq!(stale().await, (true, json!(NOW)));
    served.sink.caught_up(NOW + 1);
    // It never goes back.
    served.sink.caught_up(NOW);
    assert_eq!(stale().await, (false, json!(NOW + 1)));
}

/// Every answer that there is, against the document that is served.
#[tokio::test]
async fn answers_are_as_the_openapi_document_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut untyped = row("entities/u", 2, alive(&json!({ "uri": "entities/u" })));
    untyped.object_type.clear();
    untyped.current.version = None;
    let rows = vec![
        row("entities/a", 1, alive(&snapshot("entities/a", "A", &["x"]))),
        row("entities/l", 1, absorbed("entities/a")),
        row("entities/d", 1, SubjectState::Removed),
        row("entities/e", 1, SubjectState::Erased),
        row("entities/m", 1, absorbed("entities/nowhere")),
        untyped,
    ];
    let served = Served::over(dir.path(), rows).await;
    let url = format!("http://{}/v1/openapi.json", served.serving.address());
    let document: Value = served
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let (by_uri, by_crosswalk) = ("/v1/golden-records/{uri}", "/v1/golden-records");
    for (route, path, status) in [
        (by_uri, "/entities/a", 200),
        (by_uri, "/entities/l", 200),
        (by_uri, "/entities/u", 200),
        (by_uri, "/entities/d", 410),
        (by_uri, "/entities/e", 410),
        (by_uri, "/entities/m", 404),
        (by_uri, "/entities/none", 404),
        (by_uri, "/entities/%ff", 400),
        (by_crosswalk, "?source=SFDC&value=x", 200),
        (by_crosswalk, "?source=SFDC&value=none", 404),
        (by_crosswalk, "?source=SFDC", 400),
        (by_crosswalk, "?source=SFDC&value=x&value=y", 400),
        (by_crosswalk, "", 400),
    ] {
        let answer = served.get(&format!("{RECORDS}{path}"), &[]).await;
        assert_eq!(answer.status(), status, "{path}");
        let told = headers(&answer);
        let body: Value = answer.json().await.unwrap();
        check(&document, route, status, &told, &body);
    }
    let url = format!("http://{}{RECORDS}/entities/a", served.serving.address());
    let answer = served.http.get(url).send().await.unwrap();
    let told = headers(&answer);
    let body = answer.json().await.unwrap();
    check(&document, by_uri, 401, &told, &body);
}

/// Whether the document has this answer of this route.
fn check(
    document: &Value,
    route: &str,
    status: u16,
    told: &std::collections::BTreeMap<String, String>,
    body: &Value,
) {
    let responses = &document["paths"][route]["get"]["responses"];
    let response = resolved(document, &responses[status.to_string()]);
    let kind = &*told["content-type"];
    let schema = response["content"][kind]["schema"]["$ref"].as_str();
    let schema = schema.unwrap_or_else(|| panic!("{route} has no {kind} for {status}"));
    let whole = json!({ "$ref": schema, "components": document["components"] });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let problems: Vec<_> = validator
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert!(
        problems.is_empty(),
        "{route} {status}: {problems:?} in {body}"
    );
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header = resolved(document, header);
        match told.get(&name.to_ascii_lowercase()) {
            Some(value) => {
                let valid = jsonschema::is_valid(&header["schema"], &json!(value));
                assert!(valid, "{name}: {value}");
            }
            None => assert_ne!(
                header["required"],
                json!(true),
                "{route} {status} has no {name}"
            ),
        }
    }
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => part,
    }
}

#[tokio::test]
async fn a_cache_that_cannot_be_opened_answers_503_and_halts_its_own_sink() {
    let dir = tempfile::tempdir().unwrap();
    let first = Served::over(dir.path(), Vec::new()).await;
    let second = super::sink(dir.path(), &first.clock);
    let serving = second.serve().await.unwrap().unwrap();
    let url = format!("http://{}{RECORDS}/entities/a", serving.address());
    let answer = first.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(headers(&answer)["retry-after"], "1");
    let refused = second
        .write(&[write(row("entities/a", 1, SubjectState::Removed))])
        .await;
    let why = refused[0].clone().unwrap_err().to_string();
    assert!(why.contains("in use by another process"), "{why}");
    assert!(second.probe().await.is_empty());
    serving.shutdown(Duration::from_secs(1)).await;
}
