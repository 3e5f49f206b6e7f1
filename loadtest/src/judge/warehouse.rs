//! The warehouse: current rows, history rows, merges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};

use super::{Comparison, ever_by};
use crate::tenant::{End, EventType, TrueChange, Truth};

const SINK: &str = "warehouse";

/// A current row of either table.
#[derive(Debug)]
struct Current {
    subject: String,
    state: String,
    absorbed_by: Option<String>,
    object: Option<String>,
    version: Option<i64>,
    commit_time: Option<i64>,
    start_entity: Option<String>,
    end_entity: Option<String>,
}

impl Current {
    fn of(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            subject: row.try_get("subject")?,
            state: row.try_get("state")?,
            absorbed_by: row.try_get("absorbed_by")?,
            object: row.try_get("object")?,
            version: row.try_get("version")?,
            commit_time: row.try_get("commit_time")?,
            start_entity: row.try_get("start_entity")?,
            end_entity: row.try_get("end_entity")?,
        })
    }
}

/// What names a history row: version and commit time.
type Row = (i64, i64);

/// A history row: its name, `valid_from`, `valid_to`, `is_current`.
type Interval = (Row, i64, Option<i64>, bool);

/// Compares the SQLite file with the truth.
///
/// # Errors
/// If the file cannot be read.
pub async fn compare(file: &Path, truth: &Truth) -> Result<Comparison, String> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let pool = SqlitePool::connect_with(options)
        .await
        .map_err(|error| error.to_string())?;
    let mut comparison = Comparison::default();
    currents(&pool, truth, &mut comparison)
        .await
        .map_err(|error| error.to_string())?;
    history(&pool, truth, &mut comparison)
        .await
        .map_err(|error| error.to_string())?;
    merges(&pool, truth, &mut comparison)
        .await
        .map_err(|error| error.to_string())?;
    pool.close().await;
    Ok(comparison)
}

async fn currents(pool: &SqlitePool, truth: &Truth, to: &mut Comparison) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "SELECT subject, state, absorbed_by, object, version, commit_time,
           NULL AS start_entity, NULL AS end_entity FROM golden_records
         UNION ALL SELECT subject, state, absorbed_by, object, version, commit_time,
           start_entity, end_entity FROM relations",
    )
    .fetch_all(pool)
    .await?;
    let mut held = BTreeMap::new();
    for row in &rows {
        let current = Current::of(row)?;
        held.insert(current.subject.clone(), current);
    }
    let newest = newest(truth);
    for (uri, end) in &truth.ends {
        let problem = match held.remove(uri) {
            None => Some("is missing".to_owned()),
            Some(row) => current(truth, uri, end, &row).or_else(|| clocks(&newest, uri, end, &row)),
        };
        to.look(SINK, uri, problem);
    }
    for uri in held.keys() {
        to.look(
            SINK,
            uri,
            Some("is there, and was never in the tenant".to_owned()),
        );
    }
    Ok(())
}

/// Of each subject the newest commit time, and the versions that have it.
pub(super) fn newest(truth: &Truth) -> BTreeMap<&str, (i64, BTreeSet<i64>)> {
    let mut newest: BTreeMap<&str, (i64, BTreeSet<i64>)> = BTreeMap::new();
    for change in &truth.changes {
        let (time, versions) = newest.entry(&change.subject).or_default();
        if change.commit_time > *time {
            *time = change.commit_time;
            versions.clear();
        }
        if change.commit_time == *time {
            versions.insert(change.version);
        }
    }
    newest
}

/// Whether who lives has the clocks of its newest change. What was read has no commit time, and
/// of changes of one moment it does not know which it shows.
fn clocks(
    newest: &BTreeMap<&str, (i64, BTreeSet<i64>)>,
    uri: &str,
    end: &End,
    row: &Current,
) -> Option<String> {
    let (End::Alive(_), Some((time, versions))) = (end, newest.get(uri)) else {
        return None;
    };
    if row
        .version
        .is_some_and(|version| !versions.contains(&version))
    {
        return Some(format!(
            "should have version {versions:?}, has {:?}",
            row.version
        ));
    }
    let right = row.commit_time.is_none_or(|found| found == *time);
    (!right).then(|| format!("should be of {time}, is of {:?}", row.commit_time))
}

/// Whether a relation has the ends that its object names.
fn ends(expected: &Value, row: &Current) -> Option<String> {
    let sides = [
        ("startObject", &row.start_entity),
        ("endObject", &row.end_entity),
    ];
    sides.into_iter().find_map(|(side, found)| {
        let uri = expected.get(side).and_then(|side| side.get("objectURI"));
        let expected = uri.and_then(Value::as_str);
        let differs = expected != found.as_deref();
        differs.then(|| format!("its {side} should be {expected:?}, is {found:?}"))
    })
}

fn current(truth: &Truth, uri: &str, end: &End, row: &Current) -> Option<String> {
    let Current {
        state,
        absorbed_by: by,
        object,
        ..
    } = row;
    let found = |expected: &str| Some(format!("should be {expected}, is {state}"));
    match end {
        End::Alive(expected) => {
            if state != "alive" {
                return found("alive");
            }
            let object = object.as_deref().and_then(as_answered);
            if object.as_ref() == Some(expected.as_ref()) {
                return ends(expected, row);
            }
            let path =
                object.map_or_else(String::new, |object| first_difference(expected, &object));
            Some(format!("lives, but its object differs at {path}"))
        }
        End::Absorbed { survivor, .. } => match state.as_str() {
            // Who is absorbed by somebody that is gone answers 404 itself.
            "gone" if survivor.is_none() => None,
            "absorbed" => {
                let known = ever_by(truth, uri);
                let right = by.as_ref().is_some_and(|by| known.contains(by));
                (!right).then(|| format!("is absorbed by {by:?}, which never took it over"))
            }
            _ => found("absorbed"),
        },
        End::Removed => (state != "removed" && state != "gone").then(|| found("removed"))?,
        End::Erased if object.is_some() => Some("is erased, but its content is there".to_owned()),
        End::Erased => (state != "erased" && state != "gone").then(|| found("erased"))?,
    }
}

/// The object of a text that goes through untouched, spelt as the API spells it: some senders print
/// `URI` for `uri`.
pub(super) fn as_answered(text: &str) -> Option<Value> {
    let mut object: Value = serde_json::from_str(text).ok()?;
    let members = object.as_object_mut()?;
    if let Some(uri) = members.remove("URI") {
        members.entry("uri").or_insert(uri);
    }
    Some(object)
}

/// The path of the first member that differs.
pub(super) fn first_difference(expected: &Value, found: &Value) -> String {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            let mut differing = names
                .into_iter()
                .filter(|name| expected.get(*name) != found.get(*name));
            differing.next().map_or_else(String::new, |name| {
                let empty = Value::Null;
                let inner = first_difference(
                    expected.get(name).unwrap_or(&empty),
                    found.get(name).unwrap_or(&empty),
                );
                format!("/{name}{inner}")
            })
        }
        (expected, found) => format!(": expected {expected}, found {found}"),
    }
}

async fn history(pool: &SqlitePool, truth: &Truth, to: &mut Comparison) -> sqlx::Result<()> {
    let rows: Vec<(String, i64, i64, i64, Option<i64>, bool)> = sqlx::query_as(
        "SELECT subject, version, commit_time, valid_from, valid_to, is_current
         FROM golden_record_history ORDER BY subject, commit_time, version",
    )
    .fetch_all(pool)
    .await?;
    let mut held: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
    for (subject, version, commit_time, from, until, is_current) in rows {
        let row = ((version, commit_time), from, until, is_current);
        held.entry(subject).or_default().push(row);
    }
    for (uri, Expected { must, may }) in expected(truth) {
        let rows = held.remove(uri).unwrap_or_default();
        let found: BTreeSet<Row> = rows.iter().map(|row| row.0).collect();
        let problem = if let Some((version, _)) = must.difference(&found).next() {
            Some(format!("version {version} has no row in the history"))
        } else if let Some((version, time)) = found.difference(&may).next() {
            Some(format!(
                "the history has version {version} at {time}, which never happened, or was erased"
            ))
        } else {
            chained(&rows)
        };
        to.look(SINK, uri, problem);
    }
    for uri in held.keys() {
        to.look(
            SINK,
            uri,
            Some("has a history, and was never in the tenant".to_owned()),
        );
    }
    Ok(())
}

/// The rows that a subject's history must have, and those that it may have.
#[derive(Debug, Default)]
struct Expected {
    must: BTreeSet<Row>,
    may: BTreeSet<Row>,
}

/// Of each subject what its history must be: a row for every change. An erasure deletes those up to its
/// time, except itself. Later ones are changes of the time before by a clock that is ahead, and go
/// too where Reltio was read since.
fn expected(truth: &Truth) -> BTreeMap<&str, Expected> {
    let is_erasure = |change: &TrueChange| change.kinds.contains(&EventType::Erased);
    let mut erased: BTreeMap<&str, i64> = BTreeMap::new();
    for change in truth.changes.iter().filter(|change| is_erasure(change)) {
        let until = erased.entry(&change.subject).or_default();
        *until = change.commit_time.max(*until);
    }
    let mut expected: BTreeMap<&str, Expected> = BTreeMap::new();
    for change in &truth.changes {
        let rows = expected.entry(&change.subject).or_default();
        let row = (change.version, change.commit_time);
        let until = erased.get(change.subject.as_str());
        if until.is_none() || is_erasure(change) {
            rows.must.insert(row);
        }
        if until.is_none_or(|until| change.commit_time > *until) || is_erasure(change) {
            rows.may.insert(row);
        }
    }
    expected
}

/// Whether every row ends where the next begins, and the last one alone is current.
fn chained(rows: &[Interval]) -> Option<String> {
    let nexts = rows.iter().skip(1).map(|row| Some(row.1)).chain([None]);
    for ((row, _, until, is_current), next) in rows.iter().zip(nexts) {
        if *until != next || *is_current != next.is_none() {
            return Some(format!("the history's row of version {} ends wrong", row.0));
        }
    }
    None
}

async fn merges(pool: &SqlitePool, truth: &Truth, to: &mut Comparison) -> sqlx::Result<()> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT loser, winner FROM merges WHERE active")
            .fetch_all(pool)
            .await?;
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (loser, winner) in rows {
        held.entry(loser).or_default().push(winner);
    }
    for (uri, end) in truth
        .ends
        .iter()
        .filter(|(uri, _)| uri.starts_with("entities/"))
    {
        let winners = held.remove(uri).unwrap_or_default();
        let problem = match (end, winners.as_slice()) {
            (End::Absorbed { survivor: None, .. }, []) => None,
            (End::Absorbed { .. }, [winner]) if ever_by(truth, uri).contains(winner) => None,
            (End::Absorbed { .. }, found) => Some(format!("has the active merges {found:?}")),
            (_, []) => None,
            // Split off and removed within the API's lag: nothing tells any more that it lived.
            (End::Removed | End::Erased, found)
                if found
                    .iter()
                    .all(|winner| ever_by(truth, uri).contains(winner)) =>
            {
                None
            }
            (_, found) => Some(format!("was not merged, and has the merges {found:?}")),
        };
        to.look(SINK, uri, problem);
    }
    Ok(())
}
