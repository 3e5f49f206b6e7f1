//! What every sink must agree with when all is delivered.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::event_type::EventType;
use super::history::{ObjectState, Tenant};
use super::world::World;
use crate::time::Millis;

/// What a subject is in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It lives, and this is its snapshot.
    Alive(Arc<Value>),
    /// Another entity took it over.
    Absorbed {
        /// The winner of the merge that it lost.
        by: String,
        /// Who has it through all merges; nothing if that one is gone.
        survivor: Option<String>,
    },
    /// It was removed.
    Removed,
    /// It was removed under GDPR.
    Erased,
}

/// A distinct change: one row of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueChange {
    /// The subject's URI.
    pub subject: String,
    /// Reltio's `objectVersion`.
    pub version: i64,
    /// Reltio's `commitTime`, ms.
    pub commit_time: Millis,
    /// The events of it: one, or two for a merge's winner and a split's origin.
    pub kinds: Vec<EventType>,
}

/// A merge of two entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The URI that stayed.
    pub winner: String,
    /// The URI that went.
    pub loser: String,
    /// Reltio's `commitTime`, ms.
    pub commit_time: Millis,
    /// Whether it was not undone since.
    pub active: bool,
}

/// The tenant in the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    /// Every subject's end, by URI.
    pub ends: BTreeMap<String, End>,
    /// Every distinct change, by subject and version.
    pub changes: Vec<TrueChange>,
    /// Every merge, in order.
    pub merges: Vec<Merge>,
}

impl Truth {
    /// What `world` came to.
    pub fn of(world: &World) -> Self {
        let tenant = world.tenant();
        let ends = tenant
            .past
            .iter()
            .filter_map(|(uri, moments)| Some((uri.clone(), end(tenant, &moments.last()?.state))))
            .collect();
        let mut changes: BTreeMap<(&str, i64), TrueChange> = BTreeMap::new();
        for event in world.happenings() {
            changes
                .entry((&event.subject, event.version))
                .or_insert_with(|| TrueChange {
                    subject: event.subject.clone(),
                    version: event.version,
                    commit_time: event.commit_time,
                    kinds: Vec::new(),
                })
                .kinds
                .push(event.event);
        }
        Self {
            ends,
            changes: changes.into_values().collect(),
            merges: world.merges().to_vec(),
        }
    }

    /// The entities and relations that live, with their snapshots.
    pub fn alive(&self) -> impl Iterator<Item = (&str, &Arc<Value>)> {
        self.ends.iter().filter_map(|(uri, end)| match end {
            End::Alive(object) => Some((uri.as_str(), object)),
            End::Absorbed { .. } | End::Removed | End::Erased => None,
        })
    }
}

fn end(tenant: &Tenant, state: &ObjectState) -> End {
    match state {
        ObjectState::Alive(object) => End::Alive(Arc::clone(object)),
        ObjectState::Removed => End::Removed,
        ObjectState::Erased => End::Erased,
        ObjectState::Absorbed { by } => {
            let survivor = tenant.read(by, Millis::MAX);
            let uri = survivor.and_then(|object| Some(object.get("uri")?.as_str()?.to_owned()));
            End::Absorbed {
                by: by.clone(),
                survivor: uri,
            }
        }
    }
}
