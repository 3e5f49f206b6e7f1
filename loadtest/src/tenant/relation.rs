//! Relations between entities. Their ends follow merges: a loser's relations move to the winner,
//! and go back when it is split off again.

use rand_chacha::ChaCha8Rng;

use super::event_type::EventType;
use super::history::ObjectState;
use super::json;
use super::notes::Commit;
use super::words::{self, id, pick};
use super::world::World;
use crate::time::Millis;

/// A living relation. `home` are the ends it was made with, `ends` those it has now.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) uri: String,
    pub(super) title: String,
    pub(super) created: Millis,
    pub(super) updated: Millis,
    home: (String, String),
    ends: (String, String),
}

impl Relation {
    fn new(uri: String, ends: (String, String), at: Millis, rng: &mut ChaCha8Rng) -> Self {
        Self {
            uri,
            title: pick(rng, &words::TITLE).to_owned(),
            created: at,
            updated: at,
            home: ends.clone(),
            ends,
        }
    }
}

impl World {
    /// Makes a relation between two living entities; its URI, or nothing if there are no such two.
    pub fn relate(&mut self, at: Millis, start: &str, end: &str) -> Option<String> {
        if start == end || !self.lives(start) || !self.lives(end) {
            return None;
        }
        let commit = self.commit(at);
        let uri = format!("relations/{}", id(&mut self.rng, 7));
        let ends = (start.to_owned(), end.to_owned());
        let relation = Relation::new(uri.clone(), ends, commit.time, &mut self.rng);
        self.put_relation(commit, relation, EventType::RelationCreated);
        Some(uri)
    }

    /// Changes a living relation's attribute; false if there is none.
    pub fn change_relation(&mut self, at: Millis, uri: &str) -> bool {
        let Some(mut relation) = self.relations.get(uri).cloned() else {
            return false;
        };
        let commit = self.commit(at);
        let other = |title: &&&str| **title != relation.title;
        let titles: Vec<&str> = words::TITLE.iter().filter(other).copied().collect();
        pick(&mut self.rng, &titles).clone_into(&mut relation.title);
        relation.updated = commit.time;
        self.put_relation(commit, relation, EventType::RelationChanged);
        true
    }

    /// Removes a living relation; false if there is none.
    pub fn unrelate(&mut self, at: Millis, uri: &str) -> bool {
        if !self.relations.contains_key(uri) {
            return false;
        }
        let commit = self.commit(at);
        self.drop_relation(commit, uri);
        true
    }

    /// Moves the ends of relations to where their entities are now. One whose end is gone, or
    /// whose ends became one, is removed.
    pub(super) fn follow_merges(&mut self, commit: Commit) {
        let uris: Vec<String> = self.relations.keys().cloned().collect();
        for uri in uris {
            let Some(relation) = self.relations.get(&uri) else {
                continue;
            };
            let start = self.resolve(&relation.home.0);
            let end = self.resolve(&relation.home.1);
            match start.zip(end).filter(|(start, end)| start != end) {
                None => self.drop_relation(commit, &uri),
                Some(ends) if ends == relation.ends => {}
                Some(ends) => {
                    let mut moved = relation.clone();
                    moved.ends = ends;
                    moved.updated = commit.time;
                    self.put_relation(commit, moved, EventType::RelationChanged);
                }
            }
        }
    }

    fn put_relation(&mut self, commit: Commit, relation: Relation, event: EventType) {
        let ends = (
            self.entities.get(&relation.ends.0),
            self.entities.get(&relation.ends.1),
        );
        let (Some(start), Some(end)) = ends else {
            return;
        };
        let object = json::relation(&relation, start, end);
        let uri = relation.uri.clone();
        self.relations.insert(uri.clone(), relation);
        let moment = self.now_is(commit, &uri, ObjectState::Alive(object.into()));
        self.happened(commit, event, moment, Vec::new());
    }

    fn drop_relation(&mut self, commit: Commit, uri: &str) {
        self.relations.remove(uri);
        let moment = self.now_is(commit, uri, ObjectState::Removed);
        self.happened(commit, EventType::RelationRemoved, moment, Vec::new());
    }
}
