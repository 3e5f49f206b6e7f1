//! Where a task begins: its cursor, and what an unclean stop means for what follows.
//!
//! Guarantee (G4): records at or above `reached` were never handed to a lane before. Below it,
//! after an unclean stop, an earlier send may still land: such records are suspect.

use std::sync::Arc;

use prost::Message as _;

use super::commit::store_patiently;
use crate::ledger::{Batch, Cursor, Store, StoreError, keys};
use crate::log::OffsetRange;

/// How far beyond what was read the durable `reached` is set.
pub(crate) const WINDOW: u64 = 10_000;
/// After so many unclean starts without progress, records go one at a time and noted.
const CAREFUL: u32 = 3;
/// A record that was alone in flight at so many unclean stops is what stops the process.
const KILLS: u32 = 3;
/// Notes looked at in one go.
const NOTES: usize = 1000;

/// A task's beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// The next offset to read.
    pub(crate) position: u64,
    /// Records below it are suspect.
    pub(crate) suspect_below: u64,
    /// Unclean starts since the position last moved.
    pub(crate) restarts: u32,
}

impl Beginning {
    /// What the cursor says; a new group begins at the log's start. What the log does not hold yet
    /// was never handed to a lane, and where nothing was, no record can have stopped the process.
    pub(crate) fn of(cursor: Option<&Cursor>, log: OffsetRange) -> Self {
        match cursor {
            None => Self {
                position: log.start,
                suspect_below: 0,
                restarts: 0,
            },
            Some(cursor) if cursor.clean => Self {
                position: cursor.position,
                suspect_below: 0,
                restarts: 0,
            },
            Some(cursor) if log.end <= cursor.position => Self {
                position: cursor.position,
                suspect_below: 0,
                restarts: 0,
            },
            Some(cursor) => Self {
                position: cursor.position,
                suspect_below: cursor.reached.min(log.end),
                restarts: cursor.restarts.saturating_add(1),
            },
        }
    }

    /// Whether records below `suspect_below` go one at a time, each noted before its send.
    pub(crate) fn careful(self) -> bool {
        self.restarts >= CAREFUL
    }
}

/// The cursor of a group in a partition.
pub(crate) fn load(
    store: &dyn Store,
    group: &str,
    partition: u16,
) -> Result<Option<Cursor>, StoreError> {
    let key = keys::cursor(group, partition);
    let Some(value) = store.get(&key)? else {
        return Ok(None);
    };
    Cursor::decode(value.as_slice())
        .map(Some)
        .map_err(|error| StoreError::Corrupt {
            key: format!("cursor of {group} in partition {partition}"),
            why: error.to_string(),
        })
}

/// Where a group went on after a gap in a partition, if it ever had one.
pub(crate) fn gap(
    store: &dyn Store,
    group: &str,
    partition: u16,
) -> Result<Option<u64>, StoreError> {
    let value = store.get(&keys::gap(group, partition))?;
    let text = value.and_then(|value| String::from_utf8(value).ok());
    Ok(text.map(|text| text.parse().unwrap_or_default()))
}

/// Notes that the record at `offset` is tried by itself, before it is; `last` had its end. Tells
/// whether the record was alone at the end of the process too often. A disk that fails for a while
/// is waited for, and is not counted as an end.
pub(crate) async fn note(
    store: &Arc<dyn Store>,
    key: impl Fn(u64) -> Vec<u8>,
    offset: u64,
    last: Option<u64>,
) -> Result<bool, StoreError> {
    let noted = key(offset);
    let known = store_patiently(store, move |store| store.get(&noted)).await?;
    let text = known.and_then(|value| String::from_utf8(value).ok());
    let before: u32 = text.and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut batch = Batch::default();
    if let Some(last) = last {
        batch.remove(key(last));
    }
    let now = before.saturating_add(1).to_string();
    batch.put(key(offset), now.into_bytes());
    store_patiently(store, move |store| store.commit(batch.clone())).await?;
    Ok(before >= KILLS)
}

/// Forgets the notes of records below `position`: they had their end. Blocks on the disk.
pub(crate) fn forget(store: &dyn Store, prefix: &[u8], position: u64) -> Result<(), StoreError> {
    loop {
        let page = store.scan(prefix, None, NOTES)?;
        let mut batch = Batch::default();
        for (key, _) in &page {
            let offset = key
                .last_chunk()
                .map_or(0, |offset| u64::from_be_bytes(*offset));
            if offset < position {
                batch.remove(key.clone());
            }
        }
        let whole = page.len() == NOTES && batch.changes.len() == NOTES;
        store.commit(batch)?;
        if !whole {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unclean_stop_makes_records_suspect() {
        let mut cursor = Cursor {
            position: 5,
            clean: true,
            reached: 90,
            restarts: 0,
        };
        let log = |end| OffsetRange { start: 3, end };
        assert_eq!(Beginning::of(Some(&cursor), log(200)).suspect_below, 0);
        cursor.clean = false;
        let unclean = Beginning::of(Some(&cursor), log(200));
        assert_eq!((unclean.suspect_below, unclean.restarts), (90, 1));
        assert!(!unclean.careful());
        assert_eq!(Beginning::of(Some(&cursor), log(20)).suspect_below, 20);
        let idle = Beginning::of(Some(&cursor), log(5));
        assert_eq!((idle.suspect_below, idle.restarts), (0, 0));
        assert_eq!(Beginning::of(None, log(200)).position, 3);
    }
}
