//! Transactions: changelog records and a group's offsets, seen together or never.

use std::collections::BTreeMap;

use goldwire::changelog::Part;
use goldwire::store::{Batch, Store as _, keys};
use goldwire::time::Millis;

use super::TRANSACTION;
use crate::book::{letters, sink_passed};
use crate::plan::Kind;
use crate::world::State;

/// A transaction that has not ended.
#[derive(Debug)]
pub(super) struct Transaction {
    kind: Kind,
    /// Whose producer's it is.
    slot: usize,
    /// When the brokers abort it.
    deadline: Millis,
    /// How it ends, and when that shows, though no one has heard it.
    pub(super) will: Option<(bool, Millis)>,
    /// Offsets that are not stable yet.
    pub(super) offsets: BTreeMap<u16, u64>,
    /// Dead letters that are closed with it.
    closed: Vec<Vec<u8>>,
}

impl Transaction {
    pub(super) fn is_of(&self, kind: Kind) -> bool {
        self.kind == kind
    }
}

impl State {
    /// An instance's producer begins: whatever it left open ends, as it was decided.
    pub(super) fn begin_transaction(&mut self, kind: Kind, slot: usize) -> u64 {
        self.end_left_open(kind, slot);
        let number = self.cluster.number();
        let transaction = Transaction {
            kind,
            slot,
            deadline: self.now() + TRANSACTION,
            will: None,
            offsets: BTreeMap::new(),
            closed: Vec::new(),
        };
        self.cluster.transactions.insert(number, transaction);
        number
    }

    /// A producer with the same name begins again.
    pub(super) fn end_left_open(&mut self, kind: Kind, slot: usize) {
        let open = self.cluster.transactions.iter();
        let own = open.filter(|(_, it)| it.kind == kind && it.slot == slot);
        let own: Vec<(u64, bool)> = own
            .map(|(number, it)| (*number, it.will.is_some_and(|(committed, _)| committed)))
            .collect();
        for (number, committed) in own {
            self.end_transaction(number, committed);
        }
    }

    /// What the brokers end by themselves.
    pub(super) fn end_overdue(&mut self) {
        let now = self.now();
        let open = self.cluster.transactions.iter();
        let over = open.filter_map(|(number, it)| match it.will {
            Some((committed, at)) => (at <= now).then_some((*number, committed)),
            None => (it.deadline <= now).then_some((*number, false)),
        });
        let over: Vec<(u64, bool)> = over.collect();
        for (number, committed) in over {
            self.end_transaction(number, committed);
        }
    }

    /// The records of a transaction are on the brokers; returns the offset after each part's last.
    pub(super) fn write_parts(&mut self, number: u64, parts: &[Part]) -> Option<Vec<Option<u64>>> {
        let of = self.cluster.transactions.get_mut(&number)?;
        let kind = of.kind;
        let mut nexts = Vec::new();
        for part in parts {
            of.closed.extend_from_slice(&part.closed);
            let topic = self.cluster.topics.entry((kind, part.partition));
            let topic = topic.or_default();
            let some = !part.changes.is_empty();
            let last = topic.append(&part.changes, Some(number));
            nexts.push(some.then_some(last + 1));
        }
        Some(nexts)
    }

    /// Ends a transaction, if it is not over already.
    pub(super) fn end_transaction(&mut self, number: u64, committed: bool) {
        let Some(of) = self.cluster.transactions.remove(&number) else {
            return;
        };
        let kind = of.kind;
        self.note(|| {
            let ends = if committed { "committed" } else { "aborted" };
            let (name, slot) = (kind.name(), of.slot);
            format!(
                "{name} #{slot} transaction {number} {ends}, offsets {:?}",
                of.offsets
            )
        });
        let topics = self.cluster.topics.iter_mut();
        let mut all = Vec::new();
        for (_, topic) in topics.filter(|((other, _), _)| *other == kind) {
            all.push(topic.end(number, committed));
        }
        if !committed {
            return;
        }
        for changes in all {
            self.cluster.is_committed(kind, changes);
        }
        for (partition, position) in of.offsets {
            let offset = self.cluster.offsets.insert((kind, partition), position);
            let before = offset.unwrap_or(0);
            if position < before {
                self.violate("G2", || {
                    format!("{} went back from {before} to {position}", kind.name())
                });
            }
            let group = format!("goldwire.{}", kind.name());
            sink_passed(self, group.as_bytes(), partition, before, position);
        }
        let mut closed = Batch::default();
        for letter in of.closed {
            let name = letter.strip_prefix(keys::DEAD_LETTERS).unwrap();
            closed.remove([keys::DEAD_LETTER_RECORDS, name].concat());
            closed.remove(letter);
        }
        letters(self, &closed, true);
        self.cluster.letters.commit(closed).unwrap();
    }
}
