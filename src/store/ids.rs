//! Ids of the changes that a sink without unique keys has (G5), until they expire.
//!
//! Guarantee (G8): an id is there twice, by itself and by its time; both are put and removed
//! together. So an expiry reads what is due and nothing else.

use super::{Batch, Store, StoreError, keys};
use crate::event::ChangeId;
use crate::time::Millis;

/// Ids of one page.
const PAGE: usize = 1000;
/// Bytes of a time.
const TIME: usize = 8;

/// What is known of a change that a sink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// When the sink first acknowledged it; from then on the window counts.
    pub time: Millis,
    /// The sink has it as it was read afterwards, which gives way to a payload.
    pub observed: bool,
}

impl Noted {
    fn encode(self) -> Vec<u8> {
        let time = self.time.to_be_bytes();
        [time.as_slice(), &[u8::from(self.observed)]].concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (time, rest) = value.split_first_chunk::<TIME>()?;
        let time = Millis::from_be_bytes(*time);
        match rest {
            [observed @ (0 | 1)] => Some(Self {
                time,
                observed: *observed == 1,
            }),
            _ => None,
        }
    }
}

/// What is known of the change `id` at `sink`. Blocks on the disk.
///
/// # Errors
/// If the store fails, or holds something else there.
pub fn get(
    store: &dyn Store,
    sink: &str,
    partition: u16,
    id: &ChangeId,
) -> Result<Option<Noted>, StoreError> {
    let Some(value) = store.get(&keys::id(sink, partition, id))? else {
        return Ok(None);
    };
    Noted::decode(&value)
        .map(Some)
        .ok_or_else(|| StoreError::Corrupt {
            key: format!("an id of {sink} in partition {partition}"),
            why: "it is no time".to_owned(),
        })
}

/// Notes a change. One that was noted before keeps its time, by which it is found.
pub fn put(batch: &mut Batch, sink: &str, partition: u16, (id, noted): (ChangeId, Noted)) {
    batch.put(keys::id(sink, partition, &id), noted.encode());
    let by_time = keys::id_by_time(sink, partition, noted.time, &id);
    batch.put(by_time, Vec::new());
}

/// Ids that have expired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The keys to remove: two an id.
    pub keys: Vec<Vec<u8>>,
    /// Where to go on, if there may be more that is due.
    pub after: Option<Vec<u8>>,
}

/// A page of the ids that were noted before `until`, oldest first, after where the page before
/// ended. Blocks on the disk.
///
/// # Errors
/// If the store fails.
pub fn due(
    store: &dyn Store,
    (sink, partition): (&str, u16),
    until: Millis,
    after: Option<&[u8]>,
) -> Result<Due, StoreError> {
    let prefix = keys::ids_by_time(sink, partition);
    let until = u64::try_from(until).unwrap_or_default().to_be_bytes();
    let of_ids = keys::ids(sink, partition);
    let mut due = Due::default();
    let mut last = None;
    // A scan from the start would meet what was removed before: fjall has it for a while yet.
    for key in store.scan_keys(&prefix, after, PAGE)? {
        let rest = key.get(prefix.len()..);
        let split = rest.and_then(|rest| rest.split_first_chunk::<TIME>());
        let Some((_, id)) = split.filter(|(time, _)| **time < until) else {
            break;
        };
        due.keys.push([of_ids.as_slice(), id].concat());
        due.keys.push(key.clone());
        last = Some(key);
    }
    due.after = last.filter(|_| due.keys.len() == 2 * PAGE);
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Subject;
    use crate::store::MemoryStore;

    #[test]
    fn an_expiry_of_several_pages_leaves_what_is_not_due() {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        for time in 1..=3500 {
            let id = ChangeId::of(&Subject::new("acme", "entities/ada"), time, time);
            let observed = false;
            put(&mut batch, "lake", 0, (id, Noted { time, observed }));
        }
        store.commit(batch).unwrap();
        let mut after = None;
        for (until, removed, more) in [
            (2301, 1000, true),
            (2301, 1000, true),
            (2301, 300, false),
            (3501, 1000, true),
            (3501, 200, false),
        ] {
            let page = due(&store, ("lake", 0), until, after.as_deref()).unwrap();
            assert_eq!((page.keys.len(), page.after.is_some()), (2 * removed, more));
            let mut batch = Batch::default();
            for key in page.keys {
                batch.remove(key);
            }
            store.commit(batch).unwrap();
            after = page.after;
        }
        let left = store.scan(&keys::ids("lake", 0), None, 1).unwrap();
        assert!(left.is_empty());
    }
}
