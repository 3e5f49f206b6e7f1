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

use super::kafka::Producer;
use crate::Failed;
use crate::usage::Usage;

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
    /// Topics that get the newest snapshot of each entity; without any the records are only parsed.
    #[arg(long)]
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
    let (acknowledged, seconds) = to_sinks(
        &args.bootstrap,
        &args.from,
        &args.group,
        &args.to,
        args.events,
    )?;
    let cost = Usage::of_this_process()?;
    let told = serde_json::json!({
        "consumed": args.events, "acknowledged": acknowledged,
        "seconds": seconds, "cpu_seconds": cost.cpu_seconds, "peak_mib": cost.peak_kib / 1024,
    });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// Takes `events` records of a topic to every topic of `to`: how many records were acknowledged
/// there, and the seconds since the first came.
pub(super) fn to_sinks(
    bootstrap: &str,
    from: &str,
    group: &str,
    to: &[String],
    events: u64,
) -> Result<(u64, f64), Failed> {
    let mut producer = Producer::new(bootstrap)?;
    let mut newest: HashMap<String, u64> = HashMap::new();
    let (consumer, first) = consume(bootstrap, from, group, events, |message| {
        pass_on(message, to, &mut newest, &mut producer)
    })?;
    let acknowledged = producer.finish()?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    Ok((acknowledged, first.elapsed().as_secs_f64()))
}

/// Hands `events` records of a topic to `each`: the consumer, whose offsets are committed nowhere
/// yet, and when the first record came.
pub(super) fn consume(
    bootstrap: &str,
    from: &str,
    group: &str,
    events: u64,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<(), Failed>,
) -> Result<(BaseConsumer, Instant), Failed> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[from])?;
    let (mut records, mut first, mut heard) = (0, None, Instant::now());
    while records < events {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if heard.elapsed() > PATIENCE {
                return Err(format!("{from}: only {records} of {events} records came").into());
            }
            continue;
        };
        heard = Instant::now();
        first.get_or_insert(heard);
        records += 1;
        each(&message?)?;
    }
    Ok((consumer, first.unwrap_or(heard)))
}

/// What the head of a record says.
pub(super) struct Head<'a> {
    pub(super) uri: &'a str,
    pub(super) version: &'a str,
    pub(super) commit_time: &'a str,
    event_type: &'a str,
    object: &'a RawValue,
}

/// Reads the head of a record.
pub(super) fn head<'a>(message: &'a BorrowedMessage<'_>) -> Result<Head<'a>, Failed> {
    let (version, commit_time) = clocks(message).ok_or("a record lacks a clock")?;
    let payload = message.payload().ok_or("a record is empty")?;
    let body: Body<'_> = serde_json::from_slice(payload)?;
    let object: Object<'_> = serde_json::from_str(body.object.get())?;
    Ok(Head {
        uri: object.uri,
        version,
        commit_time,
        event_type: body.event_type,
        object: body.object,
    })
}

/// Produces what is newer than what is known.
fn pass_on(
    message: &BorrowedMessage<'_>,
    to: &[String],
    newest: &mut HashMap<String, u64>,
    producer: &mut Producer,
) -> Result<(), Failed> {
    let head = head(message)?;
    let number: u64 = head.version.parse()?;
    match newest.entry(head.uri.to_owned()) {
        Entry::Occupied(known) if *known.get() >= number => return Ok(()),
        Entry::Occupied(mut known) => drop(known.insert(number)),
        Entry::Vacant(new) => drop(new.insert(number)),
    }
    let (kind, state, value) = match head.event_type {
        "ENTITY_REMOVED" => ("removed", "removed", None),
        "ENTITY_CREATED" => ("created", "alive", Some(head.object.get())),
        _ => ("changed", "alive", Some(head.object.get())),
    };
    let headers = headers(&[
        ("goldwire.kind", kind),
        ("goldwire.state", state),
        ("goldwire.version", head.version),
        ("goldwire.commit_time", head.commit_time),
        ("goldwire.content_time", head.commit_time),
    ]);
    for topic in to {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic)
            .key(head.uri.as_bytes())
            .headers(headers.clone());
        if let Some(value) = value {
            record = record.payload(value.as_bytes());
        }
        producer.send(record)?;
    }
    Ok(())
}

/// Headers of these names and values.
pub(super) fn headers(texts: &[(&str, &str)]) -> OwnedHeaders {
    let none = OwnedHeaders::new_with_capacity(texts.len());
    texts.iter().fold(none, |headers, (key, value)| {
        let value = Some(*value);
        headers.insert(Header { key, value })
    })
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
