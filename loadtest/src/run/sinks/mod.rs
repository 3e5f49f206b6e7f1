//! Looks at the sinks while they are written, and tells the ledger what is there and since when.
//!
//! Any consumer can be looked at: every event carries its own name (`entities/00000c5@7`) in the
//! attribute `Seq`, and what a sink shows is searched for it.

mod files;
mod topic;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

pub(crate) use files::Files;
pub(crate) use topic::SinkTopic;

use super::ledger::Ledger;
use super::load::Sizes;
use super::replay::Names;
use super::sample::micros;
use crate::throughput::event::{Event, Uri};

/// What is planted to see that the judge finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// A subject is not looked at any more. One event alone could have been replaced by a newer one.
    Lost,
    /// One event is seen twice.
    Doubled,
    /// A version that was replaced is seen again, behind the newer one.
    Regressed,
    /// One event that was never sent is seen.
    Invented,
}

/// So many are seen before something is planted.
const BEFORE: u64 = 50;

/// Who looks at one sink.
#[derive(Debug)]
pub(crate) struct SinkWatcher {
    ledger: Arc<Ledger>,
    /// The sink's number in the ledger.
    sink: usize,
    start: Instant,
    /// How large each body is, to compare content; nothing where the content may be another.
    sizes: Option<Arc<Sizes>>,
    plant: Option<Plant>,
    looked: AtomicU64,
    /// What was planted, once it was: the subject.
    planted: OnceLock<u32>,
}

impl SinkWatcher {
    /// Looks at the sink with this number from now on.
    pub(crate) fn new(
        (ledger, sink): (Arc<Ledger>, usize),
        start: Instant,
        sizes: Option<Arc<Sizes>>,
        plant: Option<Plant>,
    ) -> Self {
        Self {
            ledger,
            sink,
            start,
            sizes,
            plant,
            looked: AtomicU64::new(0),
            planted: OnceLock::new(),
        }
    }

    /// The sink shows an event now, with `object` as its content.
    fn sees(&self, event: Event, object: Option<&[u8]>) {
        let at = micros(self.start.elapsed());
        if let (Some(sizes), Some(object)) = (&self.sizes, object)
            && !event.is_removal()
        {
            let mut sent = String::new();
            event.write_object(&mut sent, sizes.notes(event));
            if !same(object, sent.as_bytes()) {
                let what = format!("{} has other content", self.ledger.told(event));
                self.invents(what);
                return;
            }
        }
        let number = self.looked.fetch_add(1, Ordering::Relaxed);
        for event in self.shown(number, event) {
            self.ledger.seen(self.sink, event, at);
        }
    }

    /// The sink shows a version of a captured subject now. What has none is not told by it alone.
    fn sees_captured(&self, names: &Names, uri: &str, version: Option<i64>) {
        let Some(version) = version else { return };
        match names.event(uri, version) {
            Some(event) => self.sees(event, None),
            None => self.invents(format!("{uri} version {version} was never sent")),
        }
    }

    /// The sink shows something that is no event that was sent.
    fn invents(&self, what: String) {
        self.ledger.invented(self.sink, what);
    }

    /// What the ledger is told of an event: the event, but where a mistake is planted.
    fn shown(&self, number: u64, event: Event) -> Vec<Event> {
        let Some(plant) = self.plant.filter(|_| number >= BEFORE) else {
            return vec![event];
        };
        let version = |version| Event { version, ..event };
        let here = match plant {
            Plant::Lost | Plant::Doubled | Plant::Invented => true,
            Plant::Regressed => event.version > 1,
        };
        let first = here && self.planted.set(event.entity).is_ok();
        match plant {
            Plant::Lost if self.planted.get() == Some(&event.entity) => Vec::new(),
            Plant::Doubled if first => vec![event, event],
            Plant::Regressed if first => vec![event, version(event.version - 1)],
            Plant::Invented if first => vec![event, version(event.version + 1_000_000)],
            Plant::Lost | Plant::Doubled | Plant::Regressed | Plant::Invented => vec![event],
        }
    }
}

/// A sink may print an object in its own way: the members count, not the blanks between them.
fn same(shown: &[u8], sent: &[u8]) -> bool {
    if shown == sent {
        return true;
    }
    let tree = |text| serde_json::from_slice::<serde_json::Value>(text).ok();
    tree(shown).is_some_and(|shown| tree(sent) == Some(shown))
}

/// The event whose name stands in a text, wherever that is.
pub(crate) fn named(text: &[u8]) -> Option<Event> {
    let text = std::str::from_utf8(text).ok()?;
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("entities/") {
        rest = behind;
        let Some((number, version)) = behind.split_once('@') else {
            continue;
        };
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        let entity = Uri::entity(&format!("entities/{number}"));
        if let (Some(entity), Ok(version)) = (entity, digits.parse()) {
            return Some(Event { entity, version });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_its_name_wherever_it_stands() {
        let event = Some(Event {
            entity: 0x1f,
            version: 12,
        });
        for text in [
            "entities/000001f@12",
            r#"{"uri":"entities/000001f","x":{"Seq":[{"value":"entities/000001f@12"}]}}"#,
            "a@b entities/ entities/zz@1,entities/000001f@12\t",
        ] {
            assert_eq!(named(text.as_bytes()), event, "{text}");
        }
        assert_eq!(named(b"entities/000001f"), None);
        assert_eq!(named(b"\xff entities/000001f@12"), None);
    }

    #[test]
    fn content_is_the_same_however_it_is_printed() {
        assert!(same(b"{\"a\": 1}", b"{\"a\":1}"));
        assert!(!same(b"{\"a\":2}", b"{\"a\":1}"));
        assert!(!same(b"{", b"{\"a\":1}"));
    }
}
