//! The journal's directory: its lock, its identity, the free disk beneath it.
//!
//! Guarantee: one process at a time, and never with another partition count or a newer format
//! than the directory was made with.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::frame::Marker;
use super::segment::{FORMAT, HEADER, Header, Sealed, Segment};
use crate::dir_lock::{DirLock, Untaken, create_dirs, private};
use crate::log::LogError;

const IDENTITY: &str = "identity.json";

/// What the directory is, as kept in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Identity {
    format: u16,
    /// A uuid.
    pub(super) id: String,
    partitions: u16,
}

impl Identity {
    /// What begins every frame of this log.
    pub(super) fn marker(&self) -> Result<Marker, LogError> {
        let id = Uuid::parse_str(&self.id).ok();
        let marker = id.and_then(|id| id.as_bytes().first_chunk().copied());
        marker.ok_or_else(|| {
            LogError::Refused(format!(
                "the id in {IDENTITY} is no uuid; restore it from a copy"
            ))
        })
    }
}

pub(super) fn io_error(error: &io::Error) -> LogError {
    LogError::Io(error.to_string())
}

/// Makes what was created, renamed or deleted in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Bytes that this process may still write to the file system of an open file.
pub(super) fn free_disk(of: &File) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(of)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The folder of a partition.
pub(super) fn folder(dir: &Path, partition: u16) -> PathBuf {
    dir.join(partition.to_string())
}

/// Takes the directory for this process, making it if need be.
pub(super) fn lock(dir: &Path) -> Result<DirLock, LogError> {
    let why = match DirLock::take(dir) {
        Ok(lock) => return Ok(lock),
        Err(Untaken::InUse) => {
            "is in use by another process; stop it, or use a directory of your own".to_owned()
        }
        Err(Untaken::Failed(error)) => format!("cannot be used: {error}; make it writable"),
    };
    Err(LogError::Refused(format!(
        "the log directory {} {why}",
        dir.display()
    )))
}

/// The directory's identity; a directory without one is made into an empty log.
pub(super) fn identity(dir: &Path, partitions: u16) -> Result<Identity, LogError> {
    let refused = |why: String| LogError::Refused(format!("the log in {} {why}", dir.display()));
    let text = match fs::read(dir.join(IDENTITY)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return made(dir, partitions),
        Err(error) => return Err(io_error(&error)),
    };
    let known: Identity = serde_json::from_slice(&text).map_err(|error| {
        refused(format!(
            "has an {IDENTITY} that cannot be read ({error}); restore it from a copy"
        ))
    })?;
    if known.format > FORMAT {
        return Err(refused(format!(
            "has format {}, and this version knows {FORMAT} at most; run the newer version",
            known.format
        )));
    }
    if known.partitions != partitions {
        return Err(refused(format!(
            "has {} partitions and cannot be opened with {partitions}; set log.partitions back, \
             or start with an empty directory",
            known.partitions
        )));
    }
    Ok(known)
}

/// Makes an empty log. The identity comes last: without it there is no log, and with it every
/// partition has its first segment, so that a lost folder is seen.
fn made(dir: &Path, partitions: u16) -> Result<Identity, LogError> {
    if partitions == 0 {
        return Err(LogError::Refused(
            "log.partitions is 0; it must be 1 or more".to_owned(),
        ));
    }
    let identity = Identity {
        format: FORMAT,
        id: Uuid::new_v4().to_string(),
        partitions,
    };
    let marker = identity.marker()?;
    for partition in 0..partitions {
        let folder = folder(dir, partition);
        create_dirs(&folder).map_err(|error| io_error(&error))?;
        if holds_records(&folder).map_err(|error| io_error(&error))? {
            return Err(LogError::Refused(format!(
                "the log in {} has records but no {IDENTITY}; restore it from a copy",
                dir.display()
            )));
        }
        let before = Sealed::default();
        let header = Header {
            marker,
            partition,
            base: 0,
            before,
        };
        Segment::at(&folder, 0)
            .create(&header, || Ok(()))
            .map_err(|error| io_error(&error))?;
    }
    write_identity(dir, &identity).map_err(|error| io_error(&error))?;
    Ok(identity)
}

fn holds_records(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let segment = Segment::base_of(&entry.file_name().to_string_lossy());
        if segment.is_some_and(|base| base > 0)
            || (segment.is_some() && entry.metadata()?.len() > HEADER)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_identity(dir: &Path, identity: &Identity) -> io::Result<()> {
    let draft = dir.join(format!("{IDENTITY}.new"));
    let mut file = private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&draft)?;
    file.write_all(&serde_json::to_vec(identity)?)?;
    file.sync_all()?;
    fs::rename(&draft, dir.join(IDENTITY))?;
    sync_dir(dir)
}
