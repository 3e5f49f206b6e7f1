//! The subjects of captured events, and their versions.

use std::collections::{BTreeSet, HashMap};

use crate::throughput::event::Event;

/// Numbers captured subjects, and the versions of each from 1 in their order, so that they are
/// accounted for as those of a load are.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: HashMap<String, u32>,
    /// URI and versions, ascending, of each.
    subjects: Vec<(String, Vec<i64>)>,
}

impl Names {
    /// Of these, however often each is there.
    pub(super) fn new<'a>(all: impl Iterator<Item = (&'a str, i64)>) -> Self {
        let mut versions: HashMap<&str, BTreeSet<i64>> = HashMap::new();
        for (uri, version) in all {
            versions.entry(uri).or_default().insert(version);
        }
        let subjects = versions.into_iter();
        let subjects = subjects.map(|(uri, all)| (uri.to_owned(), all.into_iter().collect()));
        let subjects: Vec<(String, Vec<i64>)> = subjects.collect();
        let numbers = subjects.iter().zip(0..);
        let numbers = numbers.map(|((uri, _), number)| (uri.clone(), number));
        Self {
            numbers: numbers.collect(),
            subjects,
        }
    }

    /// The event with this version of a subject, if it was captured.
    pub(crate) fn event(&self, uri: &str, version: i64) -> Option<Event> {
        let entity = *self.numbers.get(uri)?;
        let (_, versions) = self.subjects.get(usize::try_from(entity).ok()?)?;
        let place = versions.binary_search(&version).ok()?;
        let version = u32::try_from(place + 1).ok()?;
        Some(Event { entity, version })
    }

    /// URI and version as they were captured.
    pub(crate) fn told(&self, event: Event) -> Option<(&str, i64)> {
        let (uri, versions) = self.subjects.get(usize::try_from(event.entity).ok()?)?;
        let place = usize::try_from(event.version).ok()?.checked_sub(1)?;
        Some((uri, *versions.get(place)?))
    }
}
