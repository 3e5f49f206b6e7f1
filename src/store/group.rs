//! Group commit: batches that wait at the same time are stored as one.
//!
//! Guarantee (G3): [`GroupCommit::commit`] returns what the store said of a group that holds the
//! whole batch. Whoever comes while a group is being stored is part of the next.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Batch, StoreError};

/// What became of a group.
type Outcome = OnceLock<Result<(), StoreError>>;

#[derive(Debug, Default)]
struct State {
    /// Batches of the next group, in the order of their calls.
    waiting: Vec<Batch>,
    /// The next group's outcome.
    next: Arc<Outcome>,
    running: bool,
}

/// Gathers the batches of threads that commit at the same time.
#[derive(Debug, Default)]
pub(super) struct GroupCommit {
    state: Mutex<State>,
    ended: Condvar,
}

impl GroupCommit {
    /// Has `batch` stored as part of a group. `store` makes all of its batches durable together;
    /// one of the waiting threads runs it for all of them.
    pub(super) fn commit(
        &self,
        batch: Batch,
        store: impl FnOnce(Vec<Batch>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        state.waiting.push(batch);
        let mine = Arc::clone(&state.next);
        while state.running {
            if let Some(outcome) = mine.get() {
                return outcome.clone();
            }
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(outcome) = mine.get() {
            return outcome.clone();
        }
        let group = std::mem::take(&mut state.waiting);
        state.next = Arc::default();
        state.running = true;
        drop(state);
        let running = Running {
            group: self,
            outcome: Arc::clone(&mine),
        };
        let result = store(group);
        mine.get_or_init(|| result.clone());
        drop(running);
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group being stored. Its end is told even if it ends in a panic: no one waits without end.
struct Running<'a> {
    group: &'a GroupCommit,
    outcome: Arc<Outcome>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let gone = || {
            Err(StoreError::Io(
                "the thread that stored the group ended".to_owned(),
            ))
        };
        self.outcome.get_or_init(gone);
        self.group.state().running = false;
        self.group.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const CALLERS: u8 = 8;

    fn batch(number: u8) -> Batch {
        let mut batch = Batch::default();
        batch.put(vec![number], vec![number]);
        batch
    }

    /// Holds the first group until all others wait, ends it with `first`, and returns the sizes
    /// of the groups and what the others were answered.
    fn storm(
        first: impl FnOnce() -> Result<(), StoreError> + Send,
        others: &Result<(), StoreError>,
    ) -> (Vec<usize>, Vec<Result<(), StoreError>>) {
        let group = &GroupCommit::default();
        let sizes = &Mutex::new(Vec::new());
        let (begun, first_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let answers = thread::scope(|scope| {
            let leader = scope.spawn(move || {
                group.commit(batch(0), |batches| {
                    sizes.lock().unwrap().push(batches.len());
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    first()
                })
            });
            first_begun.recv().unwrap();
            let followers: Vec<_> = (1..=CALLERS)
                .map(|number| {
                    scope.spawn(move || {
                        group.commit(batch(number), |batches| {
                            sizes.lock().unwrap().push(batches.len());
                            others.clone()
                        })
                    })
                })
                .collect();
            while group.state().waiting.len() < usize::from(CALLERS) {
                thread::yield_now();
            }
            release.send(()).unwrap();
            drop(leader.join());
            followers
                .into_iter()
                .map(|follower| follower.join().unwrap())
                .collect()
        });
        (sizes.lock().unwrap().clone(), answers)
    }

    #[test]
    fn who_comes_while_a_group_is_stored_is_part_of_the_next() {
        let (sizes, answers) = storm(|| Ok(()), &Ok(()));
        assert_eq!(sizes, [1, usize::from(CALLERS)]);
        assert!(answers.iter().all(Result::is_ok));
    }

    #[test]
    fn a_failure_is_answered_to_all_of_its_group_and_to_no_other() {
        let full = StoreError::Io("full".to_owned());
        let (_, answers) = storm(|| Err(full.clone()), &Ok(()));
        assert!(answers.iter().all(Result::is_ok));
        let (sizes, answers) = storm(|| Ok(()), &Err(full.clone()));
        assert_eq!(sizes, [1, usize::from(CALLERS)]);
        assert!(answers.iter().all(Result::is_err));
    }

    #[test]
    fn a_panic_of_one_group_does_not_hold_the_next() {
        let (_, answers) = storm(|| panic!("the engine broke"), &Ok(()));
        assert!(answers.iter().all(Result::is_ok));
    }
}
