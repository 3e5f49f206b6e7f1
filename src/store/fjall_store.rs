//! The store on disk for many subjects: one keyspace of fjall, a log-structured merge tree.
//!
//! Guarantee (G3): a batch is applied as a whole and synced before `commit` returns. Commits at
//! the same time share both. After a crash each batch is there whole, or not at all. After an
//! error of the disk the store goes on by itself once there is room.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::HashRatioPolicy;
use fjall::{
    AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _,
};

use super::group::GroupCommit;
use super::recent::Recent;
use super::{Batch, BeforeSync, Pair, Store, StoreError, disk, fjall_journal, keys};
use crate::dir_lock::{DirLock, create_dirs};

/// fjall's part of the store's directory; its own lock has the name of ours.
pub(super) const DIR: &str = "fjall";

/// Bytes of the newest registers that goldwire keeps in memory. A lookup in them costs a fraction of
/// one in fjall's memtable and tables, and with skewed access most are answered there.
const RECENT: usize = 64 << 20;
/// Buckets a key in the hash index of a block, which spares a search most of its comparisons.
const HASHED: f32 = 0.75;
/// Threads that write tables out and merge them. With two, one would only wait for the other,
/// and fjall waits by asking in a circle.
const WORKERS: usize = 1;
/// Full memtables that wait to become tables, at most.
const SEALED: usize = 2;
/// Tables that overlap, at most, while a merge is under way.
const OVERLAPPING: usize = 16;
/// How often a commit looks whether the tables have caught up.
const LOOK: Duration = Duration::from_millis(2);
/// Free disk, besides a copy of the journals, without which opening again is not tried.
const ROOM: u64 = 8 << 20;

/// How a store is laid out. What is not the cache is fixed when the store is made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Bytes of blocks that fjall keeps in memory, indexes and filters included.
    pub cache: u64,
    /// Bytes of newest changes in memory, before they become a table. Larger ones are merged less
    /// often, but a search in them misses the processor's caches, and opening after a crash takes
    /// longer, since they are read from the journal.
    pub memtable: u64,
    /// Bytes of a table, about: the smaller, the shorter one merge.
    pub table: u64,
}

impl Default for Shape {
    /// For registers. Few blocks: what is asked for again is kept by the store itself, and the
    /// system has the files in its own cache.
    fn default() -> Self {
        Self {
            cache: 32 << 20,
            memtable: 8 << 20,
            table: 16 << 20,
        }
    }
}

/// A store in a directory.
pub struct FjallStore {
    path: PathBuf,
    shape: Shape,
    /// Nothing only if it could not be opened again.
    opened: RwLock<Option<Opened>>,
    /// The newest of what is in there.
    recent: RwLock<Recent>,
    before_sync: BeforeSync,
    /// A write failed: fjall takes none any more, until it is opened again.
    failed: AtomicBool,
    group: GroupCommit,
    /// Released after the database.
    _lock: DirLock,
}

/// The database is closed when both are dropped.
struct Opened {
    entries: Keyspace,
    database: Database,
}

impl FjallStore {
    /// Opens the store in the directory `path`, making it if need be. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if another process holds it, another engine made it, its format is
    /// newer than this program's, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Arc::new(|| Ok(())))
    }

    /// As [`Self::open`], laid out as `shape` says.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(path: &Path, shape: Shape) -> Result<Self, StoreError> {
        Self::make(path, shape, Arc::new(|| Ok(())))
    }

    /// As [`Self::open`], with a disk of the test's own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, before_sync: BeforeSync) -> Result<Self, StoreError> {
        Self::make(path, Shape::default(), before_sync)
    }

    fn make(path: &Path, shape: Shape, before_sync: BeforeSync) -> Result<Self, StoreError> {
        let lock = disk::take(path, "fjall")?;
        let store = Self {
            path: path.to_owned(),
            shape,
            opened: RwLock::new(Some(open(&path.join(DIR), shape)?)),
            recent: RwLock::new(Recent::new(RECENT)),
            before_sync,
            failed: AtomicBool::new(false),
            group: GroupCommit::default(),
            _lock: lock,
        };
        disk::check_format(&store, path)?;
        Ok(store)
    }

    fn store(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Relaxed) {
            self.open_anew()?;
        }
        // Changes of one batch are of one age to fjall: it must not see a key twice.
        let all = batches.into_iter().reduce(|mut all, next| {
            all.changes.extend(next.changes);
            all
        });
        let all = all.unwrap_or_default();
        let stored = self.ask(|opened| {
            (self.before_sync)()?;
            opened.apply(&all)
        });
        self.failed.store(stored.is_err(), Ordering::Relaxed);
        stored?;
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        // Nothing else is asked for again soon.
        let is_register = |(key, _): &(Vec<u8>, _)| key.starts_with(keys::REGISTERS);
        for (key, change) in all.changes.into_iter().filter(is_register) {
            recent.put(key, change);
        }
        Ok(())
    }

    /// What an error left in memory alone is dropped, as in a crash: it was acknowledged to no one.
    fn open_anew(&self) -> Result<(), StoreError> {
        let dir = self.path.join(DIR);
        let copies = fjall_journal::size(&dir).map_err(|error| failed_io(&error))?;
        disk::check_room(&self.path, ROOM.saturating_add(copies))?;
        let mut held = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        drop(held.take());
        // What failed may be there all the same once it is opened again.
        *self.recent.write().unwrap_or_else(PoisonError::into_inner) = Recent::new(RECENT);
        fjall_journal::renew(&dir).map_err(|error| failed_io(&error))?;
        *held = Some(open(&dir, self.shape)?);
        tracing::warn!("the store was opened again after an error of the disk");
        Ok(())
    }

    /// Leaves nothing on the disk of what was overwritten or removed before: makes tables of all that
    /// is in the journal, empties that, and merges all tables. Reads and writes all that is kept, and
    /// takes as much disk once more meanwhile; others wait while the journal is emptied. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// If the disk fails. Nothing is lost by it, and something old may be left.
    pub fn purge(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Relaxed) {
            let why = "a write has failed, and the store is not opened again yet";
            return Err(StoreError::Io(why.to_owned()));
        }
        let dir = self.path.join(DIR);
        let mut held = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let written = held.take().map(|opened| opened.write_out());
        let emptied = match written {
            Some(Ok(())) => fjall_journal::empty(&dir).map_err(|error| failed_io(&error)),
            Some(Err(error)) => Err(failed(&error)),
            None => Ok(()),
        };
        let opened = open(&dir, self.shape);
        self.failed
            .store(emptied.is_err() || opened.is_err(), Ordering::Relaxed);
        *held = Some(opened?);
        drop(held);
        emptied?;
        self.ask(|opened| opened.entries.major_compact())
    }

    fn ask<T>(&self, ask: impl FnOnce(&Opened) -> fjall::Result<T>) -> Result<T, StoreError> {
        let held = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || StoreError::Io("it cannot be opened again".to_owned());
        ask(held.as_ref().ok_or_else(closed)?).map_err(|error| failed(&error))
    }
}

impl fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for FjallStore {
    /// What is in memory alone becomes a table, so that the next open has no journal to read.
    fn drop(&mut self) {
        let held = self
            .opened
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = held.take() else { return };
        let written = opened.write_out();
        drop(opened);
        // Where that failed, the journal has everything.
        if written.is_ok()
            && let Err(error) = fjall_journal::empty(&self.path.join(DIR))
        {
            tracing::warn!("the store's journal could not be emptied: {error}");
        }
    }
}

impl Store for FjallStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent.get(key) {
            return Ok(known.as_deref().map(<[u8]>::to_vec));
        }
        drop(recent);
        let value = self.ask(|opened| opened.entries.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let from = super::scan_start(prefix, after);
        self.ask(|opened| {
            let mut found = Vec::new();
            // Without a snapshot a batch that is being applied would be seen in part.
            let snapshot = opened.database.snapshot();
            let range = snapshot.range::<&[u8], _>(&opened.entries, (from, Bound::Unbounded));
            for pair in range.take(limit) {
                let (key, value) = pair.into_inner()?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.push((key.to_vec(), value.to_vec()));
            }
            Ok(found)
        })
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = super::scan_start(prefix, after);
        self.ask(|opened| {
            let mut found = Vec::new();
            let snapshot = opened.database.snapshot();
            let range = snapshot.range::<&[u8], _>(&opened.entries, (from, Bound::Unbounded));
            for pair in range.take(limit) {
                let key = pair.key()?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.push(key.to_vec());
            }
            Ok(found)
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.group.commit(batch, |batches| self.store(batches))
    }
}

impl Opened {
    /// One batch and one sync for all. The data alone are synced: that includes the journal's
    /// length, and leaves out its times.
    fn apply(&self, all: &Batch) -> fjall::Result<()> {
        self.await_tables()?;
        let batch = self.database.batch();
        let mut batch = batch.durability(Some(PersistMode::SyncData));
        for (key, change) in &all.changes {
            match change {
                Some(value) => batch.insert(&self.entries, key.as_slice(), value.as_slice()),
                None => batch.remove(&self.entries, key.as_slice()),
            }
        }
        batch.commit()
    }

    /// Makes tables of all that is in memory alone, with no one else at work.
    fn write_out(&self) -> fjall::Result<()> {
        // Tells whether a write has failed. Then the journal may hold what memory does not.
        self.database.persist(PersistMode::Buffer)?;
        self.entries.rotate_memtable()?;
        while self.entries.tree.get_highest_memtable_seqno().is_some() {
            self.database.persist(PersistMode::Buffer)?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until there is not too much to be written out and merged. fjall would wait itself,
    /// later, and without end if its threads have ended in an error meanwhile; here that is told.
    fn await_tables(&self) -> fjall::Result<()> {
        while self.entries.sealed_memtable_count() >= SEALED
            || (self.entries.l0_table_count() >= OVERLAPPING
                && self.database.active_compactions() > 0)
        {
            self.database.persist(PersistMode::Buffer)?;
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn open(dir: &Path, shape: Shape) -> Result<Opened, StoreError> {
    fjall_journal::clear_unmade(dir).map_err(|error| failed_io(&error))?;
    create_dirs(dir).map_err(|error| failed_io(&error))?;
    match database(dir, shape) {
        Err(fjall::Error::JournalRecovery(_)) => without_last_batch(dir, shape),
        opened => opened.map_err(|error| failed(&error)),
    }
}

/// Opens a database whose last batch may have been written in part.
fn without_last_batch(dir: &Path, shape: Shape) -> Result<Opened, StoreError> {
    let cut = fjall_journal::cut_last_batch(dir).map_err(|error| failed_io(&error))?;
    match database(dir, shape) {
        Ok(opened) => {
            tracing::warn!("the store's last batch was written in part, and is dropped");
            Ok(opened)
        }
        Err(error) => {
            cut.map_or(Ok(()), fjall_journal::Cut::undo)
                .map_err(|error| failed_io(&error))?;
            let damage = matches!(error, fjall::Error::JournalRecovery(_));
            Err(if damage { damaged(dir) } else { failed(&error) })
        }
    }
}

fn database(dir: &Path, shape: Shape) -> fjall::Result<Opened> {
    let database = Database::builder(dir)
        .cache_size(shape.cache)
        .worker_threads(WORKERS)
        .open()?;
    let entries = database.keyspace("ledger", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(shape.memtable)
            .data_block_hash_ratio_policy(HashRatioPolicy::all(HASHED))
            .compaction_strategy(Arc::new(
                Leveled::default().with_table_target_size(shape.table),
            ))
    })?;
    // Not synced by fjall: without the names in it, no table can be found.
    File::open(dir.join("keyspaces"))?.sync_all()?;
    Ok(Opened { entries, database })
}

fn damaged(dir: &Path) -> StoreError {
    StoreError::Refused(format!(
        "the journal of the store in {} is damaged before its end; restore data_dir from a copy",
        dir.display()
    ))
}

fn failed_io(error: &io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

/// fjall's errors name files and positions, never keys or values.
fn failed(error: &fjall::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
