//! A data directory with something of everything that a release keeps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::dead_letter::{Filter, Redrive, StoredLetters, Work};
use goldwire::event::proto::DeadLetter;
use goldwire::event::{Kind, Origin, SourceRecord, State, Subject};
use goldwire::log::Log;
use goldwire::runtime::{Deps, Files, Instance, WrapSink};
use goldwire::sink::{Ack, Capabilities, Sink, SinkError, Write, each};
use goldwire::store::{Batch, Cursor, Register, keys};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SystemClock};
use goldwire::topology::{self, Config};
use prost::Message as _;
use serde_json::{Value, json};

const CONFIG: &str = "
tenant: acme
data_dir: DIR/data
store: ENGINE
sources:
  hook:
    webhook: { path: /hook, scheme: reltio, secrets: [s] }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks:
  lake: { warehouse: { url: 'sqlite:DIR/lake.db' } }
log: { partitions: 2 }
delivery: { retry: { attempts: 2, first: 10ms, longest: 10ms } }
";

/// When the tenant's history begins, ms.
const START: Millis = 1_800_000_000_000;
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn config(engine: &str, dir: &Path) -> Config {
    let text = CONFIG.replace("ENGINE", engine);
    let text = text.replace("DIR", &dir.display().to_string());
    topology::parse(&text, &|_| None).unwrap()
}

/// Runs an instance until everything has its outcome, and stops it in order.
pub(super) async fn run_until_caught_up(config: &Config, wrap: Option<WrapSink>) {
    let with = Deps {
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        seed: 7,
        wrap,
    };
    caught_up(Instance::start(config, &with).await.unwrap()).await;
}

/// Waits until everything has its outcome, and stops in order.
pub(super) async fn caught_up(instance: Instance) {
    let caught_up = async {
        while !instance.is_caught_up() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, caught_up)
        .await
        .expect("the instance catches up");
    instance.stop().await;
}

/// Writes the directory: logs that are read in part, registers, cursors, letters of several kinds,
/// two redriven records on their way.
pub(super) async fn written(engine: &str, dir: &Path) -> Files {
    let config = config(engine, dir);
    let files = Files::open(&config).unwrap();
    let poison = json!({ "type": "CREATE", "tenantId": "other", "uri": "entities/x" });
    let delta = json!({ "type": "ENTITY_CHANGED", "uri": "entities/gil", "deltas": { "entityType": "Individual" } });
    receive(&files, history()).await;
    receive(
        &files,
        [b"{not json".to_vec(), bytes(&poison), bytes(&delta)],
    )
    .await;
    drop(files);
    run_until_caught_up(&config, Some(Arc::new(|inner| Arc::new(Picky(inner))))).await;

    let files = Files::open(&config).unwrap();
    for filter in [
        Filter {
            reason: Some("rejected".to_owned()),
            ..Filter::default()
        },
        Filter {
            reason: Some("undecodable".to_owned()),
            ..Filter::default()
        },
    ] {
        redrive(&files, filter).await;
    }
    receive(
        &files,
        [
            snapshot("ENTITY_CHANGED", "ada", 3),
            snapshot("ENTITY_CREATED", "hal", 1),
        ],
    )
    .await;
    files.store.commit(of_another_sink()).unwrap();
    files
}

/// What only a crash, a gap or a sink that reads Reltio leaves behind: of a sink that is not
/// configured any more.
fn of_another_sink() -> Batch {
    let mut batch = Batch::default();
    let register = Register {
        version: Some(7),
        commit_time: Some(START),
        maybe_seen_until: START + 1,
        state: State::Absorbed.into(),
        absorbed_by: "entities/bob".to_owned(),
        content_time: START + 2,
        newest: START + 3,
        lacks: 2,
        letters: vec![format!("0123:2@{START}")],
        ..Register::default()
    };
    let subject = Subject::new("acme", "entities/ada");
    batch.put(keys::register("crm", 1, &subject), register.encode_to_vec());
    let cursor = Cursor {
        position: 3,
        clean: false,
        reached: 9,
        restarts: 2,
        ..Cursor::default()
    };
    batch.put(keys::cursor("goldwire.crm", 1), cursor.encode_to_vec());
    batch.put(keys::attempts("crm", 1, 3), b"2".to_vec());
    batch.put(keys::gap("goldwire.crm", 0), b"5".to_vec());
    let letter = DeadLetter {
        id: "0123".to_owned(),
        sink: "crm".to_owned(),
        round: 2,
        subject: subject.uri().to_owned(),
        reason: "rejected".to_owned(),
        fields: vec!["LastName".to_owned()],
        attempts: 3,
        ..DeadLetter::default()
    };
    batch.put(keys::dead_letter("crm", "0123", 2), letter.encode_to_vec());
    batch
}

fn history() -> Vec<Vec<u8>> {
    let merged = json!({
        "type": "ENTITIES_MERGED", "sourceObjectUri": "entities/dora", "objectVersion": 2,
        "commitTime": START + 2000, "uris": ["entities/dora", "entities/ed"],
        "object": object("entities/dora", "Dora 2"),
    });
    let relation = json!({
        "type": "RELATIONSHIP_CREATED", "objectVersion": 1, "commitTime": START + 1000,
        "object": {
            "uri": "relations/r1", "type": "configuration/relationTypes/Knows",
            "startObject": { "objectURI": "entities/ada" }, "endObject": { "objectURI": "entities/bob" },
        },
    });
    vec![
        snapshot("ENTITY_CREATED", "ada", 1),
        snapshot("ENTITY_CREATED", "bob", 1),
        snapshot("ENTITY_CREATED", "cleo", 1),
        snapshot("ENTITY_CREATED", "dora", 1),
        snapshot("ENTITY_CREATED", "ed", 1),
        snapshot("ENTITY_CREATED", "fay", 1),
        snapshot("ENTITY_CREATED", "rejected", 1),
        snapshot("ENTITY_CREATED", "exhausted", 1),
        snapshot("ENTITY_CHANGED", "ada", 2),
        snapshot("ENTITY_REMOVED", "cleo", 2),
        snapshot("ENTITY_REMOVED_GDPR", "fay", 2),
        bytes(&merged),
        bytes(&relation),
    ]
}

/// An event that carries its object, labelled `Ada 2`.
fn snapshot(event: &str, name: &str, version: i64) -> Vec<u8> {
    let (first, rest) = name.split_at(1);
    let label = format!("{}{rest} {version}", first.to_uppercase());
    bytes(&json!({
        "type": event, "objectVersion": version, "commitTime": START + version * 1000,
        "object": object(&format!("entities/{name}"), &label),
    }))
}

fn object(uri: &str, label: &str) -> Value {
    json!({
        "uri": uri, "type": "configuration/entityTypes/Individual", "label": label,
        "attributes": { "Name": [{ "value": label, "ov": true }] },
    })
}

fn bytes(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

/// Puts bodies into the inbox, as the webhook does.
async fn receive(files: &Files, bodies: impl IntoIterator<Item = Vec<u8>>) {
    for body in bodies {
        let record = SourceRecord {
            source: "hook".to_owned(),
            received_time: START + 5000,
            headers: [("messageid".to_owned(), "m-1".to_owned())].into(),
            origin: Some(Origin {
                source: "hook".to_owned(),
                topic: "/hook".to_owned(),
                ..Origin::default()
            }),
            body: body.into(),
            ..SourceRecord::default()
        };
        files
            .inbox
            .append(0, vec![record.encode_to_vec().into()])
            .await
            .unwrap();
    }
}

async fn redrive(files: &Files, filter: Filter) {
    let redrive = Redrive {
        letters: Arc::new(StoredLetters::new(Arc::clone(&files.store))),
        inbox: Arc::<dyn Log>::clone(&files.inbox),
        log: Arc::<dyn Log>::clone(&files.log),
        sinks: ["lake".to_owned()].into(),
        clock: Arc::new(SystemClock),
    };
    let work = Work {
        filter,
        ..Work::default()
    };
    let report = redrive.run(&work, &|_| ()).await.unwrap();
    assert_eq!(report.done, 1, "{report:?}");
}

/// A sink that takes neither of two subjects.
#[derive(Debug)]
struct Picky(Arc<dyn Sink>);

#[async_trait]
impl Sink for Picky {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        self.0.accepts(subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        each(batch, |write| self.one(write)).await
    }

    async fn probe(&self) -> Vec<String> {
        self.0.probe().await
    }
}

impl Picky {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        match delivery.subject.uri() {
            "entities/rejected" => Err(SinkError::Rejected {
                code: "TOO_LONG".to_owned(),
                fields: vec!["label".to_owned()],
                action: "upsert",
            }),
            "entities/exhausted" => Err(SinkError::Retryable {
                code: "LOCKED".to_owned(),
                ambiguous: false,
                outage: false,
            }),
            _ => self.0.write_one(delivery).await,
        }
    }
}
