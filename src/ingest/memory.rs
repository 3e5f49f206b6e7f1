//! What ingest holds in memory, over all records of one source.
//!
//! Guarantee (G8): a record counts with what it became: decompressed, and with what was read for it,
//! until it is durable elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{Answered, ReadBudget};
use crate::event::EventRecord;

/// The memory of one source's records.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: Arc<AtomicUsize>,
    answers: ReadBudget,
}

/// What one record holds of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
    answers: ReadBudget,
    answered: Option<Answered>,
}

impl Memory {
    /// Bodies and answers may come to so many bytes each.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes: Arc::default(),
            answers: ReadBudget::new(bytes),
        }
    }

    /// Bytes of the records in flight, without what was read for them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A record with a body of so many bytes begins.
    pub(super) fn hold(&self, bytes: usize) -> Held {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Held {
            all: Arc::clone(&self.bytes),
            bytes,
            answers: self.answers.clone(),
            answered: None,
        }
    }
}

impl Held {
    /// What the record was decoded to, which a compressed body is smaller than.
    pub(super) fn decoded(&mut self, events: &[EventRecord]) {
        let bytes: usize = events.iter().map(|event| event.payload.len()).sum();
        let more = bytes.saturating_sub(self.bytes);
        self.all.fetch_add(more, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(more);
    }

    /// Waits for the room of an answer. A record that holds one waits for no second: all might.
    pub(super) async fn may_read(&mut self) {
        if self.answered.is_none() {
            self.answered = self.answers.wait().await;
        }
    }

    /// The answer came; it holds so many bytes.
    pub(super) fn came(&mut self, bytes: usize) {
        if let Some(answered) = &mut self.answered {
            answered.came(bytes);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
