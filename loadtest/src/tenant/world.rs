//! The tenant while its script is written: operations as Reltio does them, and what each causes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::entity::{Entity, EntityType, SALESFORCE_SOURCE};
use super::event_type::EventType;
use super::history::{ObjectState, Tenant};
use super::notes::Commit;
use super::relation::Relation;
use super::truth::Merge;
use super::words::{id, pick};
use crate::time::Millis;

/// An event that Reltio sends, before it is put into any form.
#[derive(Debug, Clone)]
pub struct Happening {
    /// What happened.
    pub event: EventType,
    /// Whom the event is sent for.
    pub subject: String,
    /// The true time, ms.
    pub at: Millis,
    /// The subject's `objectVersion`.
    pub version: i64,
    /// The operation's `commitTime`, ms.
    pub commit_time: Millis,
    /// The snapshot before, if it lived.
    pub before: Option<Arc<Value>>,
    /// The snapshot after, if it lives.
    pub after: Option<Arc<Value>>,
    /// `uris` of a merge or a split.
    pub uris: Vec<String>,
}

/// What a loser left behind: whom it was merged into, and what has to come back with it.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) winner: String,
    pub(super) shell: Entity,
    pub(super) links: BTreeSet<String>,
}

/// A tenant whose script is being written. Times must not decrease from call to call.
#[derive(Debug)]
pub struct World {
    pub(super) rng: ChaCha8Rng,
    pub(super) entities: BTreeMap<String, Entity>,
    pub(super) lost: BTreeMap<String, Loss>,
    pub(super) relations: BTreeMap<String, Relation>,
    pub(super) merges: Vec<Merge>,
    pub(super) tenant: Tenant,
    pub(super) happenings: Vec<Happening>,
    pub(super) salesforce: Vec<(String, String)>,
    pub(super) nodes: Vec<Millis>,
    pub(super) turn: u64,
}

impl World {
    /// An empty tenant. Its nodes' clocks are apart by less than `skew` ms.
    pub fn new(name: &str, seed: u64, skew: Millis) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let half = (skew / 2 - 1).max(0);
        let nodes = (0..3).map(|_| rng.random_range(-half..=half)).collect();
        Self {
            rng,
            entities: BTreeMap::new(),
            lost: BTreeMap::new(),
            relations: BTreeMap::new(),
            merges: Vec::new(),
            tenant: Tenant {
                name: name.to_owned(),
                ..Tenant::default()
            },
            happenings: Vec::new(),
            salesforce: Vec::new(),
            nodes,
            turn: 0,
        }
    }

    /// Makes an entity, known to Salesforce or not; its URI.
    pub fn create(&mut self, at: Millis, kind: EntityType, salesforce: bool) -> String {
        let commit = self.commit(at);
        let mut uri = format!("entities/{}", id(&mut self.rng, 7));
        while self.tenant.past.contains_key(&uri) {
            uri = format!("entities/{}", id(&mut self.rng, 7));
        }
        let mut entity = Entity {
            uri: uri.clone(),
            kind,
            created: commit.time,
            updated: commit.time,
            links: Vec::new(),
            values: Vec::new(),
        };
        entity.link("Reltio", &mut self.rng, at, commit.turn);
        if salesforce {
            entity.link(SALESFORCE_SOURCE, &mut self.rng, at, commit.turn);
        }
        if !salesforce || self.rng.random_bool(0.3) {
            let source = pick(&mut self.rng, &["SAP", "WEB"]);
            entity.link(source, &mut self.rng, at, commit.turn);
        }
        let change = self.put(commit, entity);
        self.happened(commit, EventType::Created, change, Vec::new());
        uri
    }

    /// Changes a value of a living entity; false if there is none.
    pub fn update(&mut self, at: Millis, uri: &str) -> bool {
        self.edit(at, uri, |entity, rng, commit| {
            entity.change(rng, commit.at, commit.turn);
        })
    }

    /// Adds a crosswalk of a further source to a living entity; false if there is none.
    pub fn contribute(&mut self, at: Millis, uri: &str, source: &'static str) -> bool {
        self.edit(at, uri, |entity, rng, commit| {
            entity.link(source, rng, commit.at, commit.turn);
        })
    }

    fn edit(
        &mut self,
        at: Millis,
        uri: &str,
        edit: impl FnOnce(&mut Entity, &mut ChaCha8Rng, Commit),
    ) -> bool {
        let Some(mut entity) = self.entities.get(uri).cloned() else {
            return false;
        };
        let commit = self.commit(at);
        edit(&mut entity, &mut self.rng, commit);
        entity.updated = commit.time;
        let change = self.put(commit, entity);
        self.happened(commit, EventType::Changed, change, Vec::new());
        true
    }

    /// Removes a living entity; false if there is none.
    pub fn remove(&mut self, at: Millis, uri: &str) -> bool {
        self.end(at, uri, EventType::Removed, ObjectState::Removed)
    }

    /// Removes a living entity under GDPR; false if there is none.
    pub fn erase(&mut self, at: Millis, uri: &str) -> bool {
        self.end(at, uri, EventType::Erased, ObjectState::Erased)
    }

    fn end(&mut self, at: Millis, uri: &str, event: EventType, state: ObjectState) -> bool {
        let Some(entity) = self.entities.remove(uri) else {
            return false;
        };
        let commit = self.commit(at);
        for link in &entity.links {
            self.owned(commit, link.source, &link.value, None);
        }
        let change = self.now_is(commit, uri, state);
        self.happened(commit, event, change, Vec::new());
        self.follow_merges(commit);
        true
    }

    /// Whether an entity lives.
    pub fn lives(&self, uri: &str) -> bool {
        self.entities.contains_key(uri)
    }

    /// The type of a living entity.
    pub fn kind(&self, uri: &str) -> Option<EntityType> {
        self.entities.get(uri).map(|entity| entity.kind)
    }

    /// URIs of the living relations.
    pub fn relations(&self) -> Vec<String> {
        self.relations.keys().cloned().collect()
    }

    /// Where `uri` lives now, through all merges.
    pub(super) fn resolve(&self, uri: &str) -> Option<String> {
        let mut uri = uri;
        while let Some(loss) = self.lost.get(uri) {
            uri = &loss.winner;
        }
        self.lives(uri).then(|| uri.to_owned())
    }

    /// Events so far, in true order.
    pub fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    /// Merges so far, in true order.
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Salesforce records that crosswalks name, and the entity that each named first.
    pub fn salesforce(&self) -> &[(String, String)] {
        &self.salesforce
    }

    /// The tenant with everything that happened.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The tenant with everything that happened, for good.
    pub fn into_tenant(self) -> Tenant {
        self.tenant
    }
}
