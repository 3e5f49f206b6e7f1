//! Sends what is due when it is due, over Kafka and webhooks.
//!
//! Guarantee: the schedule is fixed. A system that is slow does not slow it, and every latency
//! counts from the time at which the event was due, not from when it could be sent.

mod kafka;
mod webhook;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use kafka::Topic;
pub(crate) use webhook::{Hook, Secret};

use super::ledger::Ledger;
use super::load::Due;
use super::sample::micros;
use super::tally::Latencies;
use crate::Failed;
use crate::throughput::event::Event;

/// Where events go.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    /// The topic, where one is needed.
    pub(crate) topic: Option<Arc<Topic>>,
    /// The webhook, where one is needed.
    pub(crate) hook: Option<Arc<Hook>>,
}

/// What was sent.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) copies: u64,
    pub(crate) late: u64,
    pub(crate) bytes: u64,
    /// How far behind the schedule messages were sent.
    pub(crate) behind: Latencies,
    /// The last one was due then, or sent, where there is no schedule.
    pub(crate) lasted: Duration,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) event: Event,
    pub(crate) body: Vec<u8>,
    /// The record's key over Kafka.
    pub(crate) key: Option<String>,
    /// The record's headers over Kafka.
    pub(crate) headers: Vec<(Cow<'static, str>, String)>,
}

/// Sends a plan, with the messages that `message` makes of it, from `start` on, on a thread of its own;
/// ends before the plan does once `stop` is set. What has no schedule is sent for as long as
/// `unscheduled` says.
///
/// # Errors
/// What cannot be sent at all.
pub(crate) fn drive(
    plan: impl Iterator<Item = Due>,
    mut message: impl FnMut(&Due, bool) -> Result<Message, Failed>,
    unscheduled: Option<Duration>,
    doors: &Doors,
    ledger: &Ledger,
    (start, stop): (Instant, &AtomicBool),
) -> Result<Driven, Failed> {
    let mut driven = Driven {
        copies: 0,
        late: 0,
        bytes: 0,
        behind: Latencies::new()?,
        lasted: Duration::ZERO,
    };
    for due in plan {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        wait_until(start + due.at);
        let now = start.elapsed();
        if unscheduled.is_some_and(|lasts| now > lasts) {
            break;
        }
        let at = if unscheduled.is_some() { now } else { due.at };
        let behind = micros(now.saturating_sub(at));
        driven.behind.add(behind);
        driven.lasted = at;
        ledger.sends_behind(due.event, micros(at), behind);
        let by_webhook = doors.by_webhook(&due);
        let message = message(&due, by_webhook)?;
        driven.took(&due, message.body.len());
        doors.send(message, by_webhook)?;
    }
    if let Some(topic) = &doors.topic {
        topic.flush()?;
    }
    Ok(driven)
}

impl Driven {
    fn took(&mut self, due: &Due, bytes: usize) {
        self.copies += u64::from(due.copy);
        self.late += u64::from(due.late);
        self.bytes += u64::try_from(bytes).unwrap_or_default();
    }
}

impl Doors {
    /// Where there is one way only, everything goes it.
    fn by_webhook(&self, due: &Due) -> bool {
        self.hook.is_some() && (due.by_webhook || self.topic.is_none())
    }

    fn send(&self, message: Message, by_webhook: bool) -> Result<(), Failed> {
        match (&self.topic, &self.hook) {
            (_, Some(hook)) if by_webhook => {
                hook.send(message);
                Ok(())
            }
            (Some(topic), _) => topic.send(&message),
            (None, _) => Err("there is neither a topic nor a webhook to send to".into()),
        }
    }
}

/// Over Kafka metadata come in headers, by webhook in an envelope around the same body.
pub(crate) fn message(due: &Due, by_webhook: bool) -> Message {
    let mut body = String::with_capacity(2048);
    let headers = headers(due.event);
    if by_webhook {
        body.push_str("{\"messageAttributes\":{");
        for (number, (name, value)) in headers.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            // Writing to a string does not fail.
            write!(body, "{comma}\"{name}\":\"{value}\"").ok();
        }
        body.push_str("},\"body\":");
    }
    due.event.write_body(&mut body, due.notes);
    if by_webhook {
        body.push('}');
    }
    Message {
        event: due.event,
        body: body.into_bytes(),
        key: None,
        headers: headers.into(),
    }
}

/// Sleeps; the last of it is spent waiting for the next tick of the scheduler at most.
fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

/// Headers of an event, as Reltio sends them over Kafka.
fn headers(event: Event) -> [(Cow<'static, str>, String); 5] {
    let all = [
        ("tenantId", crate::throughput::event::TENANT.to_owned()),
        ("eventType", event.event_type().to_owned()),
        ("sourceObjectUri", event.uri().to_string()),
        ("objectVersion", event.version.to_string()),
        ("commitTime", event.commit_time().to_string()),
    ];
    all.map(|(name, value)| (Cow::Borrowed(name), value))
}

/// How often something happened.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn due() -> Due {
        Due {
            at: Duration::ZERO,
            event: Event {
                entity: 5,
                version: 7,
            },
            notes: 10,
            copy: false,
            late: false,
            by_webhook: true,
        }
    }

    #[test]
    fn a_webhook_has_the_metadata_in_an_envelope_around_the_body_that_kafka_carries() {
        let tree = |by_webhook| {
            let body = message(&due(), by_webhook).body;
            serde_json::from_slice::<Value>(&body).unwrap()
        };
        let (bare, wrapped) = (tree(false), tree(true));
        assert_eq!(wrapped["body"], bare);
        for (name, value) in headers(due().event) {
            assert_eq!(wrapped["messageAttributes"][&*name], value);
        }
        assert_eq!(bare["object"]["uri"], "entities/0000005");
    }

    #[test]
    fn where_there_is_one_way_only_everything_goes_it() {
        let none = Doors {
            topic: None,
            hook: None,
        };
        assert!(!none.by_webhook(&due()));
        let refused = none.send(message(&due(), false), false).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("neither a topic nor a webhook")
        );
    }
}
