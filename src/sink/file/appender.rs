//! The files: one grows, the ones before it never change again.
//!
//! Guarantee (G3): [`Appender::append`] returns after the fsync. What a failed append left behind
//! is cut off before anything else is written; a line that a crash tore is cut when the directory
//! is opened. What was acknowledged is never cut: it ends with a newline, and was fsynced.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::trouble::Trouble;
use crate::dir_lock::{DirLock, Untaken, create_dirs};
use crate::time::SharedClock;

/// What the names of files end with.
const ENDING: &str = "ndjson";
/// Looked through at once for the last newline.
const CHUNK: usize = 1 << 16;

/// Where a test gets between the appender and its surroundings.
#[derive(Clone)]
pub struct FileDeps {
    /// Names files.
    pub clock: SharedClock,
    /// Called before each fsync of lines; an error counts as the fsync's.
    pub before_sync: Arc<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl fmt::Debug for FileDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileDeps")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl FileDeps {
    /// None.
    pub fn real(clock: SharedClock) -> Self {
        Self {
            clock,
            before_sync: Arc::new(|| Ok(())),
        }
    }
}

/// Appends lines to the files of a directory.
#[derive(Debug)]
pub struct Appender {
    dir: PathBuf,
    roll: u64,
    deps: FileDeps,
    open: Option<Open>,
    /// A file whose last append failed, and how long it was before.
    failed: Option<(u64, u64)>,
}

/// The file that grows.
#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    /// Durable bytes.
    length: u64,
    lock: DirLock,
}

impl Appender {
    /// Appends to `dir`, and begins a new file when one would become longer than `roll`. Opens
    /// nothing yet.
    pub fn new(dir: &Path, roll: u64, deps: FileDeps) -> Self {
        Self {
            dir: dir.to_owned(),
            roll,
            deps,
            open: None,
            failed: None,
        }
    }

    /// Appends whole lines, all of them durably, or none. Blocks on the disk.
    ///
    /// # Errors
    /// If nothing was appended; a later call begins again.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Trouble> {
        let mut open = match self.still_open()? {
            Some(open) => open,
            None => self.open()?,
        };
        let size = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if open.length > 0 && open.length.saturating_add(size) > self.roll {
            open = self.next(open.lock, open.number)?;
        }
        let written = open.file.write_all_at(lines, open.length);
        let synced = written
            .and_then(|()| (self.deps.before_sync)())
            .and_then(|()| open.file.sync_data());
        if let Err(error) = synced {
            self.failed = Some((open.number, open.length));
            return Err(error.into());
        }
        open.length = open.length.saturating_add(size);
        self.open = Some(open);
        Ok(())
    }

    /// The open file, unless somebody deleted it: lines in it would be lost.
    fn still_open(&mut self) -> io::Result<Option<Open>> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let links = open.file.metadata()?.nlink();
        Ok(Some(open).filter(|_| links > 0))
    }

    /// Takes the directory, making it if need be, and goes on after what is in it.
    fn open(&mut self) -> Result<Open, Trouble> {
        make_private(&self.dir)?;
        let lock = DirLock::take(&self.dir).map_err(|untaken| match untaken {
            Untaken::InUse => Trouble::InUse,
            Untaken::Failed(error) => Trouble::Io(error),
        })?;
        let Some(number) = newest(&self.dir)? else {
            return self.next(lock, 0);
        };
        let mut options = File::options();
        let file = options.read(true).write(true).open(self.path(number))?;
        let failed = self.failed.filter(|(of, _)| *of == number);
        let length = match failed {
            Some((_, length)) => length,
            None => end_of_lines(&file)?,
        };
        if file.metadata()?.len() != length {
            file.set_len(length)?;
            file.sync_all()?;
            tracing::warn!(number, "the end of the sink's newest file was cut");
        }
        if failed.is_some() {
            // After a failed fsync the system may take the file's pages for written when they are
            // not, so that another fsync of it says nothing.
            return self.next(lock, number);
        }
        Ok(Open {
            file,
            number,
            length,
            lock,
        })
    }

    /// Begins the file after `number`.
    fn next(&mut self, lock: DirLock, number: u64) -> Result<Open, Trouble> {
        let now = u64::try_from(self.deps.clock.now()).unwrap_or_default();
        let number = now.max(number.saturating_add(1));
        let mut options = File::options();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(self.path(number))?;
        File::open(&self.dir)?.sync_all()?;
        self.failed = None;
        Ok(Open {
            file,
            number,
            length: 0,
            lock,
        })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:013}.{ENDING}"))
    }
}

/// Makes `dir` for this user alone; one that is there stays as it is.
fn make_private(dir: &Path) -> io::Result<()> {
    if dir.try_exists()? {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_dirs(above)?;
    DirBuilder::new().mode(0o700).create(dir)?;
    File::open(above)?.sync_all()
}

/// The number of the newest file.
fn newest(dir: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            newest = newest.max(stem.and_then(|stem| stem.parse().ok()));
        }
    }
    Ok(newest)
}

/// How long a file is up to its last newline.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(u64::try_from(CHUNK).unwrap_or(u64::MAX));
        let size = usize::try_from(end - start).unwrap_or(CHUNK);
        let part = chunk.get_mut(..size).unwrap_or_default();
        file.read_exact_at(part, start)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            let at = u64::try_from(at).unwrap_or_default();
            return Ok(start + at + 1);
        }
        end = start;
    }
    Ok(0)
}
