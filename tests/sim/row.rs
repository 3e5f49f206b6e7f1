//! What a delivery would write, and the moment of the truth that it stands for.

use std::collections::BTreeMap;

use goldwire::event::{Object, SubjectState};
use goldwire::sink::{Current, Write};
use goldwire::time::Millis;
use serde_json::Value;

use super::script::{Moment, Truth};
use super::world::World;

/// One write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) uri: String,
    pub(crate) state: Option<String>,
    pub(crate) members: BTreeMap<String, Value>,
    pub(crate) partial: bool,
    pub(crate) content_time: Millis,
    pub(crate) version: Option<i64>,
    pub(crate) seq: u64,
    pub(crate) rows: Vec<(String, i64, Millis)>,
    /// Of each of the rows whether it was only read.
    pub(crate) observed: Vec<bool>,
}

impl World {
    pub(crate) fn row_of(&self, delivery: &Write) -> Row {
        let uri = delivery.subject.uri().to_owned();
        let mut row = Row {
            state: None,
            members: BTreeMap::new(),
            partial: false,
            content_time: 0,
            version: None,
            seq: 0,
            rows: delivery
                .changes
                .iter()
                .map(|change| (uri.clone(), change.version, change.commit_time))
                .collect(),
            observed: delivery.changes.iter().map(|it| it.observed).collect(),
            uri,
        };
        if let Some(current) = &delivery.current {
            row.state = Some(word(&current.state));
            row.partial = current.fields.is_some();
            row.content_time = current.content_time;
            row.version = current.version;
            row.seq = self.moment_of(&row.uri, current);
            if let SubjectState::Alive(object) = &current.state {
                row.members = members(object);
                if let Some(fields) = &current.fields {
                    row.members.retain(|name, _| fields.contains(name));
                }
            }
        }
        row
    }

    /// The moment that a state stands for.
    fn moment_of(&self, uri: &str, current: &Current) -> u64 {
        let (state, content_time) = (&current.state, current.content_time);
        let Some(past) = self.script.past.get(uri) else {
            return 0;
        };
        // What a change of a dead subject tells stands for that change.
        if let SubjectState::Alive(given) = state
            && let Some(seq) = text(given).and_then(|text| text.strip_prefix("echo"))
        {
            return seq.parse().unwrap();
        }
        let fits = past.iter().filter(|moment| match (&moment.truth, state) {
            (Truth::Alive(object), SubjectState::Alive(given)) => text(object) == text(given),
            (truth, state) => !truth.is_alive() && !state.is_alive(),
        });
        let fits: Vec<_> = fits.collect();
        // A payload stands for its own change; what was read, for the latest before its `Date`,
        // whose second is rounded down.
        // Two changes may have one commit time.
        let told = |moment: &&&Moment| {
            moment.commit_time == content_time
                && current
                    .version
                    .is_none_or(|version| version == moment.version)
                && !moment.restored
        };
        let exact = fits.iter().find(told);
        let before = |moment: &&&Moment| moment.at <= content_time + 1000;
        let read = fits.iter().rev().find(before);
        exact.or(read).map_or(0, |moment| moment.seq)
    }
}

pub(crate) fn members(object: &Object) -> BTreeMap<String, Value> {
    let members = object.json().as_object().into_iter().flatten();
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn text(object: &Object) -> Option<&str> {
    object
        .json()
        .pointer("/attributes/FirstName/0/value")?
        .as_str()
}

/// A state in a word.
pub(crate) fn word(state: &SubjectState) -> String {
    match state {
        SubjectState::Alive(_) => "alive".to_owned(),
        SubjectState::Absorbed { by } => format!("absorbed by {}", by.as_deref().unwrap_or("?")),
        SubjectState::Removed => "removed".to_owned(),
        SubjectState::Erased => "erased".to_owned(),
        SubjectState::Gone => "gone".to_owned(),
    }
}

pub(crate) fn truth_word(truth: &Truth) -> String {
    match truth {
        Truth::Alive(object) => text(object).unwrap_or_default().to_owned(),
        Truth::Absorbed { by } => format!("absorbed by {by}"),
        Truth::Removed => "removed".to_owned(),
        Truth::Erased => "erased".to_owned(),
    }
}
