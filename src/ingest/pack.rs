//! Decoding of a batch: records are decoded one after the other, and encoded for the event log at
//! once, into one buffer for each of its partitions.
//!
//! Nothing here waits. What needs a read of Reltio or of a schema is left to [`super::process`].

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use super::letter::{Refused, letter};
use super::process::{Fate, IngestContext};
use crate::dead_letter::DeadLetter;
use crate::decode::{self, Events};
use crate::event::{EventRecord, Kind, Received};
use crate::log::partition_of_record;

/// Memory that neighbouring records of a partition share.
const CHUNK: usize = 64 << 10;

/// What a batch amounts to.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Records by partition of the event log.
    pub(super) appends: Vec<(u16, Vec<Bytes>)>,
    /// Of what could not be decoded, or is larger than the log takes.
    pub(super) letters: Vec<DeadLetter>,
    /// Bytes of both.
    pub(super) bytes: usize,
}

/// Decodes batches, and reuses what it needed for that.
#[derive(Debug)]
pub(super) struct Packing {
    context: Arc<IngestContext>,
    events: Events,
    partitions: Vec<Buffer>,
    letters: Vec<DeadLetter>,
    bytes: usize,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Buffer {
    text: BytesMut,
    records: Vec<Bytes>,
}

/// What became of the records of one source, until it is told.
#[derive(Debug, Default)]
struct Counts {
    source: Option<Arc<str>>,
    received: u64,
    appended: u64,
    other: u64,
    filtered: u64,
    dead_lettered: u64,
}

impl Packing {
    pub(super) fn new(context: Arc<IngestContext>) -> Self {
        let partitions = (0..context.log.identity().partitions).map(|_| Buffer::default());
        Self {
            partitions: partitions.collect(),
            context,
            events: Events::default(),
            letters: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Bytes packed since the last batch ended.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record; false if it has to wait, and is to be processed by itself.
    pub(super) fn add(&mut self, record: &Received) -> bool {
        if self.counts.source.as_ref() != Some(&record.source) {
            self.tell();
            self.counts.source = Some(Arc::clone(&record.source));
        }
        self.counts.received += 1;
        match self.decode(record) {
            Ok(packed) => packed,
            Err(refused) => {
                self.counts.dead_lettered += 1;
                let now = self.context.clock.now();
                self.letters.push(letter(record, refused, now));
                self.bytes = self.bytes.saturating_add(record.bytes());
                true
            }
        }
    }

    fn decode(&mut self, record: &Received) -> Result<bool, Refused> {
        let context = Arc::clone(&self.context);
        let rules = context.rules_of(record)?;
        let Some(body) = rules.body(record)? else {
            return Ok(false);
        };
        decode::decode_body_into(record, &body, &rules.decode, &mut self.events)?;
        let fate = |event: &EventRecord| rules.fate(event, context.reltio.is_some());
        let events = std::mem::take(&mut self.events);
        let needs_read = events
            .records()
            .iter()
            .any(|event| fate(event) == Fate::Read);
        // As in the slow path, the other parts go on.
        let mut whole = Ok(!needs_read);
        if !needs_read {
            for event in events.records() {
                context.observe_delay(&record.source, event);
                if fate(event) != Fate::Kept {
                    self.counts.filtered += 1;
                } else if let Err(larger) = self.encode(event) {
                    whole = Err(larger);
                } else if event.kind() == Kind::Other {
                    self.counts.other += 1;
                } else {
                    self.counts.appended += 1;
                }
            }
        }
        self.events = events;
        whole
    }

    fn encode(&mut self, event: &EventRecord) -> Result<(), Refused> {
        let length = event.encoded_len();
        self.context.fits(length)?;
        let partitions = u16::try_from(self.partitions.len()).unwrap_or(u16::MAX);
        let partition = usize::from(partition_of_record(event, partitions));
        let Some(Buffer { text, records }) = self.partitions.get_mut(partition) else {
            return Ok(());
        };
        if text.capacity() < length {
            *text = BytesMut::with_capacity(CHUNK.max(length));
        }
        if event.encode(text).is_err() {
            // A buffer that grows takes everything.
            text.extend_from_slice(&event.encode_to_vec());
        }
        records.push(text.split().freeze());
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    /// Ends the batch.
    pub(super) fn finish(&mut self) -> Packed {
        self.tell();
        let partitions = (0_u16..).zip(&mut self.partitions);
        let filled = partitions.filter(|(_, buffer)| !buffer.records.is_empty());
        Packed {
            appends: filled
                .map(|(partition, buffer)| (partition, std::mem::take(&mut buffer.records)))
                .collect(),
            letters: std::mem::take(&mut self.letters),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    /// Tells the metrics what was counted.
    pub(super) fn tell(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let Some(source) = counts.source else {
            return;
        };
        let metrics = &self.context.metrics;
        metrics.received(&source, counts.received);
        for (outcome, records) in [
            ("appended", counts.appended),
            ("other", counts.other),
            ("filtered", counts.filtered),
            ("dead_lettered", counts.dead_lettered),
        ] {
            if records > 0 {
                metrics.ingested(&source, outcome, records);
            }
        }
    }
}
