//! Directories of sinks: each has one, and nothing else of a configuration is in it; whether one can be
//! written to; which of its troubles last.

use std::io;
use std::path::Path;

use crate::config::{At, Rules};

/// The kinds of sinks with a directory, in the key `dir`.
const KINDS: [&str; 2] = ["file", "cache"];

/// A directory that nothing else of this configuration is in.
pub(super) fn own(top: &At<'_>, at: &At<'_>, rules: &mut Rules<'_>) {
    let Some(text) = at.text() else { return };
    if text.is_empty() {
        rules.refuse(at, "write the path of a directory");
        return;
    }
    let dir = Path::new(text);
    let data = top.get("data_dir").and_then(|data| data.text());
    let data = data.map(Path::new);
    let inside = |name| data.is_some_and(|data| dir.starts_with(data.join(name)));
    if data == Some(dir) || ["log", "inbox", "store"].into_iter().any(inside) {
        rules.refuse(
            at,
            "goldwire keeps its own files there; name another directory",
        );
    }
    let mut others = top.get("sinks").map(|sinks| sinks.entries());
    let others = others.iter_mut().flatten();
    let same = |other: &At<'_>| other.text().map(Path::new) == Some(dir);
    for (name, sink) in others {
        let other = KINDS.iter().find_map(|kind| sink.down(&[kind, "dir"]));
        if other.is_some_and(|other| same(&other) && other.path < at.path) {
            rules.refuse(at, format!("sinks.{name} has this directory; name another"));
        }
    }
}

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
