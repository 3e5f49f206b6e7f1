//! What the engines on disk have in common: whose the directory is, and what is in it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Batch, FORMAT_VERSION, Store, StoreError, keys};
use crate::dir_lock::{DirLock, Untaken};

/// Something that runs before each sync, and may fail in the disk's place.
pub type BeforeSync = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Engines by the configuration's word for them, and what each alone makes in its directory.
const MADE: [(&str, &str); 2] = [("sled", "db"), ("fjall", super::fjall_store::DIR)];

/// Takes the directory for this process, and for the engine called `engine`.
pub(super) fn take(path: &Path, engine: &str) -> Result<DirLock, StoreError> {
    let lock = DirLock::take(path).map_err(|untaken| match untaken {
        Untaken::InUse => in_use(path),
        Untaken::Failed(error) => StoreError::Refused(format!(
            "the store in {}: {error}; make it writable",
            path.display()
        )),
    })?;
    made_otherwise(path, engine).map_or(Ok(lock), |why| Err(StoreError::Refused(why)))
}

/// Why the engine called `engine` cannot have the directory: the other made it.
pub(crate) fn made_otherwise(path: &Path, engine: &str) -> Option<String> {
    let mut others = MADE.iter().filter(|(other, _)| *other != engine);
    let (other, _) = others.find(|(_, made)| path.join(made).exists())?;
    Some(format!(
        "the store in {} was made with `store: {other}`, and the configuration asks for `store: \
         {engine}`; write `store: {other}`, or use an empty data_dir",
        path.display()
    ))
}

pub(super) fn in_use(path: &Path) -> StoreError {
    StoreError::Refused(format!(
        "the store in {} is in use by another process; stop it, or use a data_dir of your own",
        path.display()
    ))
}

/// Refuses to open again, after an error of the disk, where less than `needed` bytes are free.
pub(super) fn check_room(path: &Path, needed: u64) -> Result<(), StoreError> {
    let room = rustix::fs::statvfs(path);
    let free = room.map_or(u64::MAX, |room| room.f_bavail.saturating_mul(room.f_frsize));
    if free < needed {
        let what = format!("{free} bytes of disk are free, {needed} are needed; make room");
        return Err(StoreError::Io(what));
    }
    Ok(())
}

/// Refuses a store that another version or another program made, and marks others. What the store
/// shows afterwards is durable.
pub(super) fn check_format(store: &dyn Store, path: &Path) -> Result<(), StoreError> {
    let refused =
        |why: String| StoreError::Refused(format!("the store in {} {why}", path.display()));
    let Some(value) = store.get(keys::FORMAT)? else {
        if !store.scan(b"", None, 1)?.is_empty() {
            return Err(refused(
                "was not made by goldwire; use a directory of its own".into(),
            ));
        }
        return mark(store);
    };
    let format: Option<u32> = str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok());
    match format {
        // What an earlier process left in the system's cache is shown, and may be lost with the
        // power: a commit makes it durable, so that what is shown from the start on is.
        Some(FORMAT_VERSION) => match mark(store) {
            Err(StoreError::Io(why)) => {
                tracing::warn!(
                    "the store cannot be written to: {why}; it is gone on with once it can"
                );
                Ok(())
            }
            marked => marked,
        },
        Some(older @ 1..FORMAT_VERSION) => {
            mark(store)?;
            tracing::info!(
                "the store in {} had format {older}, which is read as it is, and has format \
                 {FORMAT_VERSION} from now on: versions of goldwire before this one refuse it",
                path.display()
            );
            Ok(())
        }
        Some(other) => Err(refused(format!(
            "has format {other}, and this version knows {FORMAT_VERSION}; run the version that \
             wrote it"
        ))),
        None => Err(StoreError::Corrupt {
            key: String::from_utf8_lossy(keys::FORMAT).into_owned(),
            why: "it is no number".to_owned(),
        }),
    }
}

fn mark(store: &dyn Store) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let format = FORMAT_VERSION.to_string().into_bytes();
    batch.put(keys::FORMAT.to_vec(), format);
    store.commit(batch)
}
