//! A directory that a sink writes to: whether it can be, asked without a trace and also while another
//! has it; and which of its troubles last.

use std::io;
use std::path::Path;

/// Whether only a person mends it.
pub(super) fn is_lasting(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
    )
}

/// What is wrong with `dir`, which the configuration calls `key`, as one sentence; nothing if all is
/// well. Blocks on the disk.
pub(super) fn probe(key: &str, dir: &Path) -> Option<String> {
    // What is not there yet is made in the nearest ancestor that is.
    let there = dir.ancestors().find(|at| at.exists());
    let there = there.filter(|at| !at.as_os_str().is_empty());
    let there = there.unwrap_or_else(|| Path::new("."));
    let failed = match tempfile::tempfile_in(there) {
        Ok(_) if there.is_dir() => return None,
        Ok(_) => "it is no directory".to_owned(),
        Err(error) => error.kind().to_string(),
    };
    Some(format!(
        "{key} {}: {failed} at {}; make it a directory that this process may write to",
        dir.display(),
        there.display()
    ))
}
