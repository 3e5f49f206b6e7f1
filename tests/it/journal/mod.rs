//! The log's contract, over the log in memory and the journal; then what only a disk can do.

mod admission;
mod commit;
mod contract;
mod crash;
mod failing_disk;
mod reading;
mod recovery;
mod refusal;
mod retention;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::log::{Log, LogError, LogRecord, ReadLimit};

/// A read of everything.
pub(crate) const ALL: ReadLimit = ReadLimit {
    records: usize::MAX,
    bytes: usize::MAX,
};

/// Bytes of a segment's header.
const HEADER: u64 = 52;

fn settings(dir: &Path, partitions: u16) -> JournalSettings {
    JournalSettings {
        dir: dir.to_owned(),
        partitions,
        quota: 64 << 20,
        disk_reserve: 0,
        keep: Duration::ZERO,
        segment: 4 << 10,
        gather: Duration::ZERO,
    }
}

fn open(dir: &Path, partitions: u16) -> Journal {
    Journal::open(settings(dir, partitions)).unwrap()
}

fn record(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A kilobyte that begins with a number.
fn kilobyte(number: u64) -> Bytes {
    record(&format!("{number:<1024}"))
}

/// Appends so many kilobytes, one by one: each is a frame of its own.
async fn fill(log: &dyn Log, records: u64) {
    for _ in 0..records {
        let next = log.range(0).end;
        assert_eq!(log.append(0, vec![kilobyte(next)]).await.unwrap(), next);
    }
}

/// Reads from `from` to the end, however many reads that takes.
async fn read_on(log: &dyn Log, partition: u16, from: u64) -> Result<Vec<LogRecord>, LogError> {
    let mut records = Vec::new();
    let mut next = from;
    while next < log.range(partition).end {
        let read = log.read(partition, next, ALL).await?;
        next = read
            .last()
            .expect("at least one record below the end")
            .offset
            + 1;
        records.extend(read);
    }
    Ok(records)
}

/// Segment files of a partition, oldest first.
fn segments(dir: &Path, partition: u16) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join(partition.to_string())).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

/// Flips a bit of a file.
fn flip(file: &Path, at: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x10;
    std::fs::write(file, bytes).unwrap();
}
