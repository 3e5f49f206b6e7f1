//! kill -9 in the middle of commits.

use std::path::Path;

use goldwire::store::{Batch, Store};

use super::Engine;
use crate::killed::{child_dir, run_and_kill, say};

const TESTS: &str = "store_contract::crash::g3_every_committed_batch_survives_kill_9_whole";
const TASKS: u8 = 4;
/// Keys that a batch changes besides its position.
const WIDTH: u8 = 20;

fn position_key(task: u8) -> Vec<u8> {
    vec![b'p', task]
}

fn entry_key(task: u8, number: u32, at: u8) -> Vec<u8> {
    [&[b'e', task], number.to_be_bytes().as_slice(), &[at]].concat()
}

/// As a sink's task commits: entries, what they replace, and the position.
fn batch(task: u8, number: u32) -> Batch {
    let mut batch = Batch::default();
    for at in 0..WIDTH {
        batch.put(entry_key(task, number, at), vec![at; 100]);
        if number > 0 {
            batch.remove(entry_key(task, number - 1, at));
        }
    }
    batch.put(position_key(task), number.to_be_bytes().to_vec());
    batch
}

fn position(store: &dyn Store, task: u8) -> Option<u32> {
    let value = store.get(&position_key(task)).unwrap()?;
    Some(u32::from_be_bytes(value.try_into().unwrap()))
}

/// Commits until it is killed, and says what was committed.
fn child(engine: Engine, dir: &Path) {
    let store = engine.open(dir).unwrap();
    let store = store.as_ref();
    std::thread::scope(|scope| {
        for task in 0..TASKS {
            scope.spawn(move || {
                let first = position(store, task).map_or(0, |last| last + 1);
                for number in first.. {
                    store.commit(batch(task, number)).unwrap();
                    say(&format!("{task} {number} ."));
                }
            });
        }
    });
}

#[test]
fn g3_every_committed_batch_survives_kill_9_whole_on_sled() {
    survives(Engine::Sled, "sled");
}

#[test]
fn g3_every_committed_batch_survives_kill_9_whole_on_fjall() {
    survives(Engine::Fjall, "fjall");
}

fn survives(engine: Engine, name: &str) {
    if let Some(dir) = child_dir() {
        return child(engine, &dir);
    }
    let test = format!("{TESTS}_on_{name}");
    let dir = tempfile::tempdir().unwrap();
    let mut committed = [None; TASKS as usize];
    for lines in [20, 80, 5, 50] {
        for line in run_and_kill(&test, dir.path(), lines) {
            // The last line may be cut off by the kill.
            if let [task, number, "."] = line.split(' ').collect::<Vec<_>>()[..] {
                committed[task.parse::<usize>().unwrap()] = Some(number.parse::<u32>().unwrap());
            }
        }
        let store = engine.open(dir.path()).unwrap();
        for task in 0..TASKS {
            let position = position(store.as_ref(), task);
            assert!(
                position >= committed[usize::from(task)],
                "task {task}: {position:?}"
            );
            let mut expected = Vec::new();
            if let Some(number) = position {
                expected.extend((0..WIDTH).map(|at| (entry_key(task, number, at), vec![at; 100])));
            }
            let entries = store.scan(&[b'e', task], None, usize::MAX).unwrap();
            assert!(entries == expected, "task {task}: a batch is there in part");
        }
    }
}
