//! The cache sink: what it keeps, whatever the order, and what it answers.

mod answers;
mod erasure;
mod instance;
mod orders;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use goldwire::event::{Object, Subject, SubjectState};
use goldwire::sink::cache::{Cache, CacheSink, Found, Row, Table};
use goldwire::sink::{Current, Serving, Sink as _, Write};
use goldwire::store::MemoryStore;
use goldwire::telemetry::Metrics;
use goldwire::time::{Clock, Millis};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::process::sender::client;

/// The time at which tests begin.
const NOW: Millis = 1_767_225_600_000;
const TOKEN: &str = "canary-cache-token";

/// A clock that a test sets.
#[derive(Debug, Clone)]
struct Set(Arc<AtomicI64>);

impl Set {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    fn pass(&self, time: Millis) {
        self.0.fetch_add(time, Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

fn sink(dir: &Path, clock: &Set) -> Cache {
    let config = json!({
        "dir": dir, "address": "127.0.0.1:0", "tokens": ["another", TOKEN], "stale_after": "1m",
        "purge_after": "1h",
    });
    let config: CacheSink = serde_json::from_value(config).unwrap();
    let metrics = Arc::new(Metrics::noop());
    Cache::new("reads", &config, Arc::new(clock.clone()), metrics)
}

/// A snapshot with these crosswalks of the source `SFDC`.
fn snapshot(uri: &str, label: &str, crosswalks: &[&str]) -> Value {
    let crosswalks = crosswalks
        .iter()
        .map(|value| json!({ "type": "configuration/sources/SFDC", "value": value }));
    json!({
        "uri": uri, "type": "configuration/entityTypes/Individual", "label": label,
        "crosswalks": crosswalks.collect::<Value>(),
    })
}

fn alive(json: &Value) -> SubjectState {
    let object = Object::parse(json.to_string().as_bytes()).unwrap();
    SubjectState::Alive(Arc::new(object))
}

fn absorbed(by: &str) -> SubjectState {
    SubjectState::Absorbed {
        by: Some(by.to_owned()),
    }
}

/// What a subject is at `time`, ms after [`NOW`].
fn row(uri: &str, time: Millis, state: SubjectState) -> Row {
    Row {
        subject: Subject::new("acme", uri),
        object_type: "Individual".to_owned(),
        current: Current {
            erased: state == SubjectState::Erased,
            state,
            content_time: NOW + time,
            version: Some(time),
            fields: None,
        },
    }
}

fn write(row: Row) -> Write {
    Write {
        subject: row.subject,
        object_type: row.object_type.into(),
        current: Some(row.current),
        changes: Vec::new(),
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

fn table() -> Table {
    Table::over(Arc::new(MemoryStore::new()))
}

/// The survivor's URI and its object, or what else there is in a word.
fn shown(found: &Found) -> String {
    match found {
        Found::Alive(uri, entry) => {
            let text = std::str::from_utf8(&entry.object).unwrap();
            let json: Value = serde_json::from_str(text).unwrap();
            format!("{uri} {}", json["label"])
        }
        Found::Dead => "dead".to_owned(),
        Found::Merged => "merged".to_owned(),
        Found::Unknown => "unknown".to_owned(),
    }
}

/// A cache that answers.
struct Served {
    sink: Cache,
    serving: Serving,
    http: Client,
    clock: Set,
}

impl Served {
    async fn over(dir: &Path, rows: Vec<Row>) -> Self {
        let clock = Set::new();
        let sink = sink(dir, &clock);
        // The table is open from the first write on.
        let first = row("entities/first", 0, SubjectState::Removed);
        let rows = [first].into_iter().chain(rows);
        let writes: Vec<_> = rows.map(write).collect();
        for answer in sink.write(&writes).await {
            answer.unwrap();
        }
        let serving = sink.serve().await.unwrap().unwrap();
        Self {
            sink,
            serving,
            http: client(),
            clock,
        }
    }

    /// The answer at `path`, with these headers besides a token.
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let url = format!("http://{}{path}", self.serving.address());
        let request = self.http.get(url).bearer_auth(TOKEN);
        let headers = headers.iter();
        let request = headers.fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.unwrap()
    }

    /// The golden record of `uri`: the status and the body.
    async fn record(&self, uri: &str) -> (u16, Value) {
        let answer = self.get(&format!("/v1/golden-records/{uri}"), &[]).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// All of an answer's headers that are text.
fn headers(answer: &Response) -> BTreeMap<String, String> {
    let headers = answer.headers().iter();
    let text = headers.filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    text.collect()
}
