//! A journal whose files are not as it left them.

mod disk;

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::log::{Log as _, LogAppender as _, LogError, OffsetRange, ReadLimit};
use tokio::runtime::{Builder, Runtime};

use disk::Disk;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: usize::MAX,
};

/// Lines that say what a journal held and what became of its files (see [`Disk`]): it is repaired
/// or refused, and nothing acknowledged that is still whole is left out in silence (G1).
pub fn journal(input: &[u8]) {
    let disk = Disk::of_script(input);
    let dir = tempfile::tempdir().expect("a directory for temporary files");
    disk.write(dir.path());
    match open(dir.path()) {
        Err(error) => refused(&disk, dir.path(), &error),
        Ok(log) => {
            let range = repaired(&disk, &log);
            goes_on(log, dir.path(), range);
        }
    }
}

fn open(dir: &Path) -> Result<Journal, LogError> {
    Journal::open(JournalSettings {
        dir: dir.to_owned(),
        partitions: 1,
        quota: 64 << 20,
        disk_reserve: 0,
        keep: Duration::ZERO,
        segment: 4 << 10,
        gather: Duration::ZERO,
    })
}

fn refused(disk: &Disk, dir: &Path, error: &LogError) {
    let said = matches!(error, LogError::Damaged { .. } | LogError::Refused(_));
    assert!(said, "not a refusal: {error}");
    assert!(
        !disk.is_torn_at_most(),
        "refused for what a crash leaves: {error}"
    );
    assert!(disk.is_untouched(dir), "changed and refused: {error}");
    let again = open(dir).expect_err("refused once");
    assert_eq!(again.to_string(), error.to_string());
}

/// What can be read is what was acknowledged, and all of it that is whole can be read.
fn repaired(disk: &Disk, log: &Journal) -> OffsetRange {
    let range = log.range(0);
    for frame in &disk.frames {
        let kept = range.start <= frame.first && frame.end() <= range.end;
        assert!(
            kept || !disk.is_intact(frame),
            "lost in silence: {} of {range:?}",
            frame.first
        );
    }
    if disk.is_torn_at_most() {
        assert_eq!(
            range,
            OffsetRange {
                start: 0,
                end: disk.acknowledged()
            }
        );
    }
    for offset in range.start..range.end {
        match RUNTIME.block_on(log.read(0, offset, ONE)) {
            Ok(read) => {
                let [record] = read.as_slice() else {
                    panic!("{} records for one", read.len());
                };
                assert_eq!(record.offset, offset);
                match disk.record(offset) {
                    Some(bytes) => assert_eq!(record.bytes, bytes, "record {offset}"),
                    None => assert!(disk.is_foreign(), "record {offset} from nowhere"),
                }
            }
            Err(error @ LogError::Damaged { .. }) => {
                assert!(
                    disk.is_damaged_before(offset),
                    "record {offset} is whole: {error}"
                );
            }
            Err(error) => panic!("record {offset}: {error}"),
        }
    }
    range
}

/// A repaired journal takes records again, and opens again.
fn goes_on(log: Journal, dir: &Path, range: OffsetRange) {
    let record = Bytes::from_static(b"after the repair");
    let offset = RUNTIME
        .block_on(log.append(0, vec![record.clone()]))
        .expect("it takes records");
    assert_eq!(offset, range.end);
    drop(log);
    let log = open(dir).expect("it opens again");
    assert_eq!(
        log.range(0),
        OffsetRange {
            end: range.end + 1,
            ..range
        }
    );
    let read = RUNTIME
        .block_on(log.read(0, offset, ONE))
        .expect("it was acknowledged");
    assert_eq!(read.first().map(|read| &read.bytes), Some(&record));
}
