//! The oracles' book: what is durable where, and what follows from it at every commit.

use std::collections::{BTreeMap, BTreeSet};

use goldwire::dead_letter::LetterName;
use goldwire::event::proto::DeadLetter;
use goldwire::event::{EventRecord, SourceRecord};
use goldwire::store::{Batch, Cursor, keys};
use prost::Message as _;

use super::feed::number;
use super::plan::{Kind, keeps_rows};
use super::world::{State, World};

/// A record of the event log, as far as the oracles care.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) subject: String,
    /// The moment that it stands for; 0 for a reconcile.
    pub(crate) seq: u64,
    pub(crate) row: Option<(String, i64, i64)>,
    pub(crate) sink: String,
    pub(crate) round: u32,
}

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// The event log by partition, from its first record on, trimmed or not.
    pub(crate) log: BTreeMap<u16, BTreeMap<u64, Known>>,
    /// Messages and subjects that are in the event log.
    logged: BTreeSet<(usize, String)>,
    /// Messages that ingest dead-lettered, at any time.
    lettered: BTreeSet<usize>,
    /// Messages in the inbox of each instance, with their rounds, by offset.
    pub(crate) inbox: BTreeMap<usize, Vec<(usize, u32)>>,
    /// Open letters by key.
    pub(crate) letters: BTreeMap<Vec<u8>, DeadLetter>,
    /// The moments that letters' records told of when they were written.
    told: BTreeMap<Vec<u8>, u64>,
    /// Letters of sinks that ever were: sink and id.
    ever: BTreeSet<(String, String)>,
    /// Durable positions by the instance and the key of their cursor.
    positions: BTreeMap<(usize, Vec<u8>), u64>,
}

impl World {
    /// A record of the event log is durable.
    pub(crate) fn logged(&self, partition: u16, offset: u64, bytes: &[u8]) {
        let record = EventRecord::decode(bytes).unwrap();
        let origin = record.origin.clone().unwrap_or_default();
        let message = number(&origin.message_id);
        let emission = message.and_then(|index| self.emissions.get(index));
        let about = emission.and_then(|it| it.about.iter().find(|(uri, _)| *uri == record.subject));
        let mut state = self.lock();
        let known = Known {
            id: record.id,
            subject: record.subject.clone(),
            seq: about.map_or(0, |(_, seq)| *seq),
            row: emission.and_then(|emission| emission.row.clone()),
            sink: record.sink,
            round: record.round,
        };
        if let Some(message) = message {
            state.book.logged.insert((message, record.subject));
        }
        state.note(|| {
            format!(
                "log {partition}@{offset}: {} moment {} {} v{:?} c{:?} read {:?} round {} {} m{message:?}",
                known.subject, known.seq, record.kind, record.version, record.commit_time,
                record.read_time, known.round, known.sink
            )
        });
        let log = state.book.log.entry(partition).or_default();
        log.insert(offset, known);
    }

    /// A record of the inbox is durable.
    pub(crate) fn received(&self, slot: usize, bytes: &[u8]) {
        let record = SourceRecord::decode(bytes).unwrap();
        let message = message_of(&record.headers);
        let mut state = self.lock();
        state.dated = state.now();
        let inbox = state.book.inbox.entry(slot).or_default();
        inbox.push((message, record.round));
    }

    /// A webhook was answered 200 (G1).
    pub(crate) fn answered(&self, message: usize) {
        let mut state = self.lock();
        let mut received = state.book.inbox.values().flatten();
        if !received.any(|(one, _)| *one == message) {
            state.violate("G1", || {
                format!("webhook m{message} was answered 200 and is not in the inbox")
            });
        }
    }

    /// The broker took a position (G1, G2).
    pub(crate) fn source_committed(&self, partition: i32, position: u64) {
        let mut state = self.lock();
        let before = state
            .broker
            .committed
            .insert(partition, position)
            .unwrap_or(0);
        state.note(|| format!("topic {partition} committed {position}"));
        let index = usize::try_from(partition).unwrap();
        let passed = usize::try_from(before).unwrap()
            ..usize::try_from(position)
                .unwrap()
                .max(usize::try_from(before).unwrap());
        let passed: Vec<usize> = state.broker.partitions[index][passed].to_vec();
        for message in passed {
            self.must_be_taken(&mut state, message, "a committed offset of the topic");
        }
    }

    fn must_be_taken(&self, state: &mut State, message: usize, by: &str) {
        let emission = &self.emissions[message];
        if state.book.lettered.contains(&message) {
            return;
        }
        if emission.malformed {
            state.violate("G1", || {
                format!("{by} passed m{message}, which is in no dead letter")
            });
        }
        for (subject, _) in &emission.about {
            if !state.book.logged.contains(&(message, subject.clone())) {
                state.violate("G1", || {
                    format!("{by} passed m{message}, and {subject} of it is not in the event log")
                });
            }
        }
    }

    /// A batch of an instance's store is durable.
    pub(crate) fn stored(&self, slot: usize, batch: &Batch) {
        let mut state = self.lock();
        let cursors = batch.changes.keys().filter(|key| key.starts_with(b"c/"));
        let by_commit = cursors.count() > 0;
        letters(&mut state, batch, by_commit);
        for (key, value) in batch
            .changes
            .iter()
            .filter(|(key, _)| key.starts_with(b"c/"))
        {
            let Some(value) = value else { continue };
            let cursor = Cursor::decode(value.as_slice()).unwrap();
            let name = key[2..].split(|byte| *byte == 0).next().unwrap();
            let of_sink = name != b"goldwire.inbox";
            if of_sink && self.plan.cluster.is_some() {
                // The group's offset is the position.
                continue;
            }
            let of = (slot, key.clone());
            let before = state.book.positions.insert(of, cursor.position);
            let before = before.unwrap_or(0);
            let partition = u16::from_be_bytes(*key.last_chunk().unwrap());
            if of_sink {
                sink_passed(&mut state, name, partition, before, cursor.position);
            } else {
                self.inbox_passed(&mut state, slot, before, cursor.position);
            }
        }
    }

    fn inbox_passed(&self, state: &mut State, slot: usize, before: u64, position: u64) {
        for offset in before..position {
            let (message, _) = state.book.inbox[&slot][usize::try_from(offset).unwrap()];
            if message != usize::MAX {
                self.must_be_taken(state, message, "the inbox's position");
            }
        }
    }
    /// Open letters, with their reasons.
    pub(crate) fn letter_names(&self) -> Vec<String> {
        let state = self.lock();
        let letters = state.book.letters.values();
        letters
            .map(|letter| {
                format!(
                    "{} {} {}",
                    LetterName::of(letter),
                    letter.reason,
                    letter.code
                )
            })
            .collect()
    }

    /// Names of the open letters.
    pub(crate) fn open_letters(&self) -> Vec<String> {
        let state = self.lock();
        let letters = state.book.letters.values();
        letters
            .map(|letter| LetterName::of(letter).to_string())
            .collect()
    }
}

/// Letters that a batch opens and closes.
pub(super) fn letters(state: &mut State, batch: &Batch, by_commit: bool) {
    // What is put is there when the position moves; what is removed must not be needed then.
    for (key, value) in batch
        .changes
        .iter()
        .filter(|(key, _)| key.starts_with(b"d/"))
    {
        match value {
            Some(value) => opened(state, key, value, batch),
            None => closed(state, key, by_commit),
        }
    }
}

fn logged(state: &State) -> impl Iterator<Item = &Known> {
    state.book.log.values().flat_map(BTreeMap::values)
}

/// A group's position moved.
pub(super) fn sink_passed(
    state: &mut State,
    group: &[u8],
    partition: u16,
    before: u64,
    position: u64,
) {
    let name = group.strip_prefix(b"goldwire.");
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    let Some(kind) = name.and_then(Kind::named) else {
        return;
    };
    if position > before {
        state.note(|| format!("{} {partition} committed {position}", kind.name()));
    }
    let passed = state.book.log.get(&partition);
    let passed = passed.map(|log| log.range(before..position.max(before)));
    let passed: Vec<(u64, Known)> = passed
        .into_iter()
        .flatten()
        .map(|(offset, known)| (*offset, known.clone()))
        .collect();
    for (offset, known) in passed {
        if let Some(why) = missing(state, kind, &known) {
            state.violate("G2", || {
                format!(
                    "{} passed {partition}@{offset} ({}, moment {}): {why}",
                    kind.name(),
                    known.subject,
                    known.seq
                )
            });
        }
    }
}

/// So many stops while a record alone was being written, and it may be taken for what stops the
/// process: one fewer than the engine asks for, whose note may outlive its write while the store
/// fails.
const DEATHS: u32 = 2;

/// A letter is gone: its record is on its way again, or something newer was delivered.
fn closed(state: &mut State, key: &[u8], by_commit: bool) {
    let Some(letter) = state.book.letters.remove(key) else {
        return;
    };
    let kind = Kind::named(&letter.sink);
    let again = match kind {
        None => {
            let message = message_of(&letter.headers);
            let mut received = state.book.inbox.values().flatten();
            received.any(|(one, round)| *one == message && *round > letter.round)
        }
        Some(_) => logged(state).any(|known| {
            known.id == letter.id && known.sink == letter.sink && known.round > letter.round
        }),
    };
    if !by_commit && !again {
        state.violate("G1", || {
            format!(
                "the letter {}:{} of {} was closed before its record was durable again",
                letter.id, letter.round, letter.sink
            )
        });
    }
    if let Some(kind) = kind.filter(|_| by_commit && !again) {
        let seq = state.book.told.remove(key).unwrap_or(0);
        let reached = state.targets[&kind].reached(&letter.subject);
        if reached < seq {
            state.violate("G2", || {
                format!(
                    "{} closed the letter of {} at moment {seq}, and has only moment {reached}",
                    kind.name(),
                    letter.subject
                )
            });
        }
    }
}

fn opened(state: &mut State, key: &[u8], value: &[u8], batch: &Batch) {
    let mut letter = DeadLetter::decode(value).unwrap();
    // Headers and original stand under a key of their own, in the same batch.
    let record = keys::dead_letter_record(&letter.sink, &letter.id, letter.round);
    if let Some(Some(record)) = batch.changes.get(&record) {
        letter.merge(record.as_slice()).unwrap();
    }
    state.note(|| {
        format!(
            "letter {}:{} of {:?} about {}: {} {}",
            letter.id, letter.round, letter.sink, letter.subject, letter.reason, letter.code
        )
    });
    let killer = state.killer.as_ref();
    let guilty = killer.is_some_and(|(_, subject, _)| *subject == letter.subject);
    // No one can tell a killer from a record that was alone each time when something else stopped
    // the process.
    let mut alone = state.alone.iter();
    let unlucky = alone.any(|((kind, subject), deaths)| {
        kind.name() == letter.sink && *subject == letter.subject && *deaths >= DEATHS
    });
    if letter.reason == "kills_the_process" && !guilty && !unlucky {
        state.violate("G2", || {
            format!(
                "{} did not kill the process, and its letter says so",
                letter.subject
            )
        });
    }
    if letter.sink.is_empty() {
        state.book.lettered.insert(message_of(&letter.headers));
    } else {
        state
            .book
            .ever
            .insert((letter.sink.clone(), letter.id.clone()));
    }
    // A later event without clocks may have the same id, and another moment.
    let of_letter = logged(state).filter(|known| known.id == letter.id);
    let seq = of_letter.map(|known| known.seq).max().unwrap_or(0);
    state.book.told.insert(key.to_vec(), seq);
    state.book.letters.insert(key.to_vec(), letter);
}

/// Why a sink's position must not have passed a record.
fn missing(state: &State, kind: Kind, known: &Known) -> Option<&'static str> {
    let addressed = !known.sink.is_empty() && known.sink != kind.name();
    let skipped = kind == Kind::Crm && known.subject.starts_with("relations/");
    let lettered = state
        .book
        .ever
        .contains(&(kind.name().to_owned(), known.id.clone()));
    if addressed || skipped || lettered || known.seq == 0 {
        return None;
    }
    let target = &state.targets[&kind];
    if kind != Kind::Pieces && target.reached(&known.subject) < known.seq {
        return Some("the target has only an older state, and there is no dead letter");
    }
    let row = known
        .row
        .as_ref()
        .filter(|(subject, ..)| keeps_rows(kind) && *subject == known.subject);
    if row.is_some_and(|row| !target.rows.contains_key(row)) {
        return Some("its row is not there");
    }
    None
}

fn message_of(headers: &std::collections::HashMap<String, String>) -> usize {
    headers
        .get("messageid")
        .and_then(|id| number(id))
        .unwrap_or(usize::MAX)
}
