//! The tenant over time: what each subject was at any moment.
//!
//! Guarantee: nothing here changes. The API's answer at a moment is a pure function of that moment,
//! so a replica that lags by a second answers from a second ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::time::Millis;

/// What a subject was.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectState {
    /// It lived, and this was its snapshot.
    Alive(Arc<Value>),
    /// Another entity had taken it over.
    Absorbed {
        /// The winner of that merge, which may itself have lost another.
        by: String,
    },
    /// It was removed.
    Removed,
    /// It was removed under GDPR.
    Erased,
}

/// A subject from one moment on.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The true time, ms.
    pub at: Millis,
    /// Reltio's `objectVersion`.
    pub version: i64,
    /// Reltio's `commitTime`: the true time by the clock of the node that did it, ms.
    pub commit_time: Millis,
    /// What it was.
    pub state: ObjectState,
}

/// Whose a crosswalk was from when on; no one's once its entity was removed.
pub(super) type Owners = Vec<(Millis, Option<String>)>;

/// A tenant's whole past, and, while a script is played, its future.
#[derive(Debug, Default)]
pub struct Tenant {
    pub(super) name: String,
    pub(super) past: BTreeMap<String, Vec<Moment>>,
    pub(super) crosswalks: BTreeMap<(String, String), Owners>,
}

impl Tenant {
    /// The tenant's id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All subjects, with their moments in true order.
    pub fn subjects(&self) -> impl Iterator<Item = (&str, &[Moment])> {
        self.past
            .iter()
            .map(|(uri, moments)| (uri.as_str(), moments.as_slice()))
    }

    /// What `uri` itself was at `time`; nothing if it did not exist yet.
    pub fn moment(&self, uri: &str, time: Millis) -> Option<&Moment> {
        let moments = self.past.get(uri)?;
        let passed = moments.partition_point(|moment| moment.at <= time);
        moments.get(passed.checked_sub(1)?)
    }

    /// What the API answers for `uri` with the state of `time`: the object, the survivor's of a
    /// loser, or nothing (404).
    pub fn read(&self, uri: &str, time: Millis) -> Option<Arc<Value>> {
        let mut uri = uri;
        // Merges have no circles: a winner was alive when its loser was not.
        loop {
            match &self.moment(uri, time)?.state {
                ObjectState::Alive(object) => return Some(Arc::clone(object)),
                ObjectState::Absorbed { by } => uri = by,
                ObjectState::Removed | ObjectState::Erased => return None,
            }
        }
    }

    /// The object of the entity that had the crosswalk at `time`. `source` is the short name.
    pub fn by_crosswalk(&self, source: &str, value: &str, time: Millis) -> Option<Arc<Value>> {
        let owners = self
            .crosswalks
            .get(&(source.to_owned(), value.to_owned()))?;
        let passed = owners.partition_point(|(since, _)| *since <= time);
        let (_, owner) = owners.get(passed.checked_sub(1)?)?;
        self.read(owner.as_ref()?, time)
    }
}
