//! The fence: what one decision costs, over a table of registers and records.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goldwire::engine::fence::{Told, fence};
use goldwire::event::{Clocks, Holds, Life};
use goldwire::store::Register;

const SKEW: i64 = 1000;
const NOW: i64 = 1_750_000_000_000;

fn registers() -> Vec<Option<Register>> {
    let applied = Register {
        version: Some(10),
        commit_time: Some(NOW),
        content_time: NOW,
        ..Register::default()
    };
    let read = Register {
        version: None,
        commit_time: None,
        maybe_seen_until: NOW,
        ..applied.clone()
    };
    let partial = Register {
        lacks: 2,
        ..applied.clone()
    };
    let asked = Register {
        maybe_seen_until: NOW + 60_000,
        ..applied.clone()
    };
    vec![
        None,
        Some(Register::default()),
        Some(applied),
        Some(read),
        Some(partial),
        Some(asked),
    ]
}

fn records() -> Vec<Clocks> {
    let versions = [None, Some(9), Some(10), Some(11)];
    let times = [
        None,
        Some(NOW - 5000),
        Some(NOW),
        Some(NOW + 500),
        Some(NOW + 5000),
    ];
    let with = |version| {
        times.map(|commit_time| Clocks {
            version,
            commit_time,
        })
    };
    versions.into_iter().flat_map(with).collect()
}

fn decisions(criterion: &mut Criterion) {
    let (registers, records) = (registers(), records());
    let decisions = u64::try_from(registers.len() * records.len()).unwrap_or_default();
    let mut group = criterion.benchmark_group("fence");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(decisions));
    group.bench_function("every register against every record", |bencher| {
        bencher.iter(|| {
            for register in &registers {
                for record in &records {
                    black_box(fence(
                        black_box(register.as_ref()),
                        Told {
                            clocks: *record,
                            holds: Holds::Everything,
                            life: Life::Active,
                        },
                        SKEW,
                    ));
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
