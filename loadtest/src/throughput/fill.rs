//! Events into a topic, as fast as the broker takes them.

use std::io::Write as _;

use clap::Args;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::LoadArgs;
use super::event::TENANT;
use super::kafka::Producer;
use crate::Failed;

/// Events into a topic: whole snapshots with both clocks, null keys, copies, any partition.
#[derive(Debug, Args)]
pub(crate) struct FillArgs {
    /// The broker, `host:port`.
    #[arg(long)]
    bootstrap: String,
    /// A topic that is there.
    #[arg(long)]
    topic: String,
    /// Its partitions. An event's partition has nothing to do with its entity.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Leaves out so many of the first events.
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Bodies of a few hundred bytes, for a ledger of many entities. No judge knows their content.
    #[arg(long)]
    small: bool,
    #[command(flatten)]
    load: LoadArgs,
}

/// Writes the events, and prints what was written as JSON.
pub(crate) fn run(args: &FillArgs) -> Result<(), Failed> {
    let mut producer = Producer::new(&args.bootstrap)?;
    let (mut body, mut bytes, mut partition) = (String::new(), 0, 0);
    let skip = usize::try_from(args.skip)?;
    for event in args.load.stream().skip(skip) {
        body.clear();
        if args.small {
            event.write_small_body(&mut body);
        } else {
            event.write_body(&mut body, 0);
        }
        bytes += body.len();
        let texts = [
            ("tenantId", TENANT.to_owned()),
            ("eventType", event.event_type().to_owned()),
            ("sourceObjectUri", event.uri().to_string()),
            ("objectVersion", event.version.to_string()),
            ("commitTime", event.commit_time().to_string()),
        ];
        let mut headers = OwnedHeaders::new_with_capacity(texts.len());
        for (key, value) in &texts {
            let value = Some(value);
            headers = headers.insert(Header { key, value });
        }
        let record = BaseRecord::to(&args.topic)
            .partition(partition)
            .headers(headers)
            .payload(body.as_bytes());
        producer.send(record)?;
        partition = (partition + 1) % args.partitions;
    }
    let events = producer.finish()?;
    let told = serde_json::json!({ "events": events, "bytes": bytes });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}
