//! The file sink: lines, files, and what a crash or a disk does to them.

mod appender;
mod killed;
mod sink;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The files of a sink, oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ndjson");
    let mut files: Vec<_> = paths.filter(is_ours).collect();
    files.sort();
    files
}

/// What is in the files, in order.
pub(crate) fn text(dir: &Path) -> String {
    let read = |path| std::fs::read_to_string(path).unwrap();
    files(dir).iter().map(read).collect()
}

/// The lines, as a reader takes them.
fn lines(dir: &Path) -> Vec<Value> {
    let text = text(dir);
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}
