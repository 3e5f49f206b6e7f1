//! What an operation leaves behind: the subject's next moment, its crosswalks' owner, its events.

use std::sync::Arc;

use serde_json::Value;

use super::entity::{Entity, SALESFORCE_SOURCE};
use super::event_type::EventType;
use super::history::{Moment, ObjectState};
use super::json;
use super::words::pick;
use super::world::{Happening, World};
use crate::time::Millis;

/// When an operation was done: truly, and by its node's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Commit {
    pub(super) at: Millis,
    pub(super) time: Millis,
    pub(super) turn: u64,
}

/// A change of one subject's state.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) subject: String,
    pub(super) version: i64,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

impl World {
    /// Stamps an operation by the clock of one of the nodes.
    pub(super) fn commit(&mut self, at: Millis) -> Commit {
        self.turn += 1;
        let node = pick(&mut self.rng, &self.nodes);
        Commit {
            at,
            time: at + node,
            turn: self.turn,
        }
    }

    /// Stores a living entity's new state.
    pub(super) fn put(&mut self, commit: Commit, entity: Entity) -> Change {
        for link in &entity.links {
            let uri = Some(entity.uri.clone());
            if self.owned(commit, link.source, &link.value, uri) && link.source == SALESFORCE_SOURCE
            {
                self.salesforce
                    .push((link.value.clone(), entity.uri.clone()));
            }
        }
        let object = Arc::new(json::entity(&entity));
        let uri = entity.uri.clone();
        self.entities.insert(uri.clone(), entity);
        self.now_is(commit, &uri, ObjectState::Alive(object))
    }

    /// Notes whose a crosswalk is from now on; true if it is new.
    pub(super) fn owned(
        &mut self,
        commit: Commit,
        source: &str,
        value: &str,
        by: Option<String>,
    ) -> bool {
        let key = (source.to_owned(), value.to_owned());
        let owners = self.tenant.crosswalks.entry(key).or_default();
        if owners.last().is_some_and(|(_, owner)| *owner == by) {
            return false;
        }
        owners.push((commit.at, by));
        owners.len() == 1
    }

    /// Notes what a subject is from now on.
    pub(super) fn now_is(&mut self, commit: Commit, uri: &str, state: ObjectState) -> Change {
        let alive = |state: &ObjectState| match state {
            ObjectState::Alive(object) => Some(Arc::clone(object)),
            ObjectState::Absorbed { .. } | ObjectState::Removed | ObjectState::Erased => None,
        };
        let moments = self.tenant.past.entry(uri.to_owned()).or_default();
        let before = moments.last();
        let version = before.map_or(1, |last| last.version + 1);
        let change = Change {
            subject: uri.to_owned(),
            version,
            before: before.and_then(|last| alive(&last.state)),
            after: alive(&state),
        };
        moments.push(Moment {
            at: commit.at,
            version,
            commit_time: commit.time,
            state,
        });
        change
    }

    /// Notes an event of `change`.
    pub(super) fn happened(
        &mut self,
        commit: Commit,
        event: EventType,
        change: Change,
        uris: Vec<String>,
    ) {
        self.happenings.push(Happening {
            event,
            subject: change.subject,
            at: commit.at,
            version: change.version,
            commit_time: commit.time,
            before: change.before,
            after: change.after,
            uris,
        });
    }
}
