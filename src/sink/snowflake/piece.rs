//! The pieces of one partition: one takes rows, and one is on its way. A piece is one append.
//!
//! Guarantee (G3, G5, G8): as [`Pieces`] says. Rows are compressed as they come, and a piece never
//! grows beyond what Snowflake takes in one request.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::body::{Body, MOST};
use super::channel::{self, Session};
use super::config::LostChannel;
use super::rows;
use super::token::Token;
use super::wire::{Status, Wire};
use crate::sink::pieces::{Gathered, Landed, PieceLimits, Pieces, Place, Seal, full};
use crate::sink::{Ack, Effect, SinkError, Write};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// A piece is sealed at this size, so that few writes find no room.
pub(super) const DUE: usize = MOST / 4 * 3;

/// What every partition's pieces have in common.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// The sink's name.
    pub(super) sink: String,
    pub(super) metrics: Arc<Metrics>,
    pub(super) wire: Arc<Wire>,
    pub(super) clock: SharedClock,
    /// The table's whole name.
    pub(super) table: String,
    pub(super) commit_timeout: Duration,
    pub(super) lost_channel: LostChannel,
    /// Of these the rows that Snowflake took were deleted by a person.
    pub(super) deleted_pieces: Vec<Uuid>,
}

/// The pieces of one partition.
#[derive(Debug)]
pub(super) struct Appends {
    pub(super) shared: Shared,
    pub(super) place: Place,
    /// The channel's name.
    pub(super) channel: String,
    limits: PieceLimits,
    state: Mutex<State>,
    /// One opens the channel at a time.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) session: Option<Session>,
    /// Sessions so far.
    sessions: u64,
    /// The rows of the open piece. Away while they are compressed; lost if that failed.
    open: Option<Open>,
    rows: usize,
    bytes: usize,
    since: Option<Instant>,
    pub(super) sealed: Option<Sealed>,
}

#[derive(Debug)]
struct Open {
    body: Body,
    /// What its rows call it.
    piece: Uuid,
}

/// A piece that takes no more rows.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) seal: Seal,
    pub(super) rows: u64,
    /// Rows that the channel had refused before.
    pub(super) errors: u64,
    /// The session that it is appended in, or never.
    pub(super) session: Option<u64>,
    content: Content,
    /// Which attempt this is, after some of which every row was refused.
    pub(super) attempt: u64,
    /// When this attempt was sent first, if rows may have been taken.
    pub(super) sent: Option<Instant>,
    /// Its rows were taken, or its continuation token is used: nothing is to be sent any more.
    pub(super) taken: bool,
    /// The answer came that tells the next continuation token.
    pub(super) answered: bool,
    /// Some of its rows were refused: what a person has to do.
    pub(super) halted: Option<SinkError>,
}

#[derive(Debug)]
enum Content {
    /// Not finished yet; nothing, if it was lost.
    Body(Option<Body>),
    Whole(Bytes),
}

impl Appends {
    pub(super) fn new(shared: Shared, place: Place, limits: PieceLimits) -> Self {
        Self {
            channel: channel::name(&shared.sink, &place),
            shared,
            place,
            limits,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the channel if this process has no session.
    pub(super) async fn opened(&self) -> Result<(), SinkError> {
        let _opening = self.opening.lock().await;
        if self.state().session.is_none() {
            self.open().await?;
        }
        Ok(())
    }

    /// Opens the channel, whoever has it: what is not committed by now never will be.
    pub(super) async fn reopened(&self) -> Result<Status, SinkError> {
        let _opening = self.opening.lock().await;
        self.open().await
    }

    async fn open(&self) -> Result<Status, SinkError> {
        let opened = self.shared.wire.open(&self.channel).await?;
        let mut state = self.state();
        state.sessions += 1;
        state.session = Some(Session::new(state.sessions, &opened));
        Ok(opened.channel_status)
    }

    /// The open piece; nothing if its rows were lost.
    fn begin(&self) -> io::Result<Option<Open>> {
        let mut state = self.state();
        if state.open.is_none() && state.rows == 0 {
            let (body, piece) = (Body::new()?, Uuid::new_v4());
            return Ok(Some(Open { body, piece }));
        }
        Ok(state.open.take())
    }

    /// Takes rows into a piece; how many, and the answers.
    async fn take(&self, mut open: Open, batch: &[Write]) -> io::Result<Vec<Answer>> {
        let (mut lines, mut taken, mut is_full) = (Vec::new(), 0, false);
        let held = self.state().rows;
        let mut answers = Vec::with_capacity(batch.len());
        for write in batch {
            if is_full {
                answers.push(Err(full()));
                continue;
            }
            if let Err(error) = rows::put(&mut lines, write, open.piece) {
                answers.push(Err(error));
                continue;
            }
            let fits;
            (open.body, lines, fits) = fitted(open.body, lines).await?;
            answers.push(if fits {
                taken += write.changes.len();
                Ok(TAKEN)
            } else if held + taken > 0 {
                is_full = true;
                Err(full())
            } else {
                Err(rows::too_large("row_above_4_mb"))
            });
        }
        let mut state = self.state();
        state.rows += taken;
        state.bytes = if is_full {
            usize::MAX
        } else {
            open.body.most()
        };
        if state.rows > 0 {
            state.since.get_or_insert_with(Instant::now);
        }
        state.open = Some(open);
        Ok(answers)
    }

    /// The sealed piece; nothing if its rows were lost.
    pub(super) async fn whole(&self, seal: &Seal) -> Option<Bytes> {
        let body = {
            let mut state = self.state();
            let sealed = state.sealed.as_mut().filter(|it| it.seal == *seal)?;
            match &mut sealed.content {
                Content::Whole(rows) => return Some(rows.clone()),
                Content::Body(body) => body.take()?,
            }
        };
        let finished = tokio::task::spawn_blocking(move || body.finish()).await;
        let rows = match finished.map_err(io::Error::other).flatten() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(piece = seal.0, "{error}; its records are read again");
                return None;
            }
        };
        if let Some(sealed) = &mut self.state().sealed {
            sealed.content = Content::Whole(rows.clone());
        }
        Some(rows)
    }
}

type Answer = Result<Ack, SinkError>;

const TAKEN: Ack = Ack {
    effect: Effect::Delivered,
    second_look: false,
    read: None,
};

/// Adds rows to a body if they fit, off the runtime's threads where that takes a while.
async fn fitted(mut body: Body, rows: Vec<u8>) -> io::Result<(Body, Vec<u8>, bool)> {
    let has_room = body.has_room(rows.len());
    if has_room && !body.add(&rows) {
        return Ok((body, rows, true));
    }
    let packed = tokio::task::spawn_blocking(move || {
        let fits = if has_room {
            body.pack().map(|()| true)
        } else {
            body.squeeze(&rows)
        };
        fits.map(|fits| (body, rows, fits))
    });
    packed.await.map_err(io::Error::other)?
}

/// What a row counts as whose piece was lost: it never lands, and its record is read again.
fn ended() -> SinkError {
    SinkError::Retryable {
        code: "piece_lost".to_owned(),
        ambiguous: false,
        outage: true,
    }
}

#[async_trait]
impl Pieces for Appends {
    fn limits(&self) -> PieceLimits {
        self.limits
    }

    async fn gather(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let all = |error: SinkError| batch.iter().map(|_| Err(error.clone())).collect();
        // Before a piece is sealed: one that is late is refused then.
        if let Err(error) = self.opened().await {
            return all(error);
        }
        let answers = match self.begin() {
            Ok(Some(open)) => self.take(open, batch).await,
            Ok(None) => return all(ended()),
            Err(error) => Err(error),
        };
        answers.unwrap_or_else(|error| {
            let partition = self.place.partition;
            tracing::error!(partition, "rows cannot be compressed: {error}");
            all(ended())
        })
    }

    fn gathered(&self) -> Gathered {
        let state = self.state();
        Gathered {
            rows: state.rows,
            bytes: state.bytes,
            since: state.since,
        }
    }

    fn seal(&self, position: u64) -> Option<Seal> {
        let now = self.shared.clock.now();
        let mut state = self.state();
        if state.rows == 0 {
            return None;
        }
        let open = state.open.take();
        let rows = u64::try_from(std::mem::take(&mut state.rows)).unwrap_or(u64::MAX);
        let piece = open.as_ref().map_or_else(Uuid::new_v4, |open| open.piece);
        let errors = state.session.as_ref().map_or(0, |it| it.errors);
        let seal = Token {
            position,
            time: now,
            rows,
            errors,
            ..Token::new(&self.place, piece)
        };
        let seal = seal.seal();
        (state.since, state.bytes) = (None, 0);
        state.sealed = Some(Sealed {
            seal: seal.clone(),
            rows,
            errors,
            session: state.session.as_ref().map(|it| it.number),
            content: Content::Body(open.map(|open| open.body)),
            attempt: 0,
            sent: None,
            taken: false,
            answered: false,
            halted: None,
        });
        Some(seal)
    }

    async fn land(&self, seal: &Seal) -> Result<Landed, SinkError> {
        self.bring(seal).await
    }

    async fn landed(&self, seal: &Seal) -> Result<Landed, SinkError> {
        self.recover(seal).await
    }
}
