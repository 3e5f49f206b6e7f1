//! The sink whose rows land a piece at a time, and what happens to its requests.
//!
//! A piece is a request with one row, whose name is the piece's: it times out, arrives late or loses
//! its answer like any other. A name is made once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind as EventKind, Subject};
use goldwire::sink::pieces::{Gathered, Landed, PieceLimits, Pieces, Place, Seal};
use goldwire::sink::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write};
use tokio::time::Instant;

use super::fault::Fault;
use super::host::Host;
use super::plan::Kind;
use super::row::Row;
use super::sink::{OnWire, Requests, retryable};
use super::target::{apply, land};

/// Copies of a change are known for as long as a run takes.
const WINDOW: Duration = Duration::from_hours(1000);

/// The sink.
#[derive(Debug)]
pub(crate) struct PieceSink(pub(crate) Arc<Host>);

/// The pieces of one partition in one life.
#[derive(Debug)]
struct SimPieces {
    host: Arc<Host>,
    partition: u16,
    requests: Requests,
    open: Mutex<(Row, Option<Instant>)>,
    sealed: Mutex<Option<Row>>,
}

/// A request with a piece is under way until this is dropped.
struct UnderWay<'a>(&'a Host);

impl<'a> UnderWay<'a> {
    fn of(host: &'a Host) -> Self {
        host.lock().landing += 1;
        Self(host)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().landing -= 1;
    }
}

impl SimPieces {
    /// Makes a piece, unless there is one of its name; whether the one that is there has rows.
    async fn make(&self, piece: Row) -> Result<bool, SinkError> {
        let (host, slow) = (&self.host, self.host.plan.slow);
        let _under_way = UnderWay::of(host);
        host.pause(slow).await;
        let name = piece.uri.clone();
        self.requests.request(std::slice::from_ref(&piece)).await?;
        let mut wire = OnWire {
            requests: &self.requests,
            rows: vec![piece],
            sent: host.now(),
            over: false,
        };
        host.wire(slow).await;
        wire.over = true;
        let has_rows = {
            let mut state = host.lock();
            land(&mut state, Kind::Pieces);
            for piece in &wire.rows {
                apply(&mut state, Kind::Pieces, piece);
            }
            state.targets[&Kind::Pieces].pieces[&name]
        };
        host.pause(slow).await;
        if host.hits(Fault::AnswerLost) {
            return Err(retryable("reset", true, true));
        }
        Ok(has_rows)
    }
}

fn landed(has_rows: bool) -> Landed {
    if has_rows { Landed::Yes } else { Landed::Never }
}

#[async_trait]
impl Pieces for SimPieces {
    fn limits(&self) -> PieceLimits {
        PieceLimits {
            rows: 5,
            bytes: 1 << 20,
            age: Duration::from_secs(2),
        }
    }

    async fn gather(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        for write in batch {
            let row = self.host.row_of(write);
            let mut open = self.open.lock().unwrap();
            open.0.rows.extend(row.rows);
            open.0.observed.extend(row.observed);
            open.1.get_or_insert_with(Instant::now);
        }
        self.host.pause(20).await;
        let ack = Ack {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        };
        batch.iter().map(|_| Ok(ack)).collect()
    }

    fn gathered(&self) -> Gathered {
        let open = self.open.lock().unwrap();
        Gathered {
            rows: open.0.rows.len(),
            bytes: 0,
            since: open.1,
        }
    }

    fn seal(&self, position: u64) -> Option<Seal> {
        let (mut piece, _) = std::mem::take(&mut *self.open.lock().unwrap());
        if piece.rows.is_empty() {
            return None;
        }
        let mut state = self.host.lock();
        let target = state.targets.get_mut(&Kind::Pieces).unwrap();
        target.sealed += 1;
        piece.uri = format!("{}-{position}-{}", self.partition, target.sealed);
        let seal = Seal(piece.uri.clone());
        let before = self.sealed.lock().unwrap().replace(piece);
        assert!(before.is_none(), "another is on its way");
        Some(seal)
    }

    async fn land(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let sealed = self.sealed.lock().unwrap().clone();
        let piece = sealed.filter(|piece| piece.uri == seal.0).unwrap();
        let has_rows = self.make(piece).await?;
        *self.sealed.lock().unwrap() = None;
        Ok(landed(has_rows))
    }

    async fn landed(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let nothing = Row {
            uri: seal.0.clone(),
            ..Row::default()
        };
        Ok(landed(self.make(nothing).await?))
    }
}

#[async_trait]
impl Sink for PieceSink {
    fn name(&self) -> &str {
        Kind::Pieces.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dedupe: Some(WINDOW),
            rows: 4,
            batches: 1,
            linger: Duration::from_millis(5),
            ..Capabilities::new(Mode::History)
        }
    }

    fn accepts(&self, _: &Subject, _: &str, _: EventKind) -> bool {
        true
    }

    fn pieces(&self, place: &Place) -> Option<Arc<dyn Pieces>> {
        let host = Arc::clone(&self.0);
        Some(Arc::new(SimPieces {
            requests: Requests {
                host: Arc::clone(&host),
                kind: Kind::Pieces,
            },
            host,
            partition: place.partition,
            open: Mutex::default(),
            sealed: Mutex::default(),
        }))
    }

    async fn write(&self, _: &[Write]) -> Vec<Result<Ack, SinkError>> {
        panic!("nothing is written where pieces are gathered");
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}
