//! The store on disk: one sled tree.
//!
//! Guarantee (G3): a batch is applied as a whole and flushed before `commit` returns. Commits at
//! the same time share both. After a crash or a loss of power each batch is there whole, or not at
//! all. After an error of the disk the store goes on by itself once there is room.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use super::group::GroupCommit;
use super::on_disk::{OnDisk, forget_pages};
use super::{Batch, BeforeSync, Pair, Store, StoreError, disk};
use crate::dir_lock::DirLock;

/// How often, and how often at most, an open looks whether sled has let go of its file.
const RELEASE_LOOK: Duration = Duration::from_millis(5);
const RELEASE_LOOKS: u32 = 1000;

/// Free disk without which opening again is not tried: several of sled's segments.
const ROOM: u64 = 8 << 20;

/// A store in a directory.
pub struct SledStore {
    path: PathBuf,
    /// Nothing only if it could not be opened again.
    db: RwLock<Option<OnDisk>>,
    before_sync: BeforeSync,
    /// A write failed: sled takes none any more, until it is opened again.
    failed: AtomicBool,
    group: GroupCommit,
    /// Released after the database.
    _lock: DirLock,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in the directory `path`, making it if need be. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if another process holds it or its format is newer than this
    /// program's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Arc::new(|| Ok(())))
    }

    /// As [`Self::open`], with a disk of the test's own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, before_sync: BeforeSync) -> Result<Self, StoreError> {
        // sled has a lock of its own, but says so only in words.
        let lock = disk::take(path, "sled")?;
        await_release(path)?;
        let store = Self {
            path: path.to_owned(),
            db: RwLock::new(Some(database(path)?)),
            before_sync,
            failed: AtomicBool::new(false),
            group: GroupCommit::default(),
            _lock: lock,
        };
        disk::check_format(&store, path)?;
        Ok(store)
    }

    /// One sled batch and one flush for all: sled applies batches one after the other, and an
    /// apply waits for a flush that is under way, so that two at a time gain nothing.
    fn store(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        let changes = batches.into_iter().flat_map(|batch| batch.changes);
        let changes = changes.collect();
        if self.failed.load(Ordering::Relaxed) {
            self.open_anew()?;
        }
        let stored = self.ask(|db| {
            db.apply(changes)?;
            (self.before_sync)()?;
            db.flush()
        });
        self.failed.store(stored.is_err(), Ordering::Relaxed);
        stored
    }

    /// What an error left in memory alone is dropped, as in a crash: it was acknowledged to no one.
    fn open_anew(&self) -> Result<(), StoreError> {
        disk::check_room(&self.path, ROOM)?;
        let mut held = self.db.write().unwrap_or_else(PoisonError::into_inner);
        drop(held.take());
        await_release(&self.path)?;
        forget_pages(&self.path).map_err(|error| StoreError::Io(error.to_string()))?;
        *held = Some(database(&self.path)?);
        tracing::warn!("the store was opened again after an error of the disk");
        Ok(())
    }

    fn ask<T>(&self, ask: impl FnOnce(&OnDisk) -> sled::Result<T>) -> Result<T, StoreError> {
        let held = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || StoreError::Io("it cannot be opened again".to_owned());
        ask(held.as_ref().ok_or_else(closed)?).map_err(|error| failed(&error))
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(|db| db.get(key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.ask(|db| db.scan(prefix, after, limit))
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.ask(|db| db.scan_keys(prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.group.commit(batch, |batches| self.store(batches))
    }
}

fn database(path: &Path) -> Result<OnDisk, StoreError> {
    OnDisk::open(path).map_err(|error| failed(&error))
}

/// A store that was dropped in this process may have a thread of sled's at work for a moment yet.
fn await_release(path: &Path) -> Result<(), StoreError> {
    for _ in 0..RELEASE_LOOKS {
        let file = match File::open(path.join("db")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::Io(error.to_string())),
        };
        if !DirLock::is_held(&file).map_err(|error| StoreError::Io(error.to_string()))? {
            return Ok(());
        }
        thread::sleep(RELEASE_LOOK);
    }
    Err(disk::in_use(path))
}

/// sled's errors name files and positions, never keys or values.
fn failed(error: &sled::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
