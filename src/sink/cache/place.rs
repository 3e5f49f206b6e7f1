//! The table in its directory, opened when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::table::Table;
use crate::sink::SinkError;
use crate::store::{FjallStore, Shape, Store, StoreError};
use crate::time::Millis;

/// Bytes of newest changes in memory, and of a table's file. Golden records are some hundred times
/// larger than registers, for which the store's own are.
const MEMTABLE: u64 = 16 << 20;
const TABLE: u64 = 64 << 20;

/// Where the table is.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    shape: Shape,
    opened: OnceLock<Arc<Opened>>,
    opening: Mutex<()>,
}

/// The table, open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) table: Table,
    store: Arc<FjallStore>,
}

impl Place {
    /// The table in `dir`, of which `memory` bytes are kept in memory.
    pub(super) fn new(dir: &Path, memory: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            shape: Shape {
                cache: memory,
                memtable: MEMTABLE,
                table: TABLE,
            },
            opened: OnceLock::new(),
            opening: Mutex::new(()),
        }
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The table, if it is open.
    pub(super) fn get(&self) -> Option<&Arc<Opened>> {
        self.opened.get()
    }

    /// The table, opened if need be; its directory is made. Blocks on the disk.
    ///
    /// # Errors
    /// If another process has the directory, or it cannot be used.
    pub(super) fn open(&self) -> Result<&Arc<Opened>, StoreError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let store = Arc::new(FjallStore::open_as(&self.dir, self.shape)?);
        let shared: Arc<dyn Store> = Arc::<FjallStore>::clone(&store);
        let table = Table::over(shared);
        Ok(self
            .opened
            .get_or_init(|| Arc::new(Opened { table, store })))
    }
}

impl Opened {
    /// Rewrites the table's files, so that nothing of what was erased before `now` is left in them.
    /// Takes as long as it takes to read and write all of the table. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk fails; it is to be tried again.
    pub(super) fn purge(&self, now: Millis) -> Result<(), StoreError> {
        let erasures = self.table.erasures();
        self.store.purge()?;
        self.table.rewritten(now, erasures)
    }
}

/// What an error of the table means for what is to be delivered.
pub(super) fn failed(error: StoreError) -> SinkError {
    match error {
        // No record is to blame. One that was kept all the same is not harmed by another try.
        StoreError::Io(code) | StoreError::Away(code) => SinkError::Retryable {
            code,
            ambiguous: false,
            outage: true,
        },
        StoreError::Corrupt { key, why } => SinkError::Systemic {
            code: format!("corrupt: {why}"),
            remedy: format!(
                "the table's value {key} cannot be read; restore the sink's `dir` from a copy, or \
                 remove it and use `goldwire replay`"
            ),
        },
        StoreError::Refused(why) => SinkError::Systemic {
            code: "refused".to_owned(),
            remedy: why,
        },
    }
}
