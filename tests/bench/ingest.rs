//! Ingest by itself: from batches as the Kafka reader makes them to the event log, with every
//! allocation counted, and the CPU time of the whole process.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails has no result"
)]

mod counted;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::dead_letter::StoredLetters;
use goldwire::decode::{DecodeSettings, Events, decode_into};
use goldwire::engine::ClockRules;
use goldwire::event::CompletenessConfig;
use goldwire::event::Filter;
use goldwire::event::{Header, Packer, Received, Values};
use goldwire::ingest::{IngestContext, IngestSettings, IngestTask, SourceRules};
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::log::{Log, MemoryLog};
use goldwire::source::{Batch, Committing, Room, Source, SourceEvent};
use goldwire::store::MemoryStore;
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SystemClock};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use tokio_util::sync::CancellationToken;

use self::counted::{head, measured};

const EVENTS: usize = 200_000;
const SUBJECTS: usize = 40_000;
const PARTITIONS: u16 = 4;
const BATCH: usize = 1000;
const SIZE: usize = 1586;
const START: Millis = 1_700_000_000_000;

/// An event as the topic holds it.
struct Message {
    headers: [String; 3],
    body: String,
}

fn message(number: usize, in_headers: bool) -> Message {
    let (subject, version) = (number % SUBJECTS, number / SUBJECTS + 1);
    let time = START + Millis::try_from(version).unwrap() * 10_000;
    let mut attributes = String::new();
    let mut count = 0;
    while attributes.len() + 420 < SIZE {
        let comma = if count > 0 { "," } else { "" };
        write!(attributes, r#"{comma}"Name{count}":[{{"type":"configuration/entityTypes/Individual/attributes/Name{count}","ov":true,"value":"Value {count}","uri":"entities/{subject:08}/attributes/Name{count}/2Xy"}}]"#).unwrap();
        count += 1;
    }
    let clocks = format!(r#""objectVersion":{version},"commitTime":{time},"#);
    let clocks = if in_headers { "" } else { clocks.as_str() };
    let body = format!(
        r#"{{"type":"ENTITY_CHANGED","uri":"entities/{subject:08}",{clocks}"object":{{"uri":"entities/{subject:08}","type":"configuration/entityTypes/Individual","attributes":{{{attributes}}},"crosswalks":[{{"type":"configuration/sources/SFDC","value":"{subject}"}}],"label":"Ann"}}}}"#
    );
    Message {
        headers: ["acme".to_owned(), version.to_string(), time.to_string()],
        body,
    }
}

/// Makes batches as the Kafka reader does.
#[derive(Debug)]
struct Topic {
    messages: Arc<Vec<Message>>,
    next: usize,
    in_headers: bool,
    names: [Arc<str>; 2],
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Topic {
    fn new(messages: &Arc<Vec<Message>>, in_headers: bool) -> Self {
        Self {
            messages: Arc::clone(messages),
            next: 0,
            in_headers,
            names: ["topic".into(), "changes".into()],
        }
    }

    fn batch(&mut self, room: usize) -> Batch {
        let messages = self.messages.iter().skip(self.next).take(room.min(BATCH));
        let bytes = messages
            .clone()
            .map(|message| message.body.len() + 64)
            .sum();
        let mut packer = Packer::new(bytes);
        let records: VecDeque<Received> = messages
            .zip(self.next..)
            .map(|(message, number)| {
                let [tenant, version, time] = &message.headers;
                let mut values = Values::default();
                if self.in_headers {
                    values.keep(Header::Tenant.name(), tenant);
                    values.keep(Header::Version.name(), version);
                    values.keep(Header::CommitTime.name(), time);
                }
                let (headers, body) = packer.pack(&values, message.body.as_bytes());
                Received {
                    source: Arc::clone(&self.names[0]),
                    topic: Arc::clone(&self.names[1]),
                    partition: 0,
                    offset: u64::try_from(number).unwrap(),
                    message_id: String::new(),
                    received_time: START + 100_000,
                    headers,
                    body,
                    round: 0,
                }
            })
            .collect();
        self.next += records.len();
        Batch {
            partition: 0,
            records,
            reached: None,
        }
    }
}

#[async_trait]
impl Source for Topic {
    fn name(&self) -> &'static str {
        "topic"
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        if room.is_none() || self.next == self.messages.len() {
            return std::future::pending().await;
        }
        SourceEvent::Batch(self.batch(room.records))
    }

    fn commit(&mut self, _: &[(i32, u64)]) -> Committing {
        Box::pin(std::future::ready(Ok(())))
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        Vec::new()
    }
}

fn rules() -> SourceRules {
    SourceRules {
        decode: DecodeSettings {
            tenant: "acme".to_owned(),
            completeness: CompletenessConfig::Whole,
            max_bytes: 1 << 20,
        },
        filter: Filter::new(None, None, false),
        schemas: None,
    }
}

/// All messages to `log`.
async fn ingest(topic: Topic, log: &Arc<dyn Log>) {
    let reader = ManualReader::builder().build();
    let metrics = Metrics::exported(SdkMeterProvider::builder().with_reader(reader).build());
    let context = IngestContext {
        sources: Arc::new(HashMap::from([("topic".to_owned(), rules())])),
        log: Arc::<dyn Log>::clone(log),
        letters: Arc::new(StoredLetters::new(Arc::new(MemoryStore::default()))),
        reltio: None,
        rules: ClockRules::new(3000, 200),
        clock: Arc::new(SystemClock),
        metrics: Arc::new(metrics),
        reads: Arc::default(),
    };
    let settings = IngestSettings {
        in_flight: 10_000,
        in_flight_bytes: 32 << 20,
        commit_interval: Duration::from_millis(100),
        drain_timeout: Duration::from_secs(5),
    };
    let task = IngestTask::new(Box::new(topic), context, settings);
    let (mut status, stop) = (task.status(), CancellationToken::new());
    let running = tokio::spawn(task.run(stop.clone()));
    let all = u64::try_from(EVENTS).unwrap();
    status.wait_for(|status| status.done == all).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    let held = (0..PARTITIONS).map(|of| log.range(of).end).sum::<u64>();
    assert_eq!(held, all);
}

fn parts(messages: &Arc<Vec<Message>>, in_headers: bool) {
    measured("copied from the client's buffers", EVENTS, || {
        let mut topic = Topic::new(messages, in_headers);
        while !topic.batch(BATCH).records.is_empty() {}
    });
    let mut topic = Topic::new(messages, in_headers);
    let mut batches = Vec::new();
    while let Some(batch) = Some(topic.batch(BATCH)).filter(|batch| !batch.records.is_empty()) {
        batches.push(batch);
    }
    measured("decoded", EVENTS, || {
        let (mut events, rules) = (Events::default(), rules());
        for record in batches.iter().flat_map(|batch| &batch.records) {
            decode_into(record, &rules.decode, &mut events).unwrap();
            assert_eq!(events.records().len(), 1);
        }
    });
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for in_headers in [false, true] {
        let messages: Vec<_> = (0..EVENTS)
            .map(|number| message(number, in_headers))
            .collect();
        let size = messages.first().map_or(0, |message| message.body.len());
        let place = if in_headers { "headers" } else { "the body" };
        println!("{EVENTS} events of {size} bytes, their clocks in {place}");
        head();
        let messages = Arc::new(messages);
        parts(&messages, in_headers);
        measured("all of ingest, into a log in memory", EVENTS, || {
            let log: Arc<dyn Log> = Arc::new(MemoryLog::new(PARTITIONS));
            runtime.block_on(ingest(Topic::new(&messages, in_headers), &log));
        });
        let dir = tempfile::tempdir().unwrap();
        let settings = JournalSettings {
            dir: dir.path().to_owned(),
            partitions: PARTITIONS,
            quota: 10 << 30,
            disk_reserve: 0,
            keep: Duration::ZERO,
            segment: 16 << 20,
            gather: Duration::ZERO,
        };
        let log: Arc<dyn Log> = Arc::new(Journal::open(settings).unwrap());
        measured("all of ingest, into a journal", EVENTS, || {
            runtime.block_on(ingest(Topic::new(&messages, in_headers), &log));
        });
    }
}
