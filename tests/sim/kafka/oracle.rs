//! What must never be seen on the brokers, or in a store beside them.

use goldwire::changelog::Part;
use goldwire::store::{Batch, Cursor, keys};
use prost::Message as _;

use super::changelog::SimChangelog;
use super::{Cluster, Pair};
use crate::fault::Fault;
use crate::host::{Breath, Host};
use crate::plan::Kind;
use crate::world::State;

/// A task's commit on its way to a transaction.
#[derive(Debug)]
pub(super) struct Handed {
    life: u64,
    kind: Kind,
    partition: u16,
    epoch: u64,
    cursor: Cursor,
}

impl Cluster {
    /// These are read by everybody from now on.
    pub(super) fn is_committed(&mut self, kind: Kind, changes: impl IntoIterator<Item = Pair>) {
        let committed = self.committed.entry(kind).or_default();
        committed.extend(changes);
    }

    fn has(&self, kind: Kind, key: &[u8], value: Option<&Vec<u8>>) -> bool {
        let of = (key.to_vec(), value.cloned());
        self.committed.get(&kind).is_some_and(|it| it.contains(&of))
    }
}

/// Whose state a key of a store is.
fn sink_of(key: &[u8]) -> Option<Kind> {
    let (head, rest) = key.split_at_checked(2)?;
    let name = rest.split(|byte| *byte == 0).next()?;
    let name = match head {
        b"r/" | b"a/" | b"p/" | b"i/" | b"j/" | b"t/" => name,
        b"c/" | b"g/" | b"w/" => name.strip_prefix(b"goldwire.")?,
        _ => return None,
    };
    let named = |kind: &Kind| kind.name().as_bytes() == name;
    Kind::ALL.into_iter().find(named)
}

/// A batch goes into an instance's store (G3).
pub(crate) fn store_is_behind(state: &mut State, slot: usize, batch: &Batch) {
    for (key, value) in &batch.changes {
        let (Some(kind), Some(value)) = (sink_of(key), value) else {
            continue;
        };
        if !state.cluster.has(kind, key, Some(value)) {
            let text = String::from_utf8_lossy(key).into_owned();
            state.violate("G3", || {
                format!("the store of #{slot} has {text:?}, which the changelog has not")
            });
            return;
        }
    }
}

/// A task hands a commit in.
pub(crate) fn hands(state: &mut State, of: (u64, Kind, u16, u64), cursor: Cursor) {
    let (life, kind, partition, epoch) = of;
    let handed = &mut state.cluster.handed;
    handed.retain(|it| it.life == life || state.lives.contains_key(&it.life));
    handed.push(Handed {
        life,
        kind,
        partition,
        epoch,
        cursor,
    });
}

/// Those that are in a group, and run, take no more than the whole of the sink's quota together. One
/// that has not heard that it is out counts what it had.
pub(super) fn quota_is_divided(state: &mut State, kind: Kind) {
    let Some(group) = state.cluster.groups.get(&kind) else {
        return;
    };
    let runs = |life: &u64| state.lives[life] == Breath::Runs;
    let portions = &state.cluster.portions;
    let parts = group
        .lives()
        .filter(runs)
        .filter_map(|life| portions.get(&life));
    let sum: f64 = parts.map(|of| of.get(kind.name()).part()).sum();
    if sum > 1.0001 {
        state.violate("quota", || {
            format!("{} is written to with {sum} of its quota", kind.name())
        });
    }
}

/// A store that is being restored.
pub(crate) struct Restoring<'a> {
    host: &'a Host,
    over: bool,
}

impl<'a> Restoring<'a> {
    pub(crate) fn of(host: &'a Host) -> Self {
        Self { host, over: false }
    }

    pub(crate) fn ends(mut self) {
        self.over = true;
    }
}

impl Drop for Restoring<'_> {
    fn drop(&mut self) {
        if !self.over && self.host.breath() == Breath::Runs {
            self.host.lock().hit(Fault::MovedInRestore);
        }
    }
}

/// A commit was answered (G3).
pub(crate) fn is_durable(state: &mut State, kind: Kind, changes: &[(Vec<u8>, Vec<u8>)]) {
    for (key, value) in changes {
        if !state.cluster.has(kind, key, Some(value)) {
            let text = String::from_utf8_lossy(key).into_owned();
            state.violate("G3", || {
                let name = kind.name();
                format!("{name}: a commit was answered, and {text:?} is not in the changelog")
            });
            return;
        }
    }
}

impl SimChangelog {
    /// A transaction begins: each part is of the assignment that its partition has now (G2).
    pub(super) fn may_transact(&self, parts: &[Part]) {
        for part in parts {
            let partition = part.partition;
            let now = self.epoch_of(partition);
            let Some(now) = now else {
                self.taken_away(partition, "a transaction");
                continue;
            };
            let Some(cursor) = cursor_of(part) else {
                continue;
            };
            let mut state = self.host.lock();
            let handed = state.cluster.handed.iter();
            let mut same = handed.filter(|it| {
                it.life == self.host.life
                    && it.kind == self.kind
                    && it.partition == partition
                    && it.cursor == cursor
            });
            let old = same.clone().count() > 0 && !same.any(|it| it.epoch == now);
            if old {
                state.violate("G2", || {
                    let name = self.kind.name();
                    format!("{name} {partition}: what an assignment that ended left behind is in a transaction")
                });
            }
        }
    }

    /// A record is put into a changelog (G2).
    pub(super) fn may_put(&self, partition: u16) {
        if self.epoch_of(partition).is_none() {
            self.taken_away(partition, "the changelog");
        }
    }

    fn epoch_of(&self, partition: u16) -> Option<u64> {
        let client = self.client.lock().unwrap();
        client.assigned.get(&partition).copied()
    }

    fn taken_away(&self, partition: u16, place: &str) {
        self.host.violate("G2", || {
            let (name, slot) = (self.kind.name(), self.host.slot);
            format!("{name} #{slot} puts something of partition {partition} into {place} after it was given back or lost")
        });
    }
}

fn cursor_of(part: &Part) -> Option<Cursor> {
    let cursor = part.changes.changes.iter();
    let mut cursor = cursor.filter(|(key, _)| key.starts_with(b"c/"));
    let (_, value) = cursor.next()?;
    Cursor::decode(value.as_deref()?).ok()
}

/// The keys and values of a commit that everybody has to be able to read.
pub(crate) fn registers_of(
    kind: Kind,
    partition: u16,
    batch: &goldwire::engine::checkpoint::CommitBatch,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let registers = batch.registers.iter().map(|(subject, register)| {
        let key = keys::register(kind.name(), partition, subject);
        (key, register.encode_to_vec())
    });
    let cursor = keys::cursor(&format!("goldwire.{}", kind.name()), partition);
    let cursor = (cursor, batch.cursor.encode_to_vec());
    registers.chain([cursor]).collect()
}
