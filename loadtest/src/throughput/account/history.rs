//! Every distinct change, once or more often: lines of a `file` sink, rows of a warehouse.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Failed;
use crate::throughput::event::Event;
use crate::throughput::expected::{Expected, index};

/// A line of a `file` sink.
#[derive(Deserialize)]
struct Line<'a> {
    subject: &'a str,
    version: u32,
    commit_time: u64,
    state: &'a str,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

/// The changes that were found.
#[derive(Default)]
struct Found {
    changes: HashSet<Event>,
    rows: u64,
}

/// Reads every file of a `file` sink's directory.
pub(super) fn read_files(dir: &Path, expected: &mut Expected) -> Result<Value, Failed> {
    let mut found = Found::default();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "ndjson") {
            continue;
        }
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            let line: Line<'_> = serde_json::from_str(&line)?;
            let version = line.version.to_string();
            let time = line.commit_time.to_string();
            if let Some(event) = found.take(line.subject, &version, &time, expected)
                && !is_content(event, line.state, line.object)
            {
                expected.defect(format!(
                    "{} version {version}: its content is another",
                    event.uri()
                ));
            }
        }
    }
    Ok(found.judge(expected))
}

/// A sink may print the object in its own way: the members count, not the blanks between them.
fn is_content(event: Event, state: &str, object: Option<&RawValue>) -> bool {
    if event.is_removal() {
        return state == "removed" && object.is_none();
    }
    let mut sent = String::new();
    event.write_object(&mut sent, 0);
    let tree = |text: &str| serde_json::from_str::<Value>(text).ok();
    let same = |object: &RawValue| object.get() == sent || tree(object.get()) == tree(&sent);
    state == "alive" && object.is_some_and(same)
}

/// Reads rows that were exported from a warehouse.
pub(super) fn read_rows(
    history: &Path,
    current: &Path,
    expected: &mut Expected,
) -> Result<Value, Failed> {
    let (mut all, mut newest) = (Found::default(), vec![0; expected.slots()]);
    each_row(history, expected, &mut all, |_| ())?;
    let mut rows = Found::default();
    each_row(current, expected, &mut rows, |event| {
        if let Some(known) = newest.get_mut(index(event.entity)) {
            *known = event.version.max(*known);
        }
    })?;
    expected.compare_newest(&newest);
    let mut counted = all.judge(expected);
    if let Some(map) = counted.as_object_mut() {
        map.insert("current".to_owned(), rows.rows.into());
    }
    Ok(counted)
}

fn each_row(
    file: &Path,
    expected: &mut Expected,
    found: &mut Found,
    mut row: impl FnMut(Event),
) -> Result<(), Failed> {
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let [subject, version, time] = fields.as_slice() else {
            return Err(format!("{}: a row has {} fields", file.display(), fields.len()).into());
        };
        if let Some(event) = found.take(subject, version, time, expected) {
            row(event);
        }
    }
    Ok(())
}

impl Found {
    /// Takes a row into account: the change that it is.
    fn take(
        &mut self,
        subject: &str,
        version: &str,
        time: &str,
        expected: &mut Expected,
    ) -> Option<Event> {
        self.rows += 1;
        let event = expected.change(subject, version);
        let event = event.filter(|event| event.commit_time().to_string() == time);
        match event {
            Some(event) => drop(self.changes.insert(event)),
            None => expected.defect(format!("{subject} version {version} was never sent")),
        }
        event
    }

    fn judge(self, expected: &mut Expected) -> Value {
        let distinct = u64::try_from(self.changes.len()).unwrap_or(u64::MAX);
        let lost = expected.changes().saturating_sub(distinct);
        if lost > 0 {
            expected.defect(format!(
                "{lost} of {} changes are missing",
                expected.changes()
            ));
        }
        json!({ "rows": self.rows, "changes": distinct, "repeated": self.rows - distinct })
    }
}
