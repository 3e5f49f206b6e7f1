//! Merges and unmerges: the winner takes the loser's crosswalks, values and relations; split off
//! again, the loser gets them back, changed as they may be by then.

use std::mem;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::entity::Entity;
use super::event_type::EventType;
use super::history::ObjectState;
use super::notes::Change;
use super::truth::Merge;
use super::world::{Loss, World};
use crate::time::Millis;

impl World {
    /// Merges two living entities of one type; false if they are not.
    ///
    /// Events, as Reltio sends them: changed and merged for the winner, lost for the loser.
    pub fn merge(&mut self, at: Millis, winner: &str, loser: &str) -> bool {
        let kind = self.kind(winner);
        if winner == loser || kind.is_none() || kind != self.kind(loser) {
            return false;
        }
        let Some(mut gone) = self.entities.remove(loser) else {
            return false;
        };
        let Some(mut won) = self.entities.get(winner).cloned() else {
            return false;
        };
        let commit = self.commit(at);
        let links = gone.links.iter().map(|link| link.id.clone()).collect();
        won.links.append(&mut gone.links);
        won.values.append(&mut gone.values);
        won.updated = commit.time;
        let loss = Loss {
            winner: winner.to_owned(),
            shell: gone,
            links,
        };
        self.lost.insert(loser.to_owned(), loss);
        self.merges.push(Merge {
            winner: winner.to_owned(),
            loser: loser.to_owned(),
            commit_time: commit.time,
            active: true,
        });

        let change = self.put(commit, won);
        let merged = again(&change);
        let by = winner.to_owned();
        let absorbed = self.now_is(commit, loser, ObjectState::Absorbed { by });
        let uris = self.participants(winner, loser);
        self.happened(commit, EventType::Changed, change, Vec::new());
        self.happened(commit, EventType::Merged, merged, uris);
        self.happened(commit, EventType::LostMerge, absorbed, Vec::new());
        self.follow_merges(commit);
        true
    }

    /// Splits `loser` off the entity that it was merged into; false if it was not, or if that one
    /// does not live under its own URI now.
    ///
    /// Events, as Reltio sends them: split and changed for the origin, created for the spawn.
    pub fn unmerge(&mut self, at: Millis, loser: &str) -> bool {
        let origin = self.lost.get(loser).map(|loss| loss.winner.clone());
        let origin = origin.and_then(|winner| self.entities.get(&winner).cloned());
        let Some(mut origin) = origin else {
            return false;
        };
        let Some(loss) = self.lost.remove(loser) else {
            return false;
        };
        let commit = self.commit(at);
        let mut spawn = Entity {
            updated: commit.time,
            ..loss.shell
        };
        let ours = mem::take(&mut origin.links).into_iter();
        (spawn.links, origin.links) = ours.partition(|link| loss.links.contains(&link.id));
        let ours = mem::take(&mut origin.values).into_iter();
        (spawn.values, origin.values) = ours.partition(|value| loss.links.contains(&value.link));
        origin.updated = commit.time;
        let ended = self
            .merges
            .iter_mut()
            .rfind(|merge| merge.active && merge.loser == loser);
        if let Some(merge) = ended {
            merge.active = false;
        }

        let uris = vec![origin.uri.clone(), loser.to_owned()];
        let change = self.put(commit, origin);
        let split = again(&change);
        let spawned = self.put(commit, spawn);
        self.happened(commit, EventType::Split, split, uris);
        self.happened(commit, EventType::Changed, change, Vec::new());
        self.happened(commit, EventType::Created, spawned, Vec::new());
        self.follow_merges(commit);
        true
    }

    /// `uris` of a merge: all participants in any order, or, by Reltio's `OpenAPI` files, the loser.
    fn participants(&mut self, winner: &str, loser: &str) -> Vec<String> {
        let mut uris = vec![loser.to_owned()];
        if self.rng.random_bool(0.8) {
            uris.push(winner.to_owned());
            uris.shuffle(&mut self.rng);
        }
        uris
    }
}

/// A second event of the same change.
fn again(change: &Change) -> Change {
    Change {
        subject: change.subject.clone(),
        version: change.version,
        before: None,
        after: None,
    }
}
