//! What a simulated tenant does, written out before it happens: the truth, and the events of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use goldwire::event::Object;
use goldwire::time::Millis;
use serde_json::Value;

/// What a subject truly is.
#[derive(Debug, Clone)]
pub(crate) enum Truth {
    Alive(Arc<Object>),
    Absorbed { by: String },
    Removed,
    Erased,
}

impl Truth {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self, Self::Alive(_))
    }
}

/// A subject from one moment on.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) at: Millis,
    /// Counts every moment of the tenant: later is higher.
    pub(crate) seq: u64,
    pub(crate) version: i64,
    pub(crate) commit_time: Millis,
    pub(crate) truth: Truth,
    /// Brought back by a restore: no event tells of it.
    pub(crate) restored: bool,
}

/// One event, before it is copied, put into a payload and sent.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) name: &'static str,
    pub(crate) subject: String,
    pub(crate) at: Millis,
    pub(crate) version: i64,
    pub(crate) commit_time: Millis,
    pub(crate) uris: Vec<String>,
    /// What it tells of: subjects and the moments that they have reached by it.
    pub(crate) about: Vec<(String, u64)>,
    pub(crate) object: Option<Arc<Object>>,
}

/// The tenant's past and future.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) past: BTreeMap<String, Vec<Moment>>,
    pub(crate) happenings: Vec<Happening>,
    /// CRM records that crosswalks name, all of which exist at the start.
    pub(crate) contacts: Vec<String>,
}

impl Script {
    pub(crate) fn moment(&self, uri: &str, time: Millis) -> Option<&Moment> {
        let moments = self.past.get(uri)?;
        let passed = moments.partition_point(|moment| moment.at <= time);
        moments.get(passed.checked_sub(1)?)
    }

    /// Whether it was removed or erased at any time.
    pub(crate) fn has_died(&self, uri: &str) -> bool {
        let died = |moment: &Moment| matches!(moment.truth, Truth::Removed | Truth::Erased);
        self.past.get(uri).is_some_and(|past| past.iter().any(died))
    }

    pub(crate) fn last(&self, uri: &str) -> Option<&Moment> {
        self.past.get(uri)?.last()
    }

    /// Whose a CRM record is at a time: the living entity's with a crosswalk that names it.
    pub(crate) fn named(&self, contact: &str, time: Millis) -> Option<(&str, &Moment)> {
        self.past.keys().find_map(|uri| {
            let moment = self.moment(uri, time)?;
            let Truth::Alive(object) = &moment.truth else {
                return None;
            };
            let names = contacts_of(object);
            names
                .iter()
                .any(|name| name == contact)
                .then_some((uri.as_str(), moment))
        })
    }

    /// Where a subject lives at a time, through all merges; with the chain that led there.
    pub(crate) fn survivor(&self, uri: &str, time: Millis) -> (Vec<String>, Option<&Moment>) {
        let (mut uri, mut chain) = (uri.to_owned(), Vec::new());
        loop {
            let Some(moment) = self.moment(&uri, time) else {
                return (chain, None);
            };
            match &moment.truth {
                Truth::Absorbed { by } => {
                    if chain.contains(by) {
                        return (chain, None);
                    }
                    chain.push(by.clone());
                    uri.clone_from(by);
                }
                Truth::Alive(_) => return (chain, Some(moment)),
                Truth::Removed | Truth::Erased => return (chain, None),
            }
        }
    }
}

/// Ids of the CRM records that an object's crosswalks name, the earliest first.
pub(crate) fn contacts_of(object: &Object) -> Vec<String> {
    let crosswalks = object.json().get("crosswalks").and_then(Value::as_array);
    let text = |one: &Value, member| Some(one.get(member)?.as_str()?.to_owned());
    let mut named: Vec<_> = crosswalks
        .into_iter()
        .flatten()
        .filter_map(|one| Some((text(one, "createDate")?, text(one, "value")?)))
        .collect();
    named.sort();
    named.into_iter().map(|(_, contact)| contact).collect()
}
