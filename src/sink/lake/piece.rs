//! The files of one partition: one takes rows, and one is on its way.
//!
//! Guarantee (G3, G5): as [`Pieces`] says. A file is sealed under a name of its own, and made only
//! where none of that name is. A recovery that finds none makes an empty one, so that a request that
//! is still under way makes no other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::body::{Body, BodyError, is_empty};
use super::config::Format;
use super::erasure::note;
use super::name::name;
use super::rewrite::{Erasure, erasures};
use super::snowpipe::Pipe;
use super::target::{Made, Target};
use crate::sink::columns::Columns;
use crate::sink::pieces::{Gathered, Landed, PieceLimits, Pieces, Place, Seal};
use crate::sink::{Ack, Effect, SinkError, Write};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// A file without rows is far smaller.
const SMALL: u64 = 64 << 10;

/// Where files go: the first place decides whether a file is there.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) first: Target,
    pub(super) mirror: Option<Target>,
}

/// What every partition's files have in common.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// The sink's name.
    pub(super) sink: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) targets: Arc<Targets>,
    /// What is told of every file.
    pub(super) pipe: Option<Arc<Pipe>>,
    pub(super) format: Format,
    /// The columns of the mapping.
    pub(super) columns: Arc<Columns>,
    pub(super) clock: SharedClock,
    /// Whether erasures are noted, for the files to be looked through.
    pub(super) erases: bool,
}

/// The files of one partition.
#[derive(Debug)]
pub(super) struct Files {
    shared: Shared,
    place: Place,
    limits: PieceLimits,
    state: Mutex<State>,
    /// Keeps up with erasures, in one partition's stead for all.
    _erasing: Option<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// The rows of the open file. Away while they are compressed; gone for good if that failed.
    open: Option<Body>,
    rows: usize,
    since: Option<Instant>,
    /// Of the open file's rows, those that tell of an erasure.
    erasures: Vec<Erasure>,
    sealed: Option<Sealed>,
}

/// A file that takes no more rows.
#[derive(Debug)]
struct Sealed {
    seal: Seal,
    rows: usize,
    content: Content,
    erasures: Vec<Erasure>,
}

#[derive(Debug)]
enum Content {
    /// Not finished yet; nothing, if it was lost.
    Body(Option<Body>),
    Whole(Bytes),
}

impl Files {
    pub(super) fn new(
        shared: Shared,
        place: Place,
        limits: PieceLimits,
        erasing: Option<AbortOnDropHandle<()>>,
    ) -> Self {
        Self {
            _erasing: erasing,
            shared,
            place,
            limits,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the rows; tells whether so many wait that they are to be compressed.
    fn add(&self, batch: &[Write]) -> Result<(Vec<Result<Ack, SinkError>>, bool), BodyError> {
        let mut state = self.state();
        if state.rows == 0 && state.open.is_none() {
            state.open = Some(Body::new(self.shared.format, &self.shared.columns)?);
        }
        let Some(mut body) = state.open.take() else {
            return Ok((batch.iter().map(|_| Err(ended())).collect(), false));
        };
        let mut answers = Vec::with_capacity(batch.len());
        for write in batch {
            let added = body.add(write, &self.shared.columns);
            if added.is_ok() && self.shared.erases {
                state.erasures.extend(erasures(write));
            }
            state.rows += added.as_ref().copied().unwrap_or_default();
            answers.push(added.map(|_| Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            }));
        }
        if state.rows > 0 {
            state.since.get_or_insert_with(Instant::now);
        }
        let many = body.waiting() >= self.limits.bytes / 2;
        state.open = Some(body);
        Ok((answers, many))
    }

    /// Compresses what waits, off the runtime's threads.
    async fn pack(&self) -> Result<(), BodyError> {
        let Some(mut body) = self.state().open.take() else {
            return Ok(());
        };
        let packed = tokio::task::spawn_blocking(move || body.pack().map(|()| body)).await;
        let body = packed.map_err(std::io::Error::other)??;
        self.state().open = Some(body);
        Ok(())
    }

    /// The sealed file; nothing if it was lost.
    async fn whole(&self, seal: &Seal) -> Option<Bytes> {
        let body = {
            let mut state = self.state();
            let sealed = state.sealed.as_mut().filter(|it| it.seal == *seal)?;
            match &mut sealed.content {
                Content::Whole(file) => return Some(file.clone()),
                Content::Body(body) => body.take()?,
            }
        };
        let finished = tokio::task::spawn_blocking(move || body.finish()).await;
        let finished = finished.map_err(std::io::Error::other);
        let file = match finished.map_err(BodyError::from).flatten() {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(file = seal.0, "{error}; its records are read again");
                return None;
            }
        };
        if let Some(sealed) = &mut self.state().sealed {
            sealed.content = Content::Whole(file.clone());
        }
        Some(file)
    }

    /// Notes what the sealed file tells of erasures, where they are to be kept up with.
    async fn note(&self, seal: &Seal) -> Result<(), SinkError> {
        let note = {
            let state = self.state();
            let sealed = state.sealed.as_ref();
            sealed.and_then(|sealed| note(&seal.0, &sealed.erasures))
        };
        match note {
            Some((name, text)) => self.shared.targets.first.put(&name, text).await,
            None => Ok(()),
        }
    }

    /// Whether the file that is there under this name holds rows.
    async fn holds_rows(&self, seal: &Seal) -> Result<bool, SinkError> {
        let first = &self.shared.targets.first;
        if first.size(&seal.0).await? > SMALL {
            return Ok(true);
        }
        Ok(!is_empty(self.shared.format, first.read(&seal.0).await?))
    }

    /// Brings a file of the first place to the mirror.
    async fn mirror(&self, seal: &Seal, file: Option<Bytes>) -> Result<(), SinkError> {
        let Some(mirror) = &self.shared.targets.mirror else {
            return Ok(());
        };
        let file = match file {
            Some(file) => file,
            None => self.shared.targets.first.read(&seal.0).await?,
        };
        mirror.make(&seal.0, file).await.map(|_| ())
    }

    /// Tells the pipe of the file.
    async fn tell(&self, seal: &Seal, size: Option<usize>) -> Result<(), SinkError> {
        match &self.shared.pipe {
            Some(pipe) => pipe.tell(&seal.0, size).await,
            None => Ok(()),
        }
    }
}

/// What a row counts as whose file was lost: its file never lands, and its record is read again.
fn ended() -> SinkError {
    SinkError::Retryable {
        code: "file_lost".to_owned(),
        ambiguous: false,
        outage: true,
    }
}

#[async_trait]
impl Pieces for Files {
    fn limits(&self) -> PieceLimits {
        self.limits
    }

    async fn gather(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let added = self.add(batch);
        let Shared {
            columns,
            sink,
            metrics,
            ..
        } = &self.shared;
        columns.tell_unfit(sink, metrics);
        let failed = |error: BodyError| {
            tracing::error!(partition = self.place.partition, "{error}");
            batch.iter().map(|_| Err(ended())).collect()
        };
        match added {
            Ok((answers, false)) => answers,
            Ok((answers, true)) => match self.pack().await {
                Ok(()) => answers,
                Err(error) => failed(error),
            },
            Err(error) => failed(error),
        }
    }

    fn gathered(&self) -> Gathered {
        let state = self.state();
        let bytes = state
            .open
            .as_ref()
            .map_or(0, |body| body.waiting() + body.packed());
        Gathered {
            rows: state.rows,
            bytes,
            since: state.since,
        }
    }

    fn seal(&self, position: u64) -> Option<Seal> {
        let mut state = self.state();
        if state.rows == 0 {
            return None;
        }
        let now = self.shared.clock.now();
        let seal = Seal(name(
            (self.shared.format, &self.place),
            (now, position),
            Uuid::new_v4(),
        ));
        let content = Content::Body(state.open.take());
        state.since = None;
        state.sealed = Some(Sealed {
            seal: seal.clone(),
            rows: std::mem::take(&mut state.rows),
            content,
            erasures: std::mem::take(&mut state.erasures),
        });
        Some(seal)
    }

    async fn land(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let Some(file) = self.whole(seal).await else {
            return Ok(Landed::Never);
        };
        self.note(seal).await?;
        let made = self
            .shared
            .targets
            .first
            .make(&seal.0, file.clone())
            .await?;
        // One of this name is this very file, of a request whose answer was lost, or a recovery's.
        if made == Made::WasThere && !self.holds_rows(seal).await? {
            return Ok(Landed::Never);
        }
        let size = file.len();
        self.mirror(seal, Some(file)).await?;
        self.tell(seal, Some(size)).await?;
        if let Some(sealed) = self.state().sealed.take() {
            self.shared.metrics.batch(&self.shared.sink, sealed.rows);
        }
        Ok(Landed::Yes)
    }

    async fn landed(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let empty = Body::new(self.shared.format, &self.shared.columns).and_then(Body::finish);
        let empty = empty.map_err(|error| SinkError::Systemic {
            code: error.to_string(),
            remedy: "report it".to_owned(),
        })?;
        let made = self.shared.targets.first.make(&seal.0, empty).await?;
        if made == Made::Yes || !self.holds_rows(seal).await? {
            return Ok(Landed::Never);
        }
        self.mirror(seal, None).await?;
        self.tell(seal, None).await?;
        Ok(Landed::Yes)
    }
}
