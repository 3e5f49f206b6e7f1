//! What there has to be in the end.

use super::LoadArgs;
use super::event::{Event, Uri};
use crate::Failed;

/// So many defects are shown.
const SHOWN: usize = 5;

/// The newest version of every entity; every version below it was sent too.
#[derive(Debug)]
pub(super) struct Expected {
    newest: Vec<u32>,
    defects: Vec<String>,
    more: u64,
}

impl Expected {
    /// What the events of `load` add up to.
    pub(super) fn of(load: &LoadArgs) -> Self {
        let mut newest = vec![0; usize::try_from(load.entities).unwrap_or_default()];
        for event in load.stream() {
            if let Some(known) = newest.get_mut(index(event.entity)) {
                *known = event.version.max(*known);
            }
        }
        Self {
            newest,
            defects: Vec::new(),
            more: 0,
        }
    }

    /// How many entities there are a slot for; an entity's number is its place.
    pub(super) fn slots(&self) -> usize {
        self.newest.len()
    }

    /// Distinct changes that were sent.
    pub(super) fn changes(&self) -> u64 {
        self.newest.iter().map(|newest| u64::from(*newest)).sum()
    }

    /// The change of this subject and version, if it was sent.
    pub(super) fn change(&self, uri: &str, version: &str) -> Option<Event> {
        let entity = Uri::entity(uri)?;
        let version = version.parse().ok()?;
        let newest = *self.newest.get(index(entity))?;
        (1..=newest)
            .contains(&version)
            .then_some(Event { entity, version })
    }

    /// Compares the newest version that a target has of every entity, 0 for none.
    pub(super) fn compare_newest(&mut self, seen: &[u32]) {
        for (entity, (newest, seen)) in (0..).zip(self.newest.clone().into_iter().zip(seen)) {
            if newest != *seen {
                let uri = Uri(entity);
                self.defect(format!("{uri} ends at version {seen}, should be {newest}"));
            }
        }
    }

    /// Notes what is wrong.
    pub(super) fn defect(&mut self, what: String) {
        if self.defects.len() < SHOWN {
            self.defects.push(what);
        } else {
            self.more += 1;
        }
    }

    /// Fails if anything was wrong.
    pub(super) fn judge(self) -> Result<(), Failed> {
        if self.defects.is_empty() {
            return Ok(());
        }
        Err(format!("{} and {} more", self.defects.join("; "), self.more).into())
    }
}

/// An entity's place.
pub(super) fn index(entity: u32) -> usize {
    usize::try_from(entity).unwrap_or(usize::MAX)
}
