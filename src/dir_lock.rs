//! A directory for one process at a time.
//!
//! Guarantee: while a [`DirLock`] lives, no other is had for its directory; the operating system
//! releases it with the process, however that ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

/// The file that is locked.
const FILE: &str = "lock";

/// Why a directory cannot be had.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// Another process, or another part of this one, has it.
    InUse,
    /// It cannot be made or written to.
    Failed(io::Error),
}

/// The hold on a directory, until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl DirLock {
    /// Takes `dir`, making it if need be.
    pub(crate) fn take(dir: &Path) -> Result<Self, Untaken> {
        let made = || {
            if !dir.try_exists()? {
                fs::create_dir_all(dir)?;
                // The directory's own name must survive a loss of power, too.
                let above = dir.canonicalize()?.parent().map(File::open);
                above.map_or(Ok(()), |above| above?.sync_all())?;
            }
            let mut options = File::options();
            options
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.join(FILE))
        };
        let file = made().map_err(Untaken::Failed)?;
        try_lock(&file)?;
        Ok(Self { file })
    }

    /// Whether another holds `file`.
    pub(crate) fn is_held(file: &File) -> io::Result<bool> {
        match try_lock(file) {
            Ok(()) => file.unlock().map(|()| false),
            Err(Untaken::InUse) => Ok(true),
            Err(Untaken::Failed(error)) => Err(error),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing alone would not do: a process being started at this moment has the file open,
        // too, until it executes its program. What an unlock cannot free, the close will.
        if let Err(error) = self.file.unlock() {
            tracing::warn!("a directory's lock could not be released: {error}");
        }
    }
}

fn try_lock(file: &File) -> Result<(), Untaken> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Untaken::InUse,
        TryLockError::Error(error) => Untaken::Failed(error),
    })
}
