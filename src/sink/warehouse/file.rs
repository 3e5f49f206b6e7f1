//! Whether the SQLite file that a connection writes to is still the one of its name.
//!
//! Guarantee (G1): a commit that went into a file which somebody removed, renamed or replaced is not
//! acknowledged. SQLite itself goes on writing to what it once opened.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Device and inode.
type Identity = (u64, u64);

/// The files that a connection has open.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    identity: Identity,
    /// The log beside it; SQLite makes it with the first commit at the latest, and keeps it while
    /// the file is open.
    log: Option<Identity>,
}

impl OpenFile {
    /// The file that was opened a moment ago.
    ///
    /// # Errors
    /// If it is gone again.
    pub(super) async fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path).await?,
            log: None,
        })
    }

    /// Whether a commit of a moment ago is in the files of these names.
    pub(super) async fn is_in_place(&mut self) -> bool {
        let mut log = OsString::from(&self.path);
        log.push("-wal");
        let log = identity(Path::new(&log)).await.ok();
        if self.log.is_none() {
            self.log = log;
        }
        log == self.log && identity(&self.path).await.ok() == Some(self.identity)
    }
}

async fn identity(path: &Path) -> io::Result<Identity> {
    let found = tokio::fs::metadata(path).await?;
    Ok((found.dev(), found.ino()))
}
