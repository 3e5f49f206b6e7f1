//! Threads that fsync the files of one round at the same time.
//!
//! Guarantee (G1): each file's own answer comes back, after its own fsync. A disk that answers
//! late is waited for once a round, however many partitions the round has.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::Hook;

/// Files synced at once at most. More partitions than that take turns.
const AT_ONCE: usize = 16;

/// A file to sync, and who waits for it.
struct Task {
    number: usize,
    file: Arc<File>,
    done: Sender<(usize, io::Result<()>)>,
}

/// The threads, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Syncers {
    before_sync: BeforeSync,
    threads: Vec<Sender<Task>>,
}

/// Debug without the hook.
#[derive(Clone)]
struct BeforeSync(Hook);

impl std::fmt::Debug for BeforeSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeSync")
    }
}

impl BeforeSync {
    fn sync(&self, file: &File) -> io::Result<()> {
        (self.0)()?;
        file.sync_data()
    }
}

impl Syncers {
    /// Threads for a log of so many partitions: none for one, which the caller syncs itself.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(super) fn new(partitions: u16, before_sync: Hook) -> io::Result<Self> {
        let before_sync = BeforeSync(before_sync);
        let mut threads = Vec::new();
        for _ in 1..usize::from(partitions).min(AT_ONCE) {
            let (tasks, queue) = mpsc::channel::<Task>();
            let sync = before_sync.clone();
            thread::Builder::new()
                .name("journal-sync".to_owned())
                .spawn(move || serve(&sync, &queue))?;
            threads.push(tasks);
        }
        Ok(Self {
            before_sync,
            threads,
        })
    }

    /// Syncs the data of `files` at the same time. Their answers by their place in `files`, as they
    /// come; one that is missing at the end is of a thread that panicked.
    pub(super) fn sync(&self, files: &[Arc<File>]) -> Receiver<(usize, io::Result<()>)> {
        let (done, answers) = mpsc::channel();
        let mut own = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let task = Task {
                number,
                file: Arc::clone(file),
                done: done.clone(),
            };
            // The first is the caller's: a round of one file wakes no thread.
            let thread = number % (self.threads.len() + 1);
            let left = match thread.checked_sub(1).and_then(|at| self.threads.get(at)) {
                Some(thread) => thread.send(task).err().map(|unsent| unsent.0),
                None => Some(task),
            };
            own.extend(left);
        }
        for task in own {
            self.before_sync.answer(task);
        }
        answers
    }
}

impl BeforeSync {
    fn answer(&self, task: Task) {
        let result = self.sync(&task.file);
        // Closed before the answer, so that a file that was deleted meanwhile gives its disk back.
        drop(task.file);
        drop(task.done.send((task.number, result)));
    }
}

fn serve(sync: &BeforeSync, queue: &Receiver<Task>) {
    while let Ok(task) = queue.recv() {
        sync.answer(task);
    }
}
