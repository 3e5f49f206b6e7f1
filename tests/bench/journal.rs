//! The journal: appends with their fsync, alone and shared, and a sequential read from disk.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use goldwire::log::journal::{Hook, Journal, JournalDeps, JournalSettings};
use goldwire::log::{Log, LogAppender as _, ReadLimit, Retention as _};
use tokio::runtime::Runtime;

/// A record as INT-004's are.
const RECORD: usize = 1500;
const READ: u64 = 20_000;

/// Partitions of a log whose rounds have several files.
const PARTITIONS: u16 = 8;
/// What an fsync of a slow disk takes.
const SLOW: Duration = Duration::from_millis(2);

/// A disk of the test's own.
type MakeDeps = fn() -> JournalDeps;

fn open(dir: &Path) -> Journal {
    open_with(dir, 1, JournalDeps::default())
}

fn open_with(dir: &Path, partitions: u16, deps: JournalDeps) -> Journal {
    let settings = JournalSettings {
        dir: dir.to_owned(),
        partitions,
        quota: 8 << 30,
        disk_reserve: 1 << 20,
        keep: Duration::ZERO,
        segment: 16 << 20,
        gather: Duration::ZERO,
    };
    Journal::open_with(settings, deps).unwrap()
}

/// A disk whose fsyncs take longer by so much. One that serves one at a time is what a log has that
/// syncs its files one after the other.
fn slow(one_at_a_time: bool) -> JournalDeps {
    let turn = Mutex::new(());
    let before_sync: Hook = Arc::new(move || {
        let turn = one_at_a_time.then(|| turn.lock().unwrap());
        std::thread::sleep(SLOW);
        drop(turn);
        Ok(())
    });
    JournalDeps {
        before_sync,
        ..JournalDeps::default()
    }
}

/// All partitions at once: 2,000 records for each, in appends of one and of 500.
fn append_to_all(criterion: &mut Criterion) {
    const RECORDS: u64 = 2000;
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("journal/append to 8 partitions");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(RECORDS * u64::from(PARTITIONS)));
    let disks: [(&str, MakeDeps); 3] = [
        ("this disk", JournalDeps::default),
        ("2 ms more an fsync", || slow(false)),
        ("2 ms more an fsync, one after the other", || slow(true)),
    ];
    for (disk, deps) in disks {
        for of in [1_u64, 500] {
            let dir = tempfile::tempdir().unwrap();
            let log = open_with(dir.path(), PARTITIONS, deps());
            let records = vec![Bytes::from(vec![7; RECORD]); usize::try_from(of).unwrap()];
            group.bench_function(format!("{disk}, appends of {of}"), |bencher| {
                bencher.iter(|| {
                    runtime.block_on(async {
                        let partitions = (0..RECORDS / of).flat_map(|_| 0..PARTITIONS);
                        let appends = partitions.map(|to| log.append(to, records.clone()));
                        for result in join_all(appends).await {
                            black_box(result.unwrap());
                        }
                        if log.usage().0 > 1 << 30 {
                            log.trim(&[u64::MAX; 8]).await.unwrap();
                        }
                    });
                });
            });
        }
    }
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("journal/append");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    for callers in [1_u64, 100] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let record = Bytes::from(vec![7; RECORD]);
        group.throughput(Throughput::Elements(callers));
        group.bench_function(format!("{callers} callers, fsync included"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let appends = (0..callers).map(|_| log.append(0, vec![record.clone()]));
                    for result in join_all(appends).await {
                        black_box(result.unwrap());
                    }
                    // Else a long run fills the disk.
                    if log.usage().0 > 1 << 30 {
                        log.trim(&[u64::MAX]).await.unwrap();
                    }
                });
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for _ in 0..READ / 100 {
        runtime
            .block_on(log.append(0, vec![Bytes::from(vec![7; RECORD]); 100]))
            .unwrap();
    }
    drop(log);
    let log = open(dir.path());
    let mut group = criterion.benchmark_group("journal/read");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(READ));
    group.bench_function("sequential, past the tail", |bencher| {
        bencher.iter(|| {
            let mut next = 0;
            while next < READ {
                let limit = ReadLimit {
                    records: 1000,
                    bytes: 1 << 20,
                };
                let records = runtime.block_on(log.read(0, next, limit)).unwrap();
                next = records.last().unwrap().offset + 1;
                black_box(records);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, append, append_to_all, read);
criterion_main!(benches);
