//! What goldwire does itself to the files of fjall's journal, while no database has them open.
//!
//! fjall writes a commit to its journal and syncs it. On opening, it cuts a batch at the end that
//! is incomplete. What it leaves to others: a batch with a hole in it, a journal after a failed
//! sync, a directory half made.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::dir_lock::private;

/// What fjall calls its journals: `{number}.jnl`, the highest is written to.
const EXTENSION: &str = "jnl";
/// Bytes looked at in one go.
const PIECE: u64 = 256 << 10;

/// Removes a database whose making was cut short: it holds nothing, and fjall would not go on with
/// it. The file `version` is the first that it syncs, before anything is in `keyspaces`.
pub(super) fn clear_unmade(dir: &Path) -> io::Result<()> {
    let version = fs::metadata(dir.join("version"));
    let made = version.is_ok_and(|version| version.len() > 0);
    if made || !dir.try_exists()? {
        return Ok(());
    }
    let keyspaces = dir.join("keyspaces");
    if keyspaces.try_exists()? && fs::read_dir(&keyspaces)?.next().is_some() {
        return Ok(());
    }
    fs::remove_dir_all(dir)
}

/// Bytes that the journals hold.
pub(super) fn size(dir: &Path) -> io::Result<u64> {
    let mut size = 0;
    for path in journals(dir)? {
        size += content_end(&File::open(path)?)?;
    }
    Ok(size)
}

/// Writes the journals again. After a sync that failed, the system takes what it could not write
/// as written, so that no later sync would write it; and the writer of a database that was closed
/// may still have bytes to flush. Neither touches a new file.
pub(super) fn renew(dir: &Path) -> io::Result<()> {
    for path in journals(dir)? {
        let from = File::open(&path)?;
        let end = content_end(&from)?;
        let renewed = path.with_extension("renewed");
        let mut to = private()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&renewed)?;
        io::copy(&mut from.take(end), &mut to)?;
        to.sync_all()?;
        fs::rename(renewed, path)?;
    }
    File::open(dir)?.sync_all()
}

/// Empties the newest journal, whose content is all in tables: there is nothing to read when the
/// database is opened. The file stays, since fjall would take one without any journal for new.
pub(super) fn empty(dir: &Path) -> io::Result<()> {
    let Some(newest) = journals(dir)?.pop() else {
        return Ok(());
    };
    let journal = File::options().write(true).open(newest)?;
    journal.set_len(0)?;
    journal.sync_all()
}

/// Takes the end off the newest journal's last batch, so that fjall drops the batch as incomplete.
///
/// A disk may write the pages of a batch in any order before the power fails. fjall finds most
/// holes by itself, but refuses to open where one lies within a large value. Such a batch was
/// acknowledged to no one. A batch before the last was, and is refused still: then the cut is
/// undone.
pub(super) fn cut_last_batch(dir: &Path) -> io::Result<Option<Cut>> {
    let Some(newest) = journals(dir)?.pop() else {
        return Ok(None);
    };
    let journal = File::options().read(true).write(true).open(newest)?;
    let Some(at) = content_end(&journal)?.checked_sub(1) else {
        return Ok(None);
    };
    let mut byte = [0];
    journal.read_exact_at(&mut byte, at)?;
    journal.set_len(at)?;
    journal.sync_all()?;
    Ok(Some(Cut { journal, at, byte }))
}

/// A last batch without its end.
pub(super) struct Cut {
    journal: File,
    at: u64,
    byte: [u8; 1],
}

impl Cut {
    /// Makes the batch whole again.
    pub(super) fn undo(self) -> io::Result<()> {
        self.journal.write_all_at(&self.byte, self.at)?;
        self.journal.sync_all()
    }
}

/// Journals, oldest first.
fn journals(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number
            && path.extension().is_some_and(|ext| ext == EXTENSION)
        {
            let number: u64 = number;
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Where the zeros begin that fill a journal up: it is made larger than what it holds.
fn content_end(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        piece.resize(usize::try_from(end - start).unwrap_or_default(), 0);
        file.read_exact_at(&mut piece, start)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            return Ok(start + u64::try_from(last).unwrap_or_default() + 1);
        }
        end = start;
    }
    Ok(0)
}
