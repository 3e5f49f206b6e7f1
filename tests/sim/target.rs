//! Targets: what each sink's outside system holds.
//!
//! What is on the wire when the process dies may land, and so may what timed out.

use std::collections::{BTreeMap, BTreeSet};

use goldwire::sink::Effect;
use goldwire::time::Millis;
use rand::RngExt as _;
use serde_json::Value;

use super::plan::{Kind, LONGEST};
use super::row::Row;
use super::script::Script;
use super::world::State;

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

/// What one outside system holds.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) held: BTreeMap<String, Held>,
    pub(crate) rows: BTreeMap<(String, i64, Millis), u32>,
    /// Pieces by name, each with whether it has rows: one without was made by a recovery.
    pub(crate) pieces: BTreeMap<String, bool>,
    /// Pieces sealed so far.
    pub(crate) sealed: u64,
    /// Rows of pieces, each with whether it was only read.
    pub(crate) copies: BTreeMap<((String, i64, Millis), bool), u32>,
    /// What the sink acknowledged: subjects, and the times that their states stand for.
    pub(crate) acknowledged: BTreeSet<(String, Millis)>,
    /// The highest moment acknowledged, and the highest ever written, by subject.
    pub(super) done: BTreeMap<String, u64>,
    pub(crate) highest: BTreeMap<String, u64>,
    /// Writes that will land by themselves.
    late: Vec<(Millis, Row)>,
    pub(super) poison: BTreeSet<(String, Millis)>,
    pub(super) cursed: BTreeSet<(String, Millis)>,
    /// Rows that were refused while others of their request were taken (G7).
    pub(crate) refused: BTreeSet<(String, Millis)>,
    /// Whole states acknowledged, by life, subject and clocks (G5).
    pub(super) once: BTreeSet<(u64, String, i64, Millis)>,
}

impl Target {
    pub(crate) fn new(_: &Script) -> Self {
        Self::default()
    }

    pub(crate) fn reached(&self, uri: &str) -> u64 {
        self.done.get(uri).copied().unwrap_or(0)
    }

    /// What a life delivered once it may deliver once more.
    pub(crate) fn reborn(&mut self, life: u64) {
        self.once.retain(|(of, ..)| *of != life);
    }

    /// Makes a piece, unless there is one of its name.
    fn makes(&mut self, piece: &Row) -> bool {
        if self.pieces.contains_key(&piece.uri) {
            return false;
        }
        let has_rows = !piece.rows.is_empty();
        self.pieces.insert(piece.uri.clone(), has_rows);
        for (row, observed) in piece.rows.iter().zip(&piece.observed) {
            *self.copies.entry((row.clone(), *observed)).or_default() += 1;
        }
        true
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

/// Rows whose request no one waits for any more: they land within the longest request since they
/// were `sent`, or never.
pub(crate) fn may_land(state: &mut State, kind: Kind, rows: &[Row], sent: Millis) {
    for row in rows {
        if state.rng.random_bool(0.6) {
            // Some at once, some at the last moment.
            let longest = if state.rng.random() { LONGEST } else { 200 };
            let due = sent + longest - state.rng.random_range(0..200);
            state
                .targets
                .get_mut(&kind)
                .unwrap()
                .late
                .push((due, row.clone()));
        }
    }
}

pub(super) fn apply(state: &mut State, kind: Kind, row: &Row) -> Effect {
    let target = state.targets.get_mut(&kind).unwrap();
    if kind == Kind::Pieces && !target.makes(row) {
        return Effect::Stale;
    }
    for key in &row.rows {
        *target.rows.entry(key.clone()).or_default() += 1;
    }
    let Some(word) = &row.state else {
        return Effect::Delivered;
    };
    let guarded = kind != Kind::Unguarded;
    let held = target.held.entry(row.uri.clone()).or_default();
    if guarded && row.content_time < held.guard {
        return Effect::Stale;
    }
    let before = held.seq;
    // Two processes that read Reltio in the same second have the same time for what they read: the
    // guard takes either after the other, until the owner reads again. docs/guarantees.md says so.
    let tied = row.content_time == held.guard && row.content_time % 1000 == 0;
    held.state.clone_from(word);
    if !row.partial {
        held.members.clear();
    }
    held.members.extend(row.members.clone());
    held.guard = row.content_time;
    held.seq = row.seq;
    let highest = target.highest.entry(row.uri.clone()).or_default();
    *highest = row.seq.max(*highest);
    state.note(|| {
        format!(
            "{} holds {} moment {} as {word} guard {}",
            kind.name(),
            row.uri,
            row.seq,
            row.content_time
        )
    });
    if guarded && row.seq < before && !tied {
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
