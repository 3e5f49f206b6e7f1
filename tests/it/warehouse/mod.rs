//! The warehouse sink against real databases: SQLite always, PostgreSQL where
//! `GOLDWIRE_TEST_POSTGRES` holds the URL of a database in which schemas may be made.

mod activity;
mod columns;
mod contention;
mod facts;
mod failures;
mod merges;
mod moved;
mod orders;
pub(crate) mod place;
mod postgres;
mod restored;
mod start;
mod suite;
mod version_1;
mod version_2;

use std::sync::Arc;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::sink::{Change, Current, Write};
use serde_json::{Value, json};

fn subject(name: &str) -> Subject {
    Subject::new("acme", name)
}

fn snapshot(json: &Value) -> SubjectState {
    SubjectState::Alive(Arc::new(
        Object::parse(json.to_string().as_bytes()).unwrap(),
    ))
}

fn person(label: &str) -> SubjectState {
    snapshot(&json!({
        "uri": "entities/x", "type": "configuration/entityTypes/Individual", "label": label,
        "attributes": {"FirstName": [{"value": label, "ov": true}]}
    }))
}

fn absorbed(by: &str) -> SubjectState {
    SubjectState::Absorbed {
        by: Some(by.to_owned()),
    }
}

fn change(version: i64, commit_time: i64, state: SubjectState) -> Change {
    Change {
        id: format!("event-{version}-{commit_time}").into(),
        kind: Kind::Changed,
        version,
        commit_time,
        received_time: commit_time + 5,
        state,
        observed: false,
    }
}

fn current(version: Option<i64>, content_time: i64, state: SubjectState) -> Current {
    Current {
        state,
        content_time,
        version,
        fields: None,
        erased: false,
    }
}

fn delivery(name: &str, current: Option<Current>, changes: Vec<Change>) -> Write {
    Write {
        subject: subject(name),
        object_type: if name.starts_with("relations/") {
            "Spouse"
        } else {
            "Individual"
        }
        .into(),
        current,
        changes,
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

/// An event with both clocks whose state is the newest.
fn event(name: &str, version: i64, time: i64, state: SubjectState) -> Write {
    let now = current(Some(version), time, state.clone());
    delivery(name, Some(now), vec![change(version, time, state)])
}

/// A change that is older than what the engine knows.
fn late(name: &str, version: i64, time: i64, state: SubjectState) -> Write {
    delivery(name, None, vec![change(version, time, state)])
}

/// An answer of Reltio.
fn read(name: &str, time: i64, state: SubjectState) -> Write {
    delivery(name, Some(current(None, time, state)), Vec::new())
}
