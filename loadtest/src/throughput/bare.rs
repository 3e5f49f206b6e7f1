//! The same effect without durability: the least that a program with librdkafka can cost.
//!
//! One thread consumes, parses the head, drops what is older than a map says, and produces what is
//! left to every topic. What the broker acknowledged is remembered nowhere; offsets are committed
//! once, at the end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::cost;
use super::kafka::Producer;
use crate::Failed;

/// Without a record for so long, there is none.
const PATIENCE: Duration = Duration::from_mins(1);

/// Consumes, drops old versions, produces to every topic named: without durability.
#[derive(Debug, Args)]
pub(crate) struct BareArgs {
    /// The broker, `host:port`.
    #[arg(long)]
    bootstrap: String,
    /// The topic that was filled.
    #[arg(long)]
    from: String,
    /// Topics that get the newest snapshot of each entity.
    #[arg(long, required = true)]
    to: Vec<String>,
    /// The consumer group.
    #[arg(long)]
    group: String,
    /// Ends after so many records.
    #[arg(long)]
    events: u64,
}

/// What of a body is looked at.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What of an object is looked at.
#[derive(Deserialize)]
struct Object<'a> {
    uri: &'a str,
}

/// The program; prints what it cost as JSON.
pub(crate) fn run(args: &BareArgs) -> Result<(), Failed> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &args.bootstrap)
        .set("group.id", &args.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[&args.from])?;
    let mut producer = Producer::new(&args.bootstrap)?;
    let mut newest: HashMap<String, u64> = HashMap::new();
    let (mut records, mut passed) = (0, 0_u64);
    let (mut first, mut heard) = (None, Instant::now());
    while records < args.events {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if heard.elapsed() > PATIENCE {
                return Err(format!("only {records} of {} records came", args.events).into());
            }
            continue;
        };
        heard = Instant::now();
        first.get_or_insert(heard);
        records += 1;
        passed += u64::from(pass_on(&message?, args, &mut newest, &mut producer)?);
    }
    let acknowledged = producer.finish()?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    let seconds = first.map_or(0.0, |first: Instant| first.elapsed().as_secs_f64());
    let (cpu, peak) = cost::of_this_process()?;
    let told = serde_json::json!({
        "consumed": records, "passed": passed, "acknowledged": acknowledged,
        "seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak,
    });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// Whether the record was newer than what is known, and went on.
fn pass_on(
    message: &BorrowedMessage<'_>,
    args: &BareArgs,
    newest: &mut HashMap<String, u64>,
    producer: &mut Producer,
) -> Result<bool, Failed> {
    let (version, commit_time) = clocks(message).ok_or("a record lacks a clock")?;
    let payload = message.payload().ok_or("a record is empty")?;
    let body: Body<'_> = serde_json::from_slice(payload)?;
    let object: Object<'_> = serde_json::from_str(body.object.get())?;
    let number: u64 = version.parse()?;
    match newest.entry(object.uri.to_owned()) {
        Entry::Occupied(known) if *known.get() >= number => return Ok(false),
        Entry::Occupied(mut known) => drop(known.insert(number)),
        Entry::Vacant(new) => drop(new.insert(number)),
    }
    let (kind, state, value) = match body.event_type {
        "ENTITY_REMOVED" => ("removed", "removed", None),
        "ENTITY_CREATED" => ("created", "alive", Some(body.object.get())),
        _ => ("changed", "alive", Some(body.object.get())),
    };
    let texts = [
        ("goldwire.kind", kind),
        ("goldwire.state", state),
        ("goldwire.version", version),
        ("goldwire.commit_time", commit_time),
        ("goldwire.content_time", commit_time),
    ];
    let headers = texts.iter().fold(
        OwnedHeaders::new_with_capacity(texts.len()),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        },
    );
    for topic in &args.to {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic)
            .key(object.uri.as_bytes())
            .headers(headers.clone());
        if let Some(value) = value {
            record = record.payload(value.as_bytes());
        }
        producer.send(record)?;
    }
    Ok(true)
}

/// Version and commit time, as the headers have them.
fn clocks<'a>(message: &'a BorrowedMessage<'_>) -> Option<(&'a str, &'a str)> {
    let (mut version, mut commit_time) = (None, None);
    for header in message.headers()?.iter() {
        let text = || std::str::from_utf8(header.value?).ok();
        match header.key {
            "objectVersion" => version = text(),
            "commitTime" => commit_time = text(),
            _ => {}
        }
    }
    version.zip(commit_time)
}
