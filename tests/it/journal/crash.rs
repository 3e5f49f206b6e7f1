//! kill -9 in the middle of appends, rolls and trims.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use goldwire::log::{Log as _, LogAppender as _, Retention as _};

use super::{open, read_on, record};
use crate::killed::{child_dir, run_and_kill, say};

const TEST: &str = "journal::crash::g1_every_acknowledged_record_survives_kill_9";
const PARTITIONS: u16 = 2;
const CALLERS: u16 = 6;

fn text(round: &str, caller: u16, number: u32) -> String {
    format!("{round}/{caller}/{number}/{:>300}", "")
}

/// Appends until it is killed, and says what was acknowledged.
fn child(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = Arc::new(open(dir, PARTITIONS));
        let round = std::process::id().to_string();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let (log, round) = (Arc::clone(&log), round.clone());
            callers.spawn(async move {
                let partition = caller % PARTITIONS;
                for number in 0.. {
                    let bytes = record(&text(&round, caller, number));
                    let offset = log.append(partition, vec![bytes]).await.unwrap();
                    say(&format!("{partition} {offset} {round} {caller} {number}"));
                    if caller == 0 && number % 40 == 39 {
                        log.trim(&[offset.saturating_sub(100), 0]).await.unwrap();
                    }
                }
            });
        }
        callers.join_next().await;
    });
}

#[test]
fn g1_every_acknowledged_record_survives_kill_9() {
    if let Some(dir) = child_dir() {
        return child(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<(u16, u64), String> = HashMap::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for lines in [60, 150, 7, 301, 90] {
        for line in run_and_kill(TEST, dir.path(), lines) {
            // The last line may be cut off by the kill.
            let mut words = line.split(' ');
            let mut word = || words.next().filter(|word| !word.is_empty());
            let (Some(partition), Some(offset), Some(round), Some(caller), Some(number)) =
                (word(), word(), word(), word(), word())
            else {
                continue;
            };
            let place = (partition.parse().unwrap(), offset.parse().unwrap());
            let text = text(round, caller.parse().unwrap(), number.parse().unwrap());
            let known = acknowledged.insert(place, text);
            assert_eq!(
                known, None,
                "offset {offset} of {partition} was given out twice"
            );
        }
        runtime.block_on(check(dir.path(), &acknowledged));
    }
    assert!(acknowledged.len() >= 500);
}

/// Opens what the kill left: every acknowledged record that was not trimmed is in its place.
async fn check(dir: &Path, acknowledged: &HashMap<(u16, u64), String>) {
    let log = open(dir, PARTITIONS);
    let mut held = HashMap::new();
    for partition in 0..PARTITIONS {
        let start = log.range(partition).start;
        for read in read_on(&log, partition, start).await.unwrap() {
            held.insert((partition, read.offset), read.bytes);
        }
    }
    for ((partition, offset), text) in acknowledged {
        if *offset < log.range(*partition).start {
            assert_eq!(*partition, 0, "only partition 0 is trimmed");
            continue;
        }
        let place = format!("offset {offset} of partition {partition}");
        let bytes = held
            .get(&(*partition, *offset))
            .unwrap_or_else(|| panic!("{place} is lost"));
        assert!(bytes == text.as_bytes(), "{place} is another record");
    }
}
