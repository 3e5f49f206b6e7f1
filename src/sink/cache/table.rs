//! The table on disk: the newest golden record of each entity, and which entities claim a crosswalk.
//!
//! Guarantees: what is older than what is kept changes nothing (G4), and a batch is durable as a whole
//! when [`Table::write`] returns (G3). An entity's write touches its own claims alone, so whatever
//! order the writes of several entities come in, the table is the same in the end.
//!
//! | key | value |
//! |---|---|
//! | `e/{uri}` | [`Entry`] |
//! | `x/{claim}{uri}` | the content time of the claim, ms, big-endian |
//! | `m/erased` | since when erased content may be left in the files, ms, decimal |

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;

use super::entry::{Entry, claim};
use crate::event::{State, Subject, SubjectState, short_name};
use crate::sink::{Current, Effect, SinkError};
use crate::store::{Batch, Store, StoreError};
use crate::time::Millis;

/// Entities that claim one crosswalk at once, at most, of which the newest claims count: after a merge
/// there are two, until the loser is gone.
const CLAIMANTS: usize = 64;
/// Losers in a row that are followed to a survivor.
const HOPS: usize = 32;

const ERASED: &[u8] = b"m/erased";

/// What is to be kept of one entity.
#[derive(Debug, Clone)]
pub struct Row {
    /// Who.
    pub subject: Subject,
    /// Short name of the type; empty if nothing told.
    pub object_type: String,
    /// What it is.
    pub current: Current,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A living entity: its URI, and what is kept of it. Another URI than the one that was asked
    /// for is that of the survivor.
    Alive(String, Box<Entry>),
    /// It was kept, and is dead.
    Dead,
    /// It was merged into an entity that the table has not.
    Merged,
    /// Nothing.
    Unknown,
}

/// The table.
pub struct Table {
    store: Arc<dyn Store>,
    /// Held from the look at what is kept until what replaces it is durable: a write that was given
    /// up may still be under way when the next one of its entity comes.
    writing: Mutex<()>,
    erasures: AtomicU64,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Table {
    /// The table in `store`, which nothing else uses.
    pub fn over(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            writing: Mutex::new(()),
            erasures: AtomicU64::new(0),
        }
    }

    /// Keeps what of `rows` is not older than what is kept, and answers each (G7). An entity may
    /// stand in it once. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk fails: nothing of it may be taken as kept.
    pub fn write(
        &self,
        rows: &[Row],
        now: Millis,
    ) -> Result<Vec<Result<Effect, SinkError>>, StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::default();
        let mut answers = Vec::with_capacity(rows.len());
        let mut erasures = 0;
        for row in rows {
            if is_erasure(&row.current) {
                erasures += 1;
                if self.store.get(ERASED)?.is_none() {
                    batch.put(ERASED.to_vec(), now.to_string().into_bytes());
                }
            }
            answers.push(self.add(&mut batch, row)?);
        }
        if !batch.is_empty() {
            self.store.commit(batch)?;
        }
        // Not before: a rewrite of the files that begins now must not take for erased what is not.
        self.erasures.fetch_add(erasures, Ordering::AcqRel);
        Ok(answers)
    }

    fn add(
        &self,
        batch: &mut Batch,
        Row {
            subject,
            object_type,
            current,
        }: &Row,
    ) -> Result<Result<Effect, SinkError>, StoreError> {
        let uri = subject.uri();
        let before = self.entry(uri)?;
        if let Some(before) = &before
            && before.content_time > current.content_time
        {
            return Ok(Ok(Effect::Stale));
        }
        let entry = match Entry::after(before.as_ref(), object_type, current) {
            Ok(entry) => entry,
            Err(rejected) => return Ok(Err(rejected)),
        };
        for gone in before.iter().flat_map(|before| &before.claims) {
            if entry.claims.binary_search(gone).is_err() {
                batch.remove(claim_key(gone, uri));
            }
        }
        // A loser's claims stay as old as they are: the survivor's are newer.
        if current.state.is_alive() {
            for claim in &entry.claims {
                let time = entry.content_time.to_be_bytes().to_vec();
                batch.put(claim_key(claim, uri), time);
            }
        }
        batch.put(entry_key(uri), entry.encode_to_vec());
        Ok(Ok(Effect::Delivered))
    }

    /// What is kept under `uri`, losers followed to their survivor. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn find(&self, uri: &str) -> Result<Found, StoreError> {
        let mut seen = vec![uri.to_owned()];
        while let Some(at) = seen.last() {
            let Some(entry) = self.entry(at)? else {
                let merged = seen.len() > 1;
                return Ok(if merged {
                    Found::Merged
                } else {
                    Found::Unknown
                });
            };
            match entry.state() {
                State::Alive => return Ok(Found::Alive(at.clone(), Box::new(entry))),
                State::Absorbed => {}
                State::Removed | State::Erased | State::Gone | State::Unknown => {
                    return Ok(Found::Dead);
                }
            }
            let next = entry.absorbed_by.filter(|by| !seen.contains(by));
            let Some(next) = next.filter(|_| seen.len() < HOPS) else {
                break;
            };
            seen.push(next);
        }
        Ok(Found::Merged)
    }

    /// The living entity with the crosswalk `value` of `source`; where several claim it, the one whose
    /// record is the newest. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn find_by_crosswalk(&self, source: &str, value: &str) -> Result<Found, StoreError> {
        let prefix = [b"x/".as_slice(), &claim(short_name(source), value)].concat();
        let mut claimants = self.store.scan(&prefix, None, CLAIMANTS)?;
        claimants.sort_by(|(_, one), (_, other)| other.cmp(one));
        for (key, _) in claimants {
            let uri = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default());
            let Found::Alive(at, survivor) = self.find(&uri)? else {
                continue;
            };
            // A survivor that was written since the merge claims by itself what it took over.
            let is_own = at == uri;
            let merged_since = |lost: Entry| survivor.content_time < lost.content_time;
            if is_own || self.entry(&uri)?.is_some_and(merged_since) {
                return Ok(Found::Alive(at, survivor));
            }
        }
        Ok(Found::Unknown)
    }

    /// Since when erased content may be left in the files, if it may.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn erased_since(&self) -> Result<Option<Millis>, StoreError> {
        let since = self.store.get(ERASED)?;
        // A time that cannot be read is long ago.
        Ok(since.map(|text| {
            let text = std::str::from_utf8(&text).unwrap_or_default();
            text.parse().unwrap_or_default()
        }))
    }

    /// Erasures since the start.
    pub(super) fn erasures(&self) -> u64 {
        self.erasures.load(Ordering::Acquire)
    }

    /// A rewrite of the files is over that began at `began`, when there had been so many erasures.
    ///
    /// # Errors
    /// If the disk fails.
    pub(super) fn rewritten(&self, began: Millis, erasures: u64) -> Result<(), StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::default();
        if self.erasures() == erasures {
            batch.remove(ERASED.to_vec());
        } else {
            batch.put(ERASED.to_vec(), began.to_string().into_bytes());
        }
        self.store.commit(batch)
    }

    fn entry(&self, uri: &str) -> Result<Option<Entry>, StoreError> {
        let Some(value) = self.store.get(&entry_key(uri))? else {
            return Ok(None);
        };
        let entry = Entry::decode(Bytes::from(value));
        entry.map(Some).map_err(|error| StoreError::Corrupt {
            key: format!("e/{uri}"),
            why: error.to_string(),
        })
    }
}

fn is_erasure(current: &Current) -> bool {
    current.erased || current.state == SubjectState::Erased
}

fn entry_key(uri: &str) -> Vec<u8> {
    [b"e/", uri.as_bytes()].concat()
}

fn claim_key(claim: &[u8], uri: &str) -> Vec<u8> {
    [b"x/", claim, uri.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::{OnceLock, Weak};

    use super::*;
    use crate::store::{MemoryStore, Pair};

    /// A store in which a rewrite of the files begins just before a commit.
    #[derive(Debug, Default)]
    struct Rewritten {
        store: MemoryStore,
        table: OnceLock<Weak<Table>>,
        erasures: OnceLock<u64>,
    }

    impl Store for Rewritten {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.store.get(key)
        }

        fn scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Pair>, StoreError> {
            self.store.scan(prefix, after, limit)
        }

        fn commit(&self, batch: Batch) -> Result<(), StoreError> {
            let table = self.table.get().and_then(Weak::upgrade);
            if let Some(table) = table {
                self.erasures.get_or_init(|| table.erasures());
            }
            self.store.commit(batch)
        }
    }

    #[test]
    fn an_erasure_that_is_committed_after_a_rewrite_began_leaves_the_files_to_be_rewritten() {
        let store = Arc::new(Rewritten::default());
        let shared: Arc<dyn Store> = Arc::<Rewritten>::clone(&store);
        let table = Arc::new(Table::over(shared));
        store.table.set(Arc::downgrade(&table)).unwrap();
        let erased = Row {
            subject: Subject::new("acme", "entities/a"),
            object_type: "Individual".to_owned(),
            current: Current {
                state: SubjectState::Erased,
                content_time: 5,
                version: None,
                fields: None,
                erased: true,
            },
        };
        table.write(&[erased], 7).unwrap();
        table.rewritten(6, *store.erasures.get().unwrap()).unwrap();
        assert_eq!(table.erased_since().unwrap(), Some(6));
        table.rewritten(8, table.erasures()).unwrap();
        assert_eq!(table.erased_since().unwrap(), None);
    }
}
