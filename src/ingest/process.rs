//! What ingest works with, and the slow path: a record that needs a read of Reltio or a schema, by
//! itself.
//!
//! Guarantee (G1, G2): both return after every part of a record is durable in the event log, or
//! filtered, and its dead letter is durable if it could not be decoded, or a part of it not be read
//! or be larger than the log ever takes: that would hold its source without end.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{join, join_all};
use prost::Message as _;

use super::append::{Stall, append};
use super::hydrate::Hydrator;
use super::letter::{Refused, letter};
use super::memory::Held;
use super::pack::Packed;
use super::reads::SharedReads;
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::decode::{self, DecodeSettings};
use crate::engine::ClockRules;
use crate::event::Filter;
use crate::event::{EventRecord, Kind, Received};
use crate::log::{LogAppender, Share, partition_of_record};
use crate::reltio::RecordReader;
use crate::schema_registry::SchemaRegistry;
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// How the records of one source are read.
#[derive(Debug, Clone)]
pub struct SourceRules {
    /// How they are decoded.
    pub decode: DecodeSettings,
    /// Which are taken.
    pub filter: Filter,
    /// Whose schemas say what their bytes are, if there is a registry.
    pub schemas: Option<Arc<SchemaRegistry>>,
}

/// What ingest needs besides its source.
#[derive(Debug, Clone)]
pub struct IngestContext {
    /// Rules by source name.
    pub sources: Arc<HashMap<String, SourceRules>>,
    /// The event log.
    pub log: Arc<dyn LogAppender>,
    /// Where what cannot be decoded or read is kept.
    pub letters: Arc<dyn DeadLetters>,
    /// Reltio, if there is an API.
    pub reltio: Option<Arc<dyn RecordReader>>,
    /// The tenant's clock rules.
    pub rules: ClockRules,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// Reads that several records wait for.
    pub reads: Arc<SharedReads>,
}

/// What is to be done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes to the event log.
    Kept,
    /// The source's filter leaves it out.
    Filtered,
    /// Reltio is read first.
    Read,
}

impl SourceRules {
    /// Decides without waiting. `api`: whether Reltio can be read.
    pub fn fate(&self, event: &EventRecord, api: bool) -> Fate {
        // Nothing is read for what the filter leaves out anyway.
        if !self.filter.passes_kind(event.kind(), event.is_relation()) {
            return Fate::Filtered;
        }
        let worth_it = api && decode::lacks_survivor(event);
        if worth_it || decode::needs_hydration(event) || self.filter.needs_type(event) {
            return Fate::Read;
        }
        if self.filter.passes(event) {
            Fate::Kept
        } else {
            Fate::Filtered
        }
    }
}

impl IngestContext {
    /// The rules of a record's source.
    pub(super) fn rules_of(&self, record: &Received) -> Result<&SourceRules, Refused> {
        let rules = self.sources.get(record.source.as_ref());
        rules.ok_or_else(Refused::unknown_source)
    }

    /// Whether the log ever takes an event of so many bytes.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), Refused> {
        let largest = self.log.largest_record();
        let fits = bytes <= largest;
        fits.then_some(())
            .ok_or_else(|| Refused::too_large(largest))
    }

    /// Makes all of a batch durable: one append for each partition, all at once.
    pub(super) async fn store(&self, packed: Packed, stall: &Stall) {
        let appends = packed.appends.into_iter();
        let appends =
            appends.map(|(partition, records)| append(&*self.log, stall, partition, records));
        join(join_all(appends), self.dead_letters(&packed.letters)).await;
    }

    /// Takes a record that has to wait for something to where it belongs.
    pub(super) async fn process(&self, record: &Received, stall: &Stall, held: &mut Held) {
        let (events, refused) = match self.events(record, held).await {
            Ok(parts) => parts,
            Err(refused) => (Vec::new(), Some(refused)),
        };
        let partitions = self.log.identity().partitions;
        for event in events {
            let partition = partition_of_record(&event, partitions);
            let bytes: Bytes = event.encode_to_vec().into();
            append(&*self.log, stall, partition, vec![bytes]).await;
        }
        if let Some(refused) = refused {
            self.metrics.ingested(&record.source, "dead_lettered", 1);
            self.dead_letters(&[letter(record, refused, self.clock.now())])
                .await;
        }
    }

    /// The parts that can go on, and why another cannot: the letter holds the whole record, and a
    /// redrive of it passes the fence part by part.
    async fn events(
        &self,
        record: &Received,
        held: &mut Held,
    ) -> Result<(Vec<EventRecord>, Option<Refused>), Refused> {
        let rules = self.rules_of(record)?;
        let body = rules.body_with_schema(record).await?;
        let events = decode::decode_body(record, &body, &rules.decode)?;
        held.decoded(&events);
        let (mut taken, mut refused) = (Vec::with_capacity(events.len()), None);
        for mut event in events {
            self.observe_delay(&record.source, &event);
            let mut fate = rules.fate(&event, self.reltio.is_some());
            if fate == Fate::Read {
                if let Err(unread) = self.hydrate(&mut event, held).await {
                    refused.get_or_insert(unread);
                    continue;
                }
                let passes = rules.filter.passes(&event);
                fate = if passes { Fate::Kept } else { Fate::Filtered };
            }
            if fate == Fate::Kept
                && let Err(larger) = self.fits(event.encoded_len())
            {
                refused.get_or_insert(larger);
                continue;
            }
            let outcome = match (fate, event.kind()) {
                (Fate::Kept, Kind::Other) => "other",
                (Fate::Kept, _) => "appended",
                (Fate::Filtered | Fate::Read, _) => "filtered",
            };
            self.metrics.ingested(&record.source, outcome, 1);
            if fate == Fate::Kept {
                taken.push(event);
            }
        }
        Ok((taken, refused))
    }

    async fn hydrate(&self, event: &mut EventRecord, held: &mut Held) -> Result<(), Refused> {
        let Some(reltio) = &self.reltio else {
            let code = "no_reltio_api".to_owned();
            return Err(Refused {
                stage: "hydrate",
                reason: "needs_hydration",
                code,
                detail: "the event leaves its object out, and `reltio` is not configured"
                    .to_owned(),
            });
        };
        let hydrator = Hydrator {
            reltio: Arc::clone(reltio),
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
            detail: String::new(),
        })
    }

    async fn dead_letters(&self, letters: &[DeadLetter]) {
        if !letters.is_empty() {
            let log = (&self.log, Share::Intake);
            crate::dead_letter::write(self.letters.as_ref(), log, letters).await;
        }
    }

    /// How long it took from Reltio's commit to here.
    pub(super) fn observe_delay(&self, source: &Arc<str>, event: &EventRecord) {
        if let Some(commit_time) = event.commit_time {
            let delay = crate::time::until(commit_time, event.received_time);
            self.metrics.source_delay(source, delay.as_secs_f64());
        }
    }
}
