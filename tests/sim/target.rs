//! Targets: what each sink's outside system holds, and the sink in front of it.
//!
//! Writes go through the product's own batches, so that a request has rows and each row an answer
//! (G7). What is on the wire when the process dies may land, and so may what timed out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind as EventKind, Object, Subject, SubjectState};
use goldwire::sink::batch::{Batcher, SendRows, Shape};
use goldwire::sink::{Declaration, Delivered, Delivery, Effect, Sink, SinkError};
use goldwire::time::Millis;
use rand::RngExt as _;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::disk::mode;
use super::fault::Fault;
use super::plan::{Kind, LONGEST};
use super::script::{Moment, Script, Truth};
use super::world::{Dropped, State, World, millis};

/// What a target holds of one subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// `alive`, `absorbed by …`, `removed`, `erased`, `gone`.
    pub(crate) state: String,
    /// Members of the object.
    pub(crate) members: BTreeMap<String, Value>,
    pub(crate) guard: Millis,
    /// The moment that it stands for.
    pub(crate) seq: u64,
}

/// One write.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) uri: String,
    pub(crate) state: Option<String>,
    members: BTreeMap<String, Value>,
    partial: bool,
    pub(crate) stands_for: Millis,
    version: Option<i64>,
    pub(crate) seq: u64,
    rows: Vec<(String, i64, Millis)>,
}

/// What one outside system holds.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) held: BTreeMap<String, Held>,
    pub(crate) rows: BTreeMap<(String, i64, Millis), u32>,
    /// What the sink acknowledged: subjects, and the times that their states stand for.
    pub(crate) acknowledged: BTreeSet<(String, Millis)>,
    /// The highest moment acknowledged, and the highest ever written, by subject.
    done: BTreeMap<String, u64>,
    pub(crate) highest: BTreeMap<String, u64>,
    /// Writes that will land by themselves.
    late: Vec<(Millis, Row)>,
    poison: BTreeSet<(String, Millis)>,
    cursed: BTreeSet<(String, Millis)>,
    /// Rows that were refused while others of their request were taken (G7).
    pub(crate) refused: BTreeSet<(String, Millis)>,
    /// Whole states acknowledged in this life, by subject and clocks (G5).
    once: BTreeSet<(String, i64, Millis)>,
}

impl Target {
    pub(crate) fn new(_: &Script) -> Self {
        Self::default()
    }

    pub(crate) fn reached(&self, uri: &str) -> u64 {
        self.done.get(uri).copied().unwrap_or(0)
    }

    /// A new life: what was delivered once may be delivered once more.
    pub(crate) fn reborn(&mut self) {
        self.once.clear();
    }

    /// When the last write that is on its way lands.
    pub(crate) fn last_late(&self) -> Option<Millis> {
        self.late.iter().map(|(due, _)| *due).max()
    }
}

/// Lands what is due.
pub(crate) fn land(state: &mut State, kind: Kind) {
    let now = state.now();
    let target = state.targets.get_mut(&kind).unwrap();
    let mut due: Vec<(Millis, Row)> = target.late.extract_if(.., |(due, _)| *due <= now).collect();
    due.sort_by_key(|(due, _)| *due);
    for (_, row) in due {
        state.note(|| format!("{} lands late: {} moment {}", kind.name(), row.uri, row.seq));
        apply(state, kind, &row);
    }
}

/// Rows whose request nobody waits for any more: they land within the longest request, or never.
pub(crate) fn may_land(state: &mut State, kind: Kind, rows: &[Row]) {
    for row in rows {
        if state.rng.random_bool(0.6) {
            // Some at once, some at the last moment.
            let longest = if state.rng.random() { LONGEST } else { 200 };
            let due = state.now() + longest - state.rng.random_range(0..200);
            state
                .targets
                .get_mut(&kind)
                .unwrap()
                .late
                .push((due, row.clone()));
        }
    }
}

fn apply(state: &mut State, kind: Kind, row: &Row) -> Effect {
    let target = state.targets.get_mut(&kind).unwrap();
    for key in &row.rows {
        *target.rows.entry(key.clone()).or_default() += 1;
    }
    let Some(word) = &row.state else {
        return Effect::Delivered;
    };
    let guarded = kind != Kind::Unguarded;
    let held = target.held.entry(row.uri.clone()).or_default();
    if guarded && row.stands_for < held.guard {
        return Effect::Stale;
    }
    let before = held.seq;
    held.state.clone_from(word);
    if !row.partial {
        held.members.clear();
    }
    held.members.extend(row.members.clone());
    held.guard = row.stands_for;
    held.seq = row.seq;
    let highest = target.highest.entry(row.uri.clone()).or_default();
    *highest = row.seq.max(*highest);
    state.note(|| {
        format!(
            "{} holds {} moment {} as {word} guard {}",
            kind.name(),
            row.uri,
            row.seq,
            row.stands_for
        )
    });
    if guarded && row.seq < before {
        state.violate("G4", || {
            format!(
                "{} went back from moment {before} of {} to {}",
                kind.name(),
                row.uri,
                row.seq
            )
        });
    }
    Effect::Delivered
}

/// A request on the wire: when the process dies, it may arrive.
struct OnWire<'a> {
    requests: &'a Requests,
    rows: Vec<Row>,
    over: bool,
}

impl Drop for OnWire<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.requests.world.lock().dropped.push(Dropped::Rows {
                kind: self.requests.kind,
                rows: std::mem::take(&mut self.rows),
            });
        }
    }
}

/// Requests to one target.
#[derive(Debug)]
struct Requests {
    world: Arc<World>,
    kind: Kind,
}

type Answer = Result<Effect, SinkError>;

impl Requests {
    /// Whether this sink is the one that windows are about.
    fn first(&self) -> bool {
        self.world.plan.sinks.first() == Some(&self.kind)
    }

    /// What happens to a request as a whole.
    async fn request(&self, rows: &[Row]) -> Result<(), SinkError> {
        let world = &self.world;
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
            may_land(&mut world.lock(), self.kind, rows);
            world.pause(200).await;
            return Err(retryable("timeout", true, true));
        }
        Ok(())
    }

    fn row(&self, row: &Row) -> Answer {
        let world = &self.world;
        let key = (row.uri.clone(), row.stands_for);
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

#[async_trait]
impl SendRows<Row, Answer> for Requests {
    async fn send(&self, rows: Vec<Row>) -> Vec<Answer> {
        self.world.pause(self.world.plan.slow).await;
        if let Err(error) = self.request(&rows).await {
            return rows.iter().map(|_| Err(error.clone())).collect();
        }
        let mut wire = OnWire {
            requests: self,
            rows,
            over: false,
        };
        self.world.pause(self.world.plan.slow).await;
        wire.over = true;
        let answers: Vec<Answer> = wire.rows.iter().map(|row| self.row(row)).collect();
        {
            let mut state = self.world.lock();
            let target = state.targets.get_mut(&self.kind).unwrap();
            for (row, _) in wire
                .rows
                .iter()
                .zip(&answers)
                .filter(|(_, answer)| answer.is_err())
            {
                target.refused.insert((row.uri.clone(), row.stands_for));
            }
        }
        self.world.pause(self.world.plan.slow).await;
        if self.world.hits(Fault::AnswerLost) {
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
    world: Arc<World>,
    kind: Kind,
    batches: Batcher<Row, Answer>,
}

impl SimSink {
    pub(crate) fn new(world: &Arc<World>, kind: Kind) -> Self {
        world.lock().targets.get_mut(&kind).unwrap().reborn();
        let requests = Requests {
            world: Arc::clone(world),
            kind,
        };
        let shape = Shape {
            linger: Duration::from_millis(5),
            largest: 4,
        };
        Self {
            world: Arc::clone(world),
            kind,
            batches: Batcher::new(shape, Arc::new(Semaphore::new(3)), requests),
        }
    }

    fn acknowledge(&self, row: &Row, effect: Effect) {
        self.world.acknowledge(self.kind, row, effect);
    }
}

impl World {
    /// A sink is about to say that it took a row.
    pub(crate) fn acknowledge(&self, kind: Kind, row: &Row, effect: Effect) {
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
            .insert((row.uri.clone(), row.stands_for));
        let done = target.done.entry(row.uri.clone()).or_default();
        *done = row.seq.max(*done);
        let whole = kind == Kind::Guarded && !row.partial && effect == Effect::Delivered;
        if let Some(version) = row.version.filter(|_| whole) {
            let key = (row.uri.clone(), version, row.stands_for);
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

    fn declares(&self) -> Declaration {
        Declaration {
            mode: mode(self.kind),
            reassert_after: (self.kind == Kind::Unguarded).then(|| millis(LONGEST)),
            dedupe: None,
        }
    }

    fn wants(&self, _: &Subject, _: &str, _: EventKind) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Delivered, SinkError> {
        let row = self.world.row_of(delivery);
        let key = row.uri.clone();
        let answer = self.batches.submit(key, row.clone()).await;
        let effect = answer.unwrap_or_else(|| Err(retryable("no_answer", true, true)))?;
        self.acknowledge(&row, effect);
        Ok(Delivered {
            effect,
            second_look: false,
            read: None,
        })
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}

impl World {
    pub(crate) fn row_of(&self, delivery: &Delivery) -> Row {
        let uri = delivery.subject.uri().to_owned();
        let mut row = Row {
            state: None,
            members: BTreeMap::new(),
            partial: false,
            stands_for: 0,
            version: None,
            seq: 0,
            rows: delivery
                .changes
                .iter()
                .map(|change| (uri.clone(), change.version, change.commit_time))
                .collect(),
            uri,
        };
        if let Some(current) = &delivery.current {
            row.state = Some(word(&current.state));
            row.partial = current.fields.is_some();
            row.stands_for = current.stands_for;
            row.version = current.version;
            row.seq = self.moment_of(&row.uri, &current.state, current.stands_for);
            if let SubjectState::Alive(object) = &current.state {
                row.members = members(object);
                if let Some(fields) = &current.fields {
                    row.members.retain(|name, _| fields.contains(name));
                }
            }
        }
        row
    }

    /// The moment that a state stands for.
    fn moment_of(&self, uri: &str, state: &SubjectState, stands_for: Millis) -> u64 {
        let Some(past) = self.script.past.get(uri) else {
            return 0;
        };
        let fits = past.iter().filter(|moment| match (&moment.truth, state) {
            (Truth::Alive(object), SubjectState::Alive(given)) => text(object) == text(given),
            (truth, state) => !truth.is_alive() && !state.is_alive(),
        });
        let fits: Vec<_> = fits.collect();
        // A payload stands for its own change; what was read, for the latest before its `Date`,
        // whose second is rounded down.
        let told = |moment: &&&Moment| moment.commit_time == stands_for && !moment.restored;
        let exact = fits.iter().find(told);
        let before = |moment: &&&Moment| moment.at <= stands_for + 1000;
        let read = fits.iter().rev().find(before);
        exact.or(read).map_or(0, |moment| moment.seq)
    }
}

pub(crate) fn members(object: &Object) -> BTreeMap<String, Value> {
    let members = object.json().as_object().into_iter().flatten();
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn text(object: &Object) -> Option<&str> {
    object
        .json()
        .pointer("/attributes/FirstName/0/value")?
        .as_str()
}

/// A state in a word.
pub(crate) fn word(state: &SubjectState) -> String {
    match state {
        SubjectState::Alive(_) => "alive".to_owned(),
        SubjectState::Absorbed { by } => format!("absorbed by {}", by.as_deref().unwrap_or("?")),
        SubjectState::Removed => "removed".to_owned(),
        SubjectState::Erased => "erased".to_owned(),
        SubjectState::Gone => "gone".to_owned(),
    }
}

pub(crate) fn truth_word(truth: &Truth) -> String {
    match truth {
        Truth::Alive(object) => text(object).unwrap_or_default().to_owned(),
        Truth::Absorbed { by } => format!("absorbed by {by}"),
        Truth::Removed => "removed".to_owned(),
        Truth::Erased => "erased".to_owned(),
    }
}
