//! One event through an embedded system, before anything is measured.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::embedded::{SINK_TOPIC, TOPIC};
use crate::Failed;
use crate::run::ledger::Ledger;
use crate::run::send::Topic;
use crate::run::sinks::SinkTopic;
use crate::throughput::event::Event;

/// A subject that no load has.
const EVENT: Event = Event {
    entity: 0x0fff_ffff,
    version: 1,
};
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// Sends it, and waits until the topic and the folder have something.
pub(super) fn run(source: &str, sinks: &str, lake: &Path) -> Result<(), Failed> {
    let began = Instant::now();
    let topic = Topic::new(source, TOPIC, Arc::new(Ledger::new(&[])), began)?;
    topic.send_one(EVENT)?;
    while SinkTopic::end(sinks, SINK_TOPIC)? == 0 || !has_lines(lake) {
        if began.elapsed() > PATIENCE {
            return Err("a first event does not come through; goldwire.txt says why".into());
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

fn has_lines(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| {
        let path = entry.path();
        let text = fs::read(&path).unwrap_or_default();
        path.extension().is_some_and(|ending| ending == "ndjson") && text.ends_with(b"\n")
    })
}
