//! Where a task begins: its cursor, and what an unclean stop means for what follows.
//!
//! Guarantee (G4): records at or above `reached` were never handed to a lane before. Below it,
//! after an unclean stop, an earlier send may still land: such records are suspect.

use prost::Message as _;

use crate::ledger::{Cursor, Store, StoreError, keys};

/// How far beyond what was read the durable `reached` is set.
pub(crate) const WINDOW: u64 = 10_000;
/// After so many unclean starts without progress, records go one at a time and noted.
const CAREFUL: u32 = 3;
/// A record that was alone in flight at so many unclean stops is what stops the process.
pub(crate) const KILLS: u32 = 3;

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
    /// What the cursor says; a new group begins at the log's start.
    pub(crate) fn of(cursor: Option<&Cursor>, log_start: u64) -> Self {
        match cursor {
            None => Self {
                position: log_start,
                suspect_below: 0,
                restarts: 0,
            },
            Some(cursor) if cursor.clean => Self {
                position: cursor.position,
                suspect_below: 0,
                restarts: 0,
            },
            Some(cursor) => Self {
                position: cursor.position,
                suspect_below: cursor.reached,
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
        assert_eq!(Beginning::of(Some(&cursor), 0).suspect_below, 0);
        cursor.clean = false;
        let unclean = Beginning::of(Some(&cursor), 0);
        assert_eq!((unclean.suspect_below, unclean.restarts), (90, 1));
        assert!(!unclean.careful());
        assert_eq!(Beginning::of(None, 3).position, 3);
    }
}
