//! The verdict: every target against the tenant's truth, subject by subject.

use std::collections::BTreeSet;

use super::plan::{Kind, keeps_rows};
use super::row::members;
use super::script::Truth;
use super::target::{Held, land};
use super::world::{State, World};

/// Compares every target with the truth. Everything must be through.
pub(crate) fn judge(world: &World) {
    let letters = world.letter_names();
    let mut state = world.lock();
    let malformed = world
        .emissions
        .iter()
        .filter(|emission| emission.malformed)
        .count();
    let open = letters
        .iter()
        .filter(|letter| !letter.starts_with("ingest/"))
        .count();
    if open > 0 {
        state.violate("liveness", || {
            format!("letters stay open though nothing fails: {letters:?}")
        });
    }
    if letters.len() - open > malformed {
        state.violate("liveness", || {
            format!("{malformed} messages are malformed, and these letters are open: {letters:?}")
        });
    }
    for kind in world.plan.sinks.clone() {
        if kind == Kind::Crm {
            super::crm::land(&mut state, world.plan.guarded);
            if let Some(why) = super::crm::differs(world, &state) {
                state.violate("G9", || format!("crm: {why}"));
            }
            continue;
        }
        land(&mut state, kind);
        if kind != Kind::Pieces {
            for uri in world.script.past.keys() {
                compare(world, &mut state, kind, uri);
            }
        }
        if keeps_rows(kind) {
            rows(world, &mut state, kind);
        }
    }
}

fn compare(world: &World, state: &mut State, kind: Kind, uri: &str) {
    let target = &state.targets[&kind];
    let held = target.held.get(uri).cloned();
    let highest = target.highest.get(uri).copied().unwrap_or(0);
    let Some(held) = held else {
        state.violate("G9", || format!("{} has nothing of {uri}", kind.name()));
        return;
    };
    if let Some(why) = differs(world, uri, &held) {
        // What was there and is not any more went back; what never came was not converged on.
        let oracle = if held.seq < highest { "G4" } else { "G9" };
        state.violate(oracle, || {
            format!(
                "{} holds of {uri} moment {} ({}): {why}",
                kind.name(),
                held.seq,
                held.state
            )
        });
    }
}

fn differs(world: &World, uri: &str, held: &Held) -> Option<String> {
    let last = world.script.last(uri)?;
    let mut past = world.script.past[uri].iter();
    // An erasure stands, whatever a later read says of what is not there any more.
    let was_erased = past.any(|moment| matches!(moment.truth, Truth::Erased));
    match &last.truth {
        Truth::Alive(object) => {
            if held.state != "alive" {
                return Some(format!("it lives (moment {})", last.seq));
            }
            let truth = members(object);
            let wrong = truth
                .iter()
                .find(|(name, value)| held.members.get(*name) != Some(value));
            wrong.map(|(name, value)| {
                format!(
                    "{name} is {value} (moment {}), not {:?}",
                    last.seq,
                    held.members.get(name)
                )
            })
        }
        Truth::Absorbed { .. } => {
            // Whom a read named survives as long as no event tells otherwise: what becomes of a
            // winner later is no event of the loser.
            let times = world.script.past.values().flatten().map(|moment| moment.at);
            let since = times.filter(|at| *at >= last.at);
            let chain: BTreeSet<String> = since
                .flat_map(|at| world.script.survivor(uri, at).0)
                .collect();
            let died = chain.iter().any(|winner| world.script.has_died(winner));
            let by = held.state.strip_prefix("absorbed by ");
            let right = by.is_some_and(|by| by == "?" || chain.iter().any(|winner| winner == by));
            let dead = held.state == "gone" || held.state == "erased" && was_erased;
            let right = right || died && dead;
            (!right).then(|| format!("it was absorbed by {chain:?}"))
        }
        Truth::Removed | Truth::Erased => {
            let right = match held.state.as_str() {
                "gone" => true,
                "removed" => matches!(last.truth, Truth::Removed),
                "erased" => was_erased,
                _ => false,
            };
            (!right).then(|| format!("it was removed (moment {})", last.seq))
        }
    }
}

/// One row for every distinct change that came whole with both clocks, and none that never was.
fn rows(world: &World, state: &mut State, kind: Kind) {
    let true_rows: BTreeSet<_> = world
        .script
        .past
        .iter()
        .flat_map(|(uri, past)| {
            past.iter()
                .map(move |moment| (uri.clone(), moment.version, moment.commit_time))
        })
        .collect();
    let held: BTreeSet<_> = state.targets[&kind].rows.keys().cloned().collect();
    if let Some(row) = held.iter().find(|row| !true_rows.contains(*row)) {
        state.violate("G5", || {
            format!("{} holds {row:?}, which never was", kind.name())
        });
    }
    let mut copies = state.targets[&kind].copies.iter();
    let twice = copies.find(|(_, count)| **count > 1);
    if let Some((row, count)) = twice.map(|(row, count)| (row.clone(), *count)) {
        state.violate("G5", || {
            format!("{} has {row:?} {count} times", kind.name())
        });
    }
    let sent = world
        .emissions
        .iter()
        .filter_map(|emission| emission.row.clone());
    for row in sent {
        if !held.contains(&row) {
            state.violate("G2", || format!("{} has no row {row:?}", kind.name()));
        }
    }
}
