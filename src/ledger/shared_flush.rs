//! One flush for everything that was applied before it began.
//!
//! Guarantee (G3): [`SharedFlush::after`] returns when a flush that began after the call has
//! succeeded. Callers that come while one is under way share the next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    /// Calls so far.
    asked: u64,
    /// All calls up to this one are flushed.
    flushed: u64,
    running: bool,
}

/// Shares flushes among the threads that commit at the same time.
#[derive(Debug, Default)]
pub(super) struct SharedFlush {
    state: Mutex<State>,
    ended: Condvar,
}

impl SharedFlush {
    /// Waits for a flush of everything that the caller applied before; runs it if nobody else
    /// does. A failed flush is answered to the caller that ran it; who waited for it tries again.
    pub(super) fn after<E>(&self, flush: impl Fn() -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        let mine = state.asked;
        while state.flushed < mine {
            if state.running {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let covers = state.asked;
            state.running = true;
            drop(state);
            let result = {
                let _running = Running(self);
                flush()
            };
            state = self.state();
            result?;
            state.flushed = state.flushed.max(covers);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flush under way. Its end is told even if it ends in a panic: nobody waits for ever.
struct Running<'a>(&'a SharedFlush);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn callers_that_come_during_a_flush_share_the_next() {
        const CALLERS: u64 = 8;
        let (shared, flushes) = (Arc::new(SharedFlush::default()), Arc::new(AtomicU64::new(0)));
        let (begun, first_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let first = thread::spawn({
            let (shared, flushes) = (Arc::clone(&shared), Arc::clone(&flushes));
            move || {
                shared.after(|| {
                    flushes.fetch_add(1, Ordering::SeqCst);
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    Ok::<_, ()>(())
                })
            }
        });
        first_begun.recv().unwrap();
        let others: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (shared, flushes) = (Arc::clone(&shared), Arc::clone(&flushes));
                thread::spawn(move || {
                    shared.after(|| {
                        flushes.fetch_add(1, Ordering::SeqCst);
                        Ok::<_, ()>(())
                    })
                })
            })
            .collect();
        while shared.state.lock().unwrap().asked <= CALLERS {
            thread::yield_now();
        }
        release.send(()).unwrap();
        first.join().unwrap().unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert_eq!(flushes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_failed_flush_covers_nobody() {
        let shared = SharedFlush::default();
        assert_eq!(shared.after(|| Err("full")), Err("full"));
        let flushes = AtomicU64::new(0);
        let flush = || {
            flushes.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>(())
        };
        shared.after(flush).unwrap();
        assert_eq!(flushes.load(Ordering::SeqCst), 1);
    }
}
