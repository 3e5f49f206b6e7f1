//! The store on sled: commits as a sink's task makes them, alone and at the same time, and gets.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goldwire::store::{Batch, SledStore, Store, keys};

const BATCH: u64 = 1000;
/// Subjects of a task; eight tasks' registers fit into the store's cache.
const SUBJECTS: u64 = 12_500;
/// Commits of a position in a row, so that starting threads is not what is measured.
const ROW: u64 = 20;

/// A register's key: subjects are spread over the key space.
fn key(task: u64, number: u64) -> Vec<u8> {
    let subject = (number % SUBJECTS).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("r/crm\0{task:02}tenant/entities/{subject:016x}").into_bytes()
}

/// Reads what is there, as the fence does, and commits a batch with its position.
fn commit(store: &SledStore, task: u64, first: u64) {
    let mut batch = Batch::default();
    for number in first..first + BATCH {
        let key = key(task, number);
        black_box(store.get(&key).unwrap());
        batch.put(key, vec![7; 60]);
    }
    let partition = u16::try_from(task).unwrap();
    batch.put(
        keys::cursor("goldwire.crm", partition),
        first.to_be_bytes().to_vec(),
    );
    store.commit(batch).unwrap();
}

fn store(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let store = &SledStore::open(dir.path()).unwrap();
    let mut group = criterion.benchmark_group("store");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    let mut first = 0;
    for tasks in [1, 8] {
        group.throughput(Throughput::Elements(BATCH * tasks));
        let name = format!("get, put and commit of {BATCH}, {tasks} tasks, flush included");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                std::thread::scope(|scope| {
                    for task in 0..tasks {
                        scope.spawn(move || commit(store, task, first));
                    }
                });
                first += BATCH;
            });
        });
    }
    // A position alone: what a commit costs besides its entries.
    for tasks in [1_u16, 8] {
        group.throughput(Throughput::Elements(u64::from(tasks) * ROW));
        group.bench_function(format!("position alone, {tasks} tasks"), |bencher| {
            bencher.iter(|| {
                std::thread::scope(|scope| {
                    for task in 0..tasks {
                        scope.spawn(move || {
                            for _ in 0..ROW {
                                let mut batch = Batch::default();
                                batch.put(keys::cursor("goldwire.crm", task), vec![7; 20]);
                                store.commit(batch).unwrap();
                            }
                        });
                    }
                });
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let mut number = 0;
    group.bench_function("get of a key that is there", |bencher| {
        bencher.iter(|| {
            number = (number + 1) % BATCH;
            black_box(store.get(&key(0, number)).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
