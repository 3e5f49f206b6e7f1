//! Ids of the changes that a sink without unique keys has (G5), until they expire.
//!
//! Guarantee (G8): an id is there twice, by itself and by its time; both are put and removed
//! together. So an expiry reads what is due and nothing else.

use super::{Batch, Store, StoreError, keys};
use crate::event::ChangeId;
use crate::time::Millis;

/// Ids removed in one batch.
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

/// What an expiry removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// How many ids.
    pub ids: usize,
    /// Where the next one goes on, if there may be more that is due.
    pub after: Option<Vec<u8>>,
}

/// Removes ids that were noted before `until`, oldest first: so many pages of a thousand at most,
/// after where the one before ended. Blocks on the disk.
///
/// # Errors
/// If the store fails.
pub fn expire(
    store: &dyn Store,
    (sink, partition): (&str, u16),
    until: Millis,
    after: Option<Vec<u8>>,
    pages: usize,
) -> Result<Expired, StoreError> {
    let prefix = keys::ids_by_time(sink, partition);
    let until = u64::try_from(until).unwrap_or_default().to_be_bytes();
    let of_ids = keys::ids(sink, partition);
    // A scan from the start would meet what was removed before: fjall has it for a while yet.
    let mut expired = Expired { ids: 0, after };
    for _ in 0..pages {
        let page = store.scan_keys(&prefix, expired.after.as_deref(), PAGE)?;
        let mut batch = Batch::default();
        let mut last = None;
        for key in page {
            let rest = key.get(prefix.len()..);
            let split = rest.and_then(|rest| rest.split_first_chunk::<TIME>());
            let Some((_, id)) = split.filter(|(time, _)| **time < until) else {
                break;
            };
            batch.remove([of_ids.as_slice(), id].concat());
            batch.remove(key.clone());
            last = Some(key);
        }
        let due = batch.changes.len() / 2;
        store.commit(batch)?;
        expired.ids = expired.ids.saturating_add(due);
        if due < PAGE {
            expired.after = None;
            return Ok(expired);
        }
        expired.after = last;
    }
    Ok(expired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Subject;
    use crate::store::MemoryStore;

    #[test]
    fn an_expiry_of_several_pages_leaves_what_is_not_due_or_beyond_its_last_page() {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        for time in 1..=3500 {
            let id = ChangeId::of(&Subject::new("acme", "entities/ada"), time, time);
            let observed = false;
            put(&mut batch, "lake", 0, (id, Noted { time, observed }));
        }
        store.commit(batch).unwrap();
        let mut after = None;
        for (until, pages, removed, more) in [
            (2301, 2, 2000, true),
            (2301, 2, 300, false),
            (3501, 1, 1000, true),
            (3501, 4, 200, false),
        ] {
            let expired = expire(&store, ("lake", 0), until, after, pages).unwrap();
            assert_eq!((expired.ids, expired.after.is_some()), (removed, more));
            after = expired.after;
        }
        assert!(
            store
                .scan(&keys::ids("lake", 0), None, 1)
                .unwrap()
                .is_empty()
        );
    }
}
