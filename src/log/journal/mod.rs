//! A log on local disk: one folder a partition, segment files, one thread that writes them and some
//! that sync them.
//!
//! Guarantee (G1, G8): what is acknowledged was fsynced; what is read is durable; the disk used
//! stays within the quota. A torn append is cut at open, damage before it is refused.
//!
//! ```text
//! dir/lock            held by the process that has the log open
//! dir/identity.json   uuid, partition count, format; written last, so that it completes a log
//! dir/3/…042.log      records of partition 3 from offset 42 on
//! ```

mod appender;
mod files;
mod frame;
mod recover;
mod segment;
mod syncers;
mod trim;
mod view;
mod writer;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use self::appender::Appender;
use self::files::{free_disk, io_error};
use self::syncers::Syncers;
use self::view::{Lookup, View};
use self::writer::{Append, GiveBack, Job, Writer};
use super::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, OffsetRange, ReadLimit, Retention, Share,
};
use crate::dir_lock::DirLock;
use crate::time::{SharedClock, SystemClock};

/// Bytes of the newest records kept in memory, over all partitions: some rounds, so that who keeps up
/// reads no disk. As much again is kept at most of what was read from disk.
const TAIL: usize = 8 << 20;
/// KiB of appends that may wait for the writer; who comes then waits outside.
const QUEUE_KIB: u32 = 32 << 10;
/// What counts as a small append: a common event.
const SMALL: u64 = 4 << 10;

/// Where a journal is and how much it may hold.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Its directory, of this log alone.
    pub dir: PathBuf,
    /// Partitions; their number never changes.
    pub partitions: u16,
    /// Bytes on disk at most; appends beyond it are refused as full. The last are for sinks.
    pub quota: u64,
    /// Bytes of the file system that are left to others; 0 for none. Sinks may use half of them.
    pub disk_reserve: u64,
    /// How long a segment that every reader has passed is kept, if there is room.
    pub keep: Duration,
    /// Bytes after which a new segment file begins.
    pub segment: u64,
    /// The shortest time between the starts of two rounds of fsyncs. Appends that arrive in between
    /// share the next round; an append to an idle log does not wait.
    pub gather: Duration,
}

/// Something that runs on the threads that write and sync, and may block them or fail in the disk's
/// place.
pub type Hook = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// What a test may change: the time, and a disk that stalls or fails.
#[derive(Clone)]
pub struct JournalDeps {
    /// The time of appends and trims.
    pub clock: SharedClock,
    /// Called before each write of a frame.
    pub before_write: Hook,
    /// Called before each fsync of a frame, of the cut after a failed one, and of the name of a
    /// segment that follows another.
    pub before_sync: Hook,
}

impl Default for JournalDeps {
    fn default() -> Self {
        let nothing: Hook = Arc::new(|| Ok(()));
        Self {
            clock: Arc::new(SystemClock),
            before_write: Arc::clone(&nothing),
            before_sync: nothing,
        }
    }
}

impl fmt::Debug for JournalDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalDeps")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    identity: LogIdentity,
    quota: u64,
    disk_reserve: u64,
    /// The journal's directory, to ask for free disk.
    root: File,
    used: AtomicU64,
    syncs: AtomicU64,
    /// By partition.
    views: Vec<View>,
}

impl Shared {
    /// Bytes of disk that are free. A file system that does not tell is not held against anybody.
    fn free(&self) -> u64 {
        if self.disk_reserve == 0 {
            return u64::MAX;
        }
        free_disk(&self.root).unwrap_or(u64::MAX)
    }

    /// Whether the log may come to hold `used` bytes and the disk to have `free` left.
    fn admit(&self, share: Share, used: u64, free: u64) -> Result<(), LogError> {
        let reserve = share.leaves(self.disk_reserve);
        if free < reserve {
            return Err(LogError::DiskFull { free, reserve });
        }
        if used > share.of_quota(self.quota) {
            let (used, quota) = (self.used.load(Ordering::Relaxed), self.quota);
            return Err(LogError::Full { used, quota });
        }
        Ok(())
    }

    /// What a failed append, cut off again, is answered with.
    fn failed(&self, error: &io::Error) -> LogError {
        if appender::is_full(error) {
            LogError::DiskFull {
                free: free_disk(&self.root).unwrap_or_default(),
                reserve: self.disk_reserve,
            }
        } else {
            io_error(error)
        }
    }

    fn view(&self, partition: u16) -> Result<&View, LogError> {
        let view = self.views.get(usize::from(partition));
        view.ok_or_else(|| LogError::Refused(format!("the log has no partition {partition}")))
    }
}

/// A log in segment files on local disk.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    /// Nothing only while it is being dropped.
    queue: Option<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    /// Released last.
    _lock: DirLock,
}

impl Journal {
    /// Opens the log in a directory, making it if need be. Blocks on the disk.
    ///
    /// # Errors
    /// [`LogError::Refused`] if another process holds it, it has another partition count or a
    /// newer format; [`LogError::Damaged`] if acknowledged bytes are not as written.
    pub fn open(settings: JournalSettings) -> Result<Self, LogError> {
        Self::open_with(settings, JournalDeps::default())
    }

    /// As [`Self::open`], with a clock and a disk of the test's own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(settings: JournalSettings, deps: JournalDeps) -> Result<Self, LogError> {
        let JournalSettings {
            dir,
            partitions,
            quota,
            disk_reserve,
            keep,
            segment,
            gather,
        } = settings;
        let lock = files::lock(&dir)?;
        let known = files::identity(&dir, partitions)?;
        let marker = known.marker()?;
        let (mut views, mut found, mut used) = (Vec::new(), Vec::new(), 0_u64);
        for partition in 0..partitions {
            let part = recover::recover(&files::folder(&dir, partition), partition, marker)?;
            used = part
                .segments
                .iter()
                .fold(used, |sum, held| sum.saturating_add(held.length));
            let tail = TAIL / usize::from(partitions).max(1);
            let segments = part.segments.clone();
            views.push(View::new(partition, marker, tail, segments, part.end));
            found.push(part);
        }
        let root = File::open(&dir).map_err(|error| io_error(&error))?;
        let shared = Arc::new(Shared {
            identity: LogIdentity {
                id: known.id,
                partitions,
            },
            quota,
            disk_reserve,
            root,
            used: AtomicU64::new(used),
            syncs: AtomicU64::new(0),
            views,
        });
        let appenders = (0..partitions).zip(found).filter_map(|(partition, found)| {
            let dir = files::folder(&dir, partition);
            Appender::new(dir, Arc::clone(&shared), deps.clone(), segment, found)
        });
        let appenders = appenders.collect();
        let before_sync = Arc::clone(&deps.before_sync);
        let writer = Writer {
            shared: Arc::clone(&shared),
            deps,
            appenders,
            keep,
            syncers: Syncers::new(partitions, before_sync).map_err(|error| io_error(&error))?,
            piece: Vec::new(),
            gather,
        };
        let (queue, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread
            .spawn(move || writer.run(&jobs))
            .map_err(|error| io_error(&error))?;
        let queued = Semaphore::new(usize::try_from(QUEUE_KIB).unwrap_or_default());
        Ok(Self {
            shared,
            queue: Some(queue),
            room: Arc::new(queued),
            writer: Some(thread),
            _lock: lock,
        })
    }

    /// How often a partition was fsynced for appends.
    pub fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::Relaxed)
    }

    async fn give_back(&self, what: GiveBack, floors: &[u64]) -> Result<(), LogError> {
        let floors = floors.to_vec();
        let job = |reply| Job::GiveBack {
            what,
            floors,
            reply,
        };
        self.ask(job).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Job,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(LogError::Closed)?;
        queue.send(job(reply)).map_err(|_| LogError::Closed)?;
        answer.await.map_err(|_| LogError::Closed)?
    }
}

impl Drop for Journal {
    /// The writer ends what it has accepted; then the directory is free for another.
    fn drop(&mut self) {
        drop(self.queue.take());
        if self
            .writer
            .take()
            .is_some_and(|writer| writer.join().is_err())
        {
            tracing::error!("the log's writer thread ended in a panic");
        }
    }
}

#[async_trait]
impl LogAppender for Journal {
    fn identity(&self) -> &LogIdentity {
        &self.shared.identity
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let view = self.shared.view(partition)?;
        if records.is_empty() {
            return Ok(view.range().end);
        }
        let bytes = frame::body_length(&records);
        let kib = u32::try_from(bytes / 1024).unwrap_or(QUEUE_KIB);
        let kib = kib.clamp(1, QUEUE_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        let room = room.map_err(|_| LogError::Closed)?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.ask(|reply| {
            Job::Append(Append {
                share,
                partition,
                records,
                bytes,
                _room: room,
                reply,
            })
        })
        .await
    }

    fn largest_record(&self) -> usize {
        frame::LARGEST_RECORD
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        let used = self.shared.used.load(Ordering::Relaxed);
        let after = used.saturating_add(SMALL);
        self.shared.admit(share, after, self.shared.free())
    }

    /// Not after a panic of the writer thread.
    fn is_open(&self) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|writer| !writer.is_finished())
    }
}

#[async_trait]
impl Retention for Journal {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        self.give_back(GiveBack::Passed, floors).await
    }

    async fn evict(&self, floors: &[u64]) -> Result<(), LogError> {
        self.give_back(GiveBack::Oldest, floors).await
    }

    fn usage(&self) -> (u64, u64) {
        (self.shared.used.load(Ordering::Relaxed), self.shared.quota)
    }
}

#[async_trait]
impl Log for Journal {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        let (held, until) = match self.shared.view(partition)?.lookup(from, limit)? {
            Lookup::Found(records) => return Ok(records),
            Lookup::OnDisk(held, until) => (held, until),
        };
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            shared
                .view(partition)?
                .read_disk(&held, (from, until), limit)
        });
        read.await
            .map_err(|error| LogError::Io(error.to_string()))?
    }

    async fn wait(&self, partition: u16, from: u64) {
        match self.shared.view(partition) {
            Ok(view) => view.wait(from).await,
            Err(_) => std::future::pending().await,
        }
    }

    fn range(&self, partition: u16) -> OffsetRange {
        let view = self.shared.view(partition);
        view.map_or(OffsetRange { start: 0, end: 0 }, View::range)
    }
}
