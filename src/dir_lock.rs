//! A directory for one process at a time, and directories that stay.
//!
//! Guarantee: what is made here is for this process's user alone (0700, 0600). While a [`DirLock`] lives, no other is had for its directory; the operating system
//! releases it with the process, however that ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
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

/// Makes `dir` and what of its ancestors is missing. Their names survive a loss of power: what is
/// synced inside a directory whose own name is lost is lost with it (G1).
pub(crate) fn create_dirs(dir: &Path) -> io::Result<()> {
    if dir.try_exists()? {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_dirs(above)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(above)?.sync_all()
}

/// How a file is opened that only this process's user may read, should it be made.
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// From now on what this process makes is for its user alone, whatever the umask was: the store's
/// engines make files of their own.
pub(crate) fn make_private_from_now_on() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Whether `dir` is there, and its group or others may read what is in it.
pub(crate) fn is_open_to_others(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|found| found.mode() & 0o077 != 0)
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
            create_dirs(dir)?;
            private()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_with_all_of_its_ancestors_and_left_as_it_is_if_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b/../c");
        for _ in 0..2 {
            create_dirs(&root.path().join("a/b")).unwrap();
            create_dirs(&dir).unwrap();
            fs::write(dir.join("kept"), "").unwrap();
        }
        assert!(dir.join("kept").exists() && root.path().join("a/c").is_dir());
        assert!(create_dirs(&dir.join("kept/below")).is_err());
        create_dirs(Path::new("src")).unwrap();
    }

    #[test]
    fn g10_what_is_made_is_for_its_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let _lock = DirLock::take(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&root.path().join("a")), 0o700);
        assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
        assert!(!is_open_to_others(&dir));
    }
}
