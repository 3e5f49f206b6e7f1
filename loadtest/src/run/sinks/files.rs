//! A folder of NDJSON files that a sink writes, read as they grow.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::time::Millis;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{SinkWatcher, named};
use crate::throughput::event::{Event, Uri};

/// Between two looks: what a latency may be too long by.
const MOMENT: Duration = Duration::from_millis(5);

/// A line of goldwire's `file` sink.
#[derive(Deserialize)]
struct Line<'a> {
    subject: &'a str,
    version: Option<i64>,
    received_time: Millis,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

/// The files of a folder.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    /// How far each was read.
    read: BTreeMap<PathBuf, u64>,
}

impl Files {
    /// What is written from now on; nothing has to be there yet.
    pub(crate) fn at_end(dir: &Path) -> Self {
        let mut files = Self {
            dir: dir.to_owned(),
            read: BTreeMap::new(),
        };
        for path in files.paths() {
            let length = fs::metadata(&path).map_or(0, |of| of.len());
            files.read.insert(path, length);
        }
        files
    }

    fn paths(&self) -> Vec<PathBuf> {
        // There is none before the first delivery.
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"))
            .collect()
    }

    /// Reads until `stop`. `began` is the wall clock's time of the start, ms.
    pub(crate) fn watch(mut self, watcher: &SinkWatcher, began: Millis, stop: &Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.look(watcher, began);
            std::thread::sleep(MOMENT);
        }
        self.look(watcher, began);
    }

    fn look(&mut self, watcher: &SinkWatcher, began: Millis) {
        for path in self.paths() {
            let from = self.read.get(&path).copied().unwrap_or_default();
            // What cannot be read now is read later.
            let to = read(&path, from, |line| take(watcher, began, line)).unwrap_or(from);
            self.read.insert(path, to);
        }
    }
}

/// Whole lines from `from` on: where the next one begins.
fn read(path: &Path, from: u64, mut line: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() <= from {
        return Ok(from);
    }
    file.seek(SeekFrom::Start(from))?;
    let (mut reader, mut at, mut text) = (BufReader::new(file), from, Vec::new());
    loop {
        text.clear();
        let bytes = reader.read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            return Ok(at);
        }
        at += u64::try_from(bytes).unwrap_or_default();
        line(&text);
    }
}

fn take(watcher: &SinkWatcher, began: Millis, text: &[u8]) {
    let line = serde_json::from_slice::<Line<'_>>(text).ok();
    let event = line.as_ref().and_then(|line| event(watcher, line));
    if let (Some(line), Some(event)) = (&line, event) {
        let logged = line
            .received_time
            .saturating_sub(began)
            .max(0)
            .unsigned_abs()
            * 1000;
        watcher.ledger.logged(event, logged);
        watcher.sees(event, line.object.map(|object| object.get().as_bytes()));
    } else if let (Some(line), Some(names)) = (&line, watcher.ledger.names()) {
        watcher.sees_captured(names, line.subject, line.version);
    } else if let Some(event) = named(text) {
        watcher.sees(event, None);
    } else {
        watcher.invents("a line is no event that was sent".to_owned());
    }
}

/// The event that a line of goldwire's holds.
fn event(watcher: &SinkWatcher, line: &Line<'_>) -> Option<Event> {
    let version = line.version?;
    if let Some(names) = watcher.ledger.names() {
        return names.event(line.subject, version);
    }
    Some(Event {
        entity: Uri::entity(line.subject)?,
        version: version.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_line_is_read_once_and_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ndjson");
        let mut file = File::create(&path).unwrap();
        let mut lines = Vec::new();
        let mut from = 0;
        for (written, seen) in [("one\ntw", 1), ("o\n", 2), ("", 2), ("three\nfour\n", 4)] {
            file.write_all(written.as_bytes()).unwrap();
            from = read(&path, from, |line| lines.push(line.to_vec())).unwrap();
            assert_eq!(lines.len(), seen);
        }
        assert_eq!(lines.concat(), b"one\ntwo\nthree\nfour\n");
    }
}
