//! The hops that goldwire makes when its event log is in Kafka, without what they are for: the least
//! that they can cost a program with librdkafka.
//!
//! One thread consumes, parses the head, and produces every record to a topic by its entity. One
//! thread for each sink consumes that topic, parses the head, drops what is older than a map says,
//! and produces what is left. Offsets are committed once, at the end; nothing else is remembered.

use std::io::Write as _;
use std::thread;

use clap::Args;
use rdkafka::Message as _;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::producer::BaseRecord;
use tokio::time::Instant;

use super::bare::{consume, head, headers, to_sinks};
use super::kafka::Producer;
use crate::Failed;
use crate::usage::Usage;

/// Consumes, produces to a topic between, and from there to every topic named: without durability.
#[derive(Debug, Args)]
pub(crate) struct HopsArgs {
    /// The broker, `host:port`.
    #[arg(long)]
    bootstrap: String,
    /// The topic that was filled.
    #[arg(long)]
    from: String,
    /// The topic between, in place of goldwire's event log.
    #[arg(long)]
    through: String,
    /// Topics that get the newest snapshot of each entity.
    #[arg(long, required = true)]
    to: Vec<String>,
    /// What the consumer groups' names begin with.
    #[arg(long)]
    group: String,
    /// Ends after so many records.
    #[arg(long)]
    events: u64,
}

/// The program; prints what it cost as JSON.
pub(crate) fn run(args: &HopsArgs) -> Result<(), Failed> {
    let began = Instant::now();
    let acknowledged = thread::scope(|scope| {
        let through = scope.spawn(|| pass_through(args));
        let sinks: Vec<_> = args
            .to
            .iter()
            .map(|topic| {
                scope.spawn(move || {
                    let (group, to) = (format!("{}.{topic}", args.group), [topic.clone()]);
                    to_sinks(&args.bootstrap, &args.through, &group, &to, args.events)
                })
            })
            .collect();
        let mut acknowledged = through.join().map_err(|_| "a thread panicked")??;
        for sink in sinks {
            acknowledged += sink.join().map_err(|_| "a thread panicked")??.0;
        }
        Ok::<u64, Failed>(acknowledged)
    })?;
    let cost = Usage::of_this_process()?;
    let told = serde_json::json!({
        "consumed": args.events, "acknowledged": acknowledged,
        "seconds": began.elapsed().as_secs_f64(), "cpu_seconds": cost.cpu_seconds, "peak_mib": cost.peak_kib / 1024,
    });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// Takes every record to the topic between, to its entity's partition: how many there are.
fn pass_through(args: &HopsArgs) -> Result<u64, Failed> {
    let mut producer = Producer::new(&args.bootstrap)?;
    let passed = consume(
        &args.bootstrap,
        &args.from,
        &args.group,
        args.events,
        |message| {
            let head = head(message)?;
            let texts = [
                ("objectVersion", head.version),
                ("commitTime", head.commit_time),
            ];
            let record = BaseRecord::<[u8], [u8]>::to(&args.through)
                .key(head.uri.as_bytes())
                .headers(headers(&texts))
                .payload(message.payload().unwrap_or_default());
            producer.send(record)
        },
    )?;
    let acknowledged = producer.finish()?;
    passed.0.commit_consumer_state(CommitMode::Sync)?;
    Ok(acknowledged)
}
