//! The journal: appends with their fsync, alone and shared, and a sequential read from disk.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::log::{Log, ReadLimit};
use tokio::runtime::Runtime;

/// A record as INT-004's are.
const RECORD: usize = 1500;
const READ: u64 = 20_000;

fn open(dir: &Path) -> Journal {
    Journal::open(JournalSettings {
        dir: dir.to_owned(),
        partitions: 1,
        quota: 8 << 30,
        disk_reserve: 1 << 20,
        keep: Duration::ZERO,
        segment: 16 << 20,
    })
    .unwrap()
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

criterion_group!(benches, append, read);
criterion_main!(benches);
