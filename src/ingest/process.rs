//! What becomes of one source record: decoded, split, hydrated, filtered, appended.
//!
//! Guarantee (G1, G2): this returns after every part of the record is durable in the event log, or
//! filtered, and the dead letter of the record is durable if a part of it could not be read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::filter::Filter;
use super::hydrate::Hydrator;
use super::memory::Held;
use super::reads::SharedReads;
use crate::dead_letter::DeadLetter;
use crate::decode::{self, DecodeSettings};
use crate::event::{EventId, EventRecord, Kind, SourceRecord};
use crate::ledger::Store;
use crate::log::{Log, LogError, Share, partition_of};
use crate::reltio::Golden;
use crate::task::ClockRules;
use crate::telemetry::Metrics;
use crate::time::SharedClock;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How the records of one source are read.
#[derive(Debug, Clone)]
pub struct SourceRules {
    /// How they are decoded.
    pub decode: DecodeSettings,
    /// Which are taken.
    pub filter: Filter,
}

/// What ingest needs besides its source.
#[derive(Debug, Clone)]
pub struct IngestContext {
    /// Rules by source name.
    pub sources: Arc<HashMap<String, SourceRules>>,
    /// The event log.
    pub log: Arc<dyn Log>,
    /// The store of dead letters.
    pub store: Arc<dyn Store>,
    /// Reltio, if there is an API.
    pub golden: Option<Arc<dyn Golden>>,
    /// The tenant's clock rules.
    pub rules: ClockRules,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// Reads that several records wait for.
    pub reads: Arc<SharedReads>,
}

/// Why a record is dead-lettered by ingest.
struct Refused {
    stage: &'static str,
    reason: &'static str,
    code: String,
}

impl IngestContext {
    /// Takes one record to where it belongs.
    pub(super) async fn process(&self, record: SourceRecord, held: &mut Held) {
        self.metrics.received(&record.source);
        let (events, refused) = match self.events(&record, held).await {
            Ok(parts) => parts,
            Err(refused) => (Vec::new(), Some(refused)),
        };
        self.append(events).await;
        if let Some(refused) = refused {
            self.metrics.ingested(&record.source, "dead_lettered");
            self.dead_letter(&record, &refused).await;
        }
    }

    /// The parts that can go on, and why another cannot: the letter holds the whole record, and a
    /// redrive of it passes the fence part by part.
    async fn events(
        &self,
        record: &SourceRecord,
        held: &mut Held,
    ) -> Result<(Vec<EventRecord>, Option<Refused>), Refused> {
        let Some(rules) = self.sources.get(&record.source) else {
            let code = "unknown_source".to_owned();
            return Err(Refused {
                stage: "decode",
                reason: "undecodable",
                code,
            });
        };
        let mut events = decode::decode(record, &rules.decode).map_err(|error| Refused {
            stage: "decode",
            reason: if error.code() == "unknown_tenant" {
                "unknown_tenant"
            } else {
                "undecodable"
            },
            code: error.code().to_owned(),
        })?;
        held.decoded(&events);
        let (mut taken, mut refused) = (Vec::with_capacity(events.len()), None);
        for mut event in events.drain(..) {
            self.observe_delay(record, &event);
            // Nothing is read for what the filter leaves out anyway.
            if !rules.filter.passes_kind(event.kind(), event.is_relation()) {
                self.metrics.ingested(&record.source, "filtered");
                continue;
            }
            let worth_it = self.golden.is_some() && decode::lacks_survivor(&event);
            let needs_read =
                worth_it || decode::needs_hydration(&event) || rules.filter.needs_type(&event);
            if needs_read && let Err(unread) = self.hydrate(&mut event, held).await {
                refused.get_or_insert(unread);
                continue;
            }
            let passes = rules.filter.passes(&event);
            let outcome = match (passes, event.kind()) {
                (false, _) => "filtered",
                (true, Kind::Other) => "other",
                (true, _) => "appended",
            };
            self.metrics.ingested(&record.source, outcome);
            if passes {
                taken.push(event);
            }
        }
        Ok((taken, refused))
    }

    async fn hydrate(&self, event: &mut EventRecord, held: &mut Held) -> Result<(), Refused> {
        let Some(golden) = &self.golden else {
            let code = "no_reltio_api".to_owned();
            return Err(Refused {
                stage: "hydrate",
                reason: "needs_hydration",
                code,
            });
        };
        let hydrator = Hydrator {
            golden: Arc::clone(golden),
            rules: self.rules,
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            reads: Arc::clone(&self.reads),
        };
        let hydrated = hydrator.hydrate(event, held).await;
        hydrated.map_err(|code| Refused {
            stage: "hydrate",
            reason: "unreadable",
            code,
        })
    }

    /// Appends until every record is durable. A full log stalls intake here (G6, G8).
    async fn append(&self, events: Vec<EventRecord>) {
        let partitions = self.log.identity().partitions;
        for event in events {
            let partition = partition_of(&event.subject_key(), partitions);
            let bytes: Bytes = event.encode_to_vec().into();
            let mut wait = FIRST_WAIT;
            loop {
                match self.log.append(partition, vec![bytes.clone()]).await {
                    Ok(_) => break,
                    Err(LogError::Closed) => std::future::pending().await,
                    Err(error) => {
                        if wait == FIRST_WAIT {
                            tracing::warn!("intake stalls: {error}");
                        }
                    }
                }
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
        }
    }

    async fn dead_letter(&self, record: &SourceRecord, refused: &Refused) {
        let letter = self.letter(record, refused);
        crate::dead_letter::write(&self.store, (&self.log, Share::Intake), &[letter]).await;
    }

    fn letter(&self, record: &SourceRecord, refused: &Refused) -> DeadLetter {
        let now = self.clock.now();
        let origin = record.origin.clone().unwrap_or_default();
        DeadLetter {
            id: identity(record).as_str().to_owned(),
            round: record.round,
            source: record.source.clone(),
            topic: origin.topic,
            partition: origin.partition,
            offset: origin.offset,
            stage: refused.stage.to_owned(),
            action: refused.stage.to_owned(),
            reason: refused.reason.to_owned(),
            code: refused.code.clone(),
            attempts: 1,
            first_time: now,
            last_time: now,
            processor: env!("CARGO_PKG_VERSION").to_owned(),
            headers: record.headers.clone(),
            original: record.body.clone(),
            ..DeadLetter::default()
        }
    }

    fn observe_delay(&self, record: &SourceRecord, event: &EventRecord) {
        if let Some(commit_time) = event.commit_time {
            let delay = crate::time::until(commit_time, event.received_time);
            self.metrics
                .source_delay(&record.source, delay.as_secs_f64());
        }
    }
}

/// The identity of what could not be decoded: its bytes and the headers that decoding read.
fn identity(record: &SourceRecord) -> EventId {
    let mut bytes = Vec::with_capacity(record.body.len() + 256);
    let mut headers: Vec<_> = record.headers.iter().collect();
    headers.sort_unstable();
    for (name, value) in headers {
        // The attempt's own time and signature differ between copies.
        if name.starts_with("webhook-") || name.starts_with("svix-") {
            continue;
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&record.body);
    EventId::of_bytes(&bytes)
}
