//! The sink in front of a target, and what happens to its requests.
//!
//! A batch of the engine is a request: it has rows, and each row an answer (G7).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind as EventKind, Subject};
use goldwire::sink::{Ack, Capabilities, Effect, Sink, SinkError, Write};
use goldwire::time::Millis;

use super::disk::mode;
use super::fault::Fault;
use super::host::Host;
use super::plan::{Kind, LONGEST};
use super::row::Row;
use super::target::{apply, land, may_land};
use super::world::{Dropped, World, millis};

/// A request on the wire: when the process dies, it may arrive.
pub(super) struct OnWire<'a> {
    pub(super) requests: &'a Requests,
    pub(super) rows: Vec<Row>,
    pub(super) sent: Millis,
    pub(super) over: bool,
}

impl Drop for OnWire<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.requests.host.drops(Dropped::Rows {
                kind: self.requests.kind,
                rows: std::mem::take(&mut self.rows),
                sent: self.sent,
            });
        }
    }
}

/// Requests to one target.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) host: Arc<Host>,
    pub(super) kind: Kind,
}

type Answer = Result<Effect, SinkError>;

impl Requests {
    /// Whether this sink is the one that windows are about.
    fn first(&self) -> bool {
        self.host.plan.sinks.first() == Some(&self.kind)
    }

    /// What happens to a request as a whole.
    pub(super) async fn request(&self, rows: &[Row]) -> Result<(), SinkError> {
        let world = &self.host;
        if self.first() && world.hits(Fault::Stuck) {
            tokio::time::sleep(millis(LONGEST)).await;
            return Err(retryable("silent", true, true));
        }
        if self.first() && world.hits(Fault::Outage) || world.hits(Fault::Unreachable) {
            return Err(retryable("unreachable", false, true));
        }
        if self.first() && world.hits(Fault::Systemic) {
            return Err(SinkError::Systemic {
                code: "no_such_field".to_owned(),
                remedy: "create it".to_owned(),
            });
        }
        if world.hits(Fault::Throttled) {
            return Err(SinkError::Throttled {
                code: "limit".to_owned(),
                pause: Duration::from_secs(1),
            });
        }
        if world.hits(Fault::Timeout) {
            let sent = world.now();
            may_land(&mut world.lock(), self.kind, rows, sent);
            world.pause(200).await;
            return Err(retryable("timeout", true, true));
        }
        Ok(())
    }

    fn row(&self, row: &Row) -> Answer {
        let world = &self.host;
        let key = (row.uri.clone(), row.content_time);
        let calm = world.lock().calm;
        let poisoned = !calm && world.lock().targets[&self.kind].poison.contains(&key);
        if poisoned || world.hits(Fault::Poison) {
            let mut state = world.lock();
            state
                .targets
                .get_mut(&self.kind)
                .unwrap()
                .poison
                .insert(key);
            return Err(SinkError::Rejected {
                code: "invalid".to_owned(),
                fields: Vec::new(),
                action: "write",
            });
        }
        let cursed = !calm && world.lock().targets[&self.kind].cursed.contains(&key);
        if cursed || world.hits(Fault::Cursed) {
            let mut state = world.lock();
            let target = state.targets.get_mut(&self.kind).unwrap();
            target.cursed.insert(key);
            return Err(retryable("connection_lost", true, true));
        }
        if world.hits(Fault::RowBusy) {
            return Err(retryable("row_locked", false, false));
        }
        let mut state = world.lock();
        land(&mut state, self.kind);
        world.wrote(&mut state, world.life, self.kind, &row.uri);
        Ok(apply(&mut state, self.kind, row))
    }
}

pub(crate) fn retryable(code: &str, ambiguous: bool, outage: bool) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous,
        outage,
    }
}

impl Requests {
    async fn send(&self, rows: Vec<Row>) -> Vec<Answer> {
        self.host.pause(self.host.plan.slow).await;
        if self.host.kills(self.kind, &rows) {
            std::future::pending::<()>().await;
        }
        if let Err(error) = self.request(&rows).await {
            return rows.iter().map(|_| Err(error.clone())).collect();
        }
        let mut wire = OnWire {
            requests: self,
            rows,
            sent: self.host.now(),
            over: false,
        };
        self.host.wire(self.host.plan.slow).await;
        wire.over = true;
        let answers: Vec<Answer> = wire.rows.iter().map(|row| self.row(row)).collect();
        {
            let mut state = self.host.lock();
            let target = state.targets.get_mut(&self.kind).unwrap();
            for (row, _) in wire
                .rows
                .iter()
                .zip(&answers)
                .filter(|(_, answer)| answer.is_err())
            {
                target.refused.insert((row.uri.clone(), row.content_time));
            }
        }
        self.host.pause(self.host.plan.slow).await;
        if self.host.hits(Fault::AnswerLost) {
            return answers
                .iter()
                .map(|_| Err(retryable("reset", true, true)))
                .collect();
        }
        answers
    }
}

/// The sink in front of a target.
#[derive(Debug)]
pub(crate) struct SimSink {
    host: Arc<Host>,
    kind: Kind,
    requests: Requests,
}

impl SimSink {
    pub(crate) fn new(host: &Arc<Host>, kind: Kind) -> Self {
        let requests = Requests {
            host: Arc::clone(host),
            kind,
        };
        Self {
            host: Arc::clone(host),
            kind,
            requests,
        }
    }

    fn acknowledge(&self, row: &Row, effect: Effect) {
        self.host.acknowledge(self.kind, row, effect);
    }
}

impl World {
    /// A sink is about to say that it took a row.
    pub(crate) fn acknowledge(&self, life: u64, kind: Kind, row: &Row, effect: Effect) {
        let mut state = self.lock();
        state.note(|| {
            format!(
                "{} acknowledged {} moment {} {effect:?}",
                kind.name(),
                row.uri,
                row.seq
            )
        });
        let target = state.targets.get_mut(&kind).unwrap();
        if row.state.is_none() {
            return;
        }
        target
            .acknowledged
            .insert((row.uri.clone(), row.content_time));
        let done = target.done.entry(row.uri.clone()).or_default();
        *done = row.seq.max(*done);
        let whole = kind == Kind::Guarded && !row.partial && effect == Effect::Delivered;
        if let Some(version) = row.version.filter(|_| whole) {
            let key = (life, row.uri.clone(), version, row.content_time);
            if !target.once.insert(key.clone()) {
                state.violate("G5", || format!("{} was given {key:?} twice", kind.name()));
            }
        }
    }
}

#[async_trait]
impl Sink for SimSink {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reassert_after: (self.kind == Kind::Unguarded).then(|| millis(LONGEST)),
            rows: 4,
            batches: 3,
            linger: Duration::from_millis(5),
            ..Capabilities::new(mode(self.kind))
        }
    }

    fn accepts(&self, _: &Subject, _: &str, _: EventKind) -> bool {
        true
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let _sending = self.host.sends(self.kind, batch);
        let rows: Vec<Row> = batch.iter().map(|write| self.host.row_of(write)).collect();
        let answers = self.requests.send(rows.clone()).await;
        let acks = rows.iter().zip(answers).map(|(row, answer)| {
            let effect = answer?;
            self.acknowledge(row, effect);
            Ok(Ack {
                effect,
                second_look: false,
                read: None,
            })
        });
        acks.collect()
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}
