//! A fake Snowflake, and the pieces of processes that append to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::sink::pieces::{Pieces, Place, Seal};
use goldwire::sink::snowflake::{Snowflake, SnowflakeSink};
use goldwire::sink::{Change, Sink as _, SinkError, Write};
use goldwire::telemetry::Metrics;
use loadtest::fake_snowflake::{
    DATABASE, FakeSnowflake, PRIVATE_KEY, SCHEMA, SnowflakeSettings, USER,
};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A time that moves when it is told to, here and in the fake.
#[derive(Debug, Clone)]
pub(super) struct Time(Arc<AtomicI64>);

impl Time {
    pub(super) fn pass_days(&self, days: i64) {
        self.0.fetch_add(days * DAY, Ordering::SeqCst);
    }
}

impl goldwire::time::Clock for Time {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl loadtest::time::Clock for Time {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A fake, and what is configured.
pub(super) struct Bench {
    pub(super) fake: FakeSnowflake,
    pub(super) time: Time,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let time = Time(Arc::new(AtomicI64::new(1_790_000_000_000)));
        let fake = FakeSnowflake::start(SnowflakeSettings {
            clock: Arc::new(time.clone()),
            commit_lag: Duration::ZERO,
            token_life: Duration::from_hours(1),
        });
        Self {
            fake: fake.await.unwrap(),
            time,
        }
    }

    /// The sink of a process, with `more` in its configuration.
    pub(super) fn sink(&self, more: &Value) -> Snowflake {
        let mut config = config(&self.fake);
        let members = config.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let config: SnowflakeSink = serde_json::from_value(config).unwrap();
        let clock = Arc::new(self.time.clone());
        Snowflake::open("events", &config, clock, Arc::new(Metrics::noop())).unwrap()
    }

    /// The pieces of a process.
    pub(super) fn process(&self) -> Arc<dyn Pieces> {
        self.sink(&json!({}))
            .pieces(&place("log-of-a-test"))
            .unwrap()
    }

    /// How often each change is in the table, by subject and version.
    pub(super) fn changes(&self) -> BTreeMap<(String, i64), usize> {
        let mut changes = BTreeMap::new();
        for row in self.fake.rows() {
            let subject = row["subject"].as_str().unwrap().to_owned();
            let key = (subject, row["version"].as_i64().unwrap());
            *changes.entry(key).or_default() += 1;
        }
        changes
    }

    /// Whether the table holds the changes 1 to `last` of one subject, each once.
    #[track_caller]
    pub(super) fn holds(&self, last: i64) {
        let expected = (1..=last).map(|version| ((String::from("entities/a"), version), 1));
        assert_eq!(self.changes(), expected.collect());
    }
}

/// The configuration of a sink at a fake.
pub(super) fn config(fake: &FakeSnowflake) -> Value {
    json!({
        "account": "fake-account", "user": USER, "private_key": PRIVATE_KEY,
        "database": DATABASE.to_lowercase(), "schema": SCHEMA, "url": fake.url(),
        "insecure_plain_http": true, "keeps_erased_records": true, "commit_timeout": "1s",
    })
}

/// A partition of a log.
pub(super) fn place(log: &str) -> Place {
    Place {
        partition: 2,
        log: log.to_owned(),
        partitions: 4,
    }
}

/// A change of one subject, with this object.
pub(super) fn write(version: i64, object: &str) -> Write {
    let object = Object::parse(object.as_bytes()).unwrap();
    let change = Change {
        id: format!("id {version}").into(),
        kind: Kind::Changed,
        version,
        commit_time: version * 10,
        received_time: version * 10 + 5,
        state: SubjectState::Alive(object.into()),
        observed: false,
    };
    Write {
        subject: Subject::new("acme", "entities/a"),
        object_type: "Individual".into(),
        current: None,
        changes: vec![change],
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

/// Gathers these versions, and seals them.
pub(super) async fn sealed(pieces: &dyn Pieces, versions: std::ops::RangeInclusive<i64>) -> Seal {
    let batch: Vec<Write> = versions
        .map(|version| write(version, "{\"a\":1}"))
        .collect();
    for answer in pieces.gather(&batch).await {
        answer.unwrap();
    }
    pieces.seal(7).unwrap()
}

/// The code of an error, and what it tells a person to do.
#[track_caller]
pub(super) fn halted<T: std::fmt::Debug>(answer: Result<T, SinkError>) -> (String, String) {
    match answer {
        Err(SinkError::Systemic { code, remedy }) => (code, remedy),
        other => panic!("{other:?}"),
    }
}
