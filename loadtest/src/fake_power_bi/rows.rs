//! The rows of a push dataset: what its tables take, and how fast.
//!
//! Taken from Microsoft's list of limits; of the statuses of refusals only 429 and 404 are told there.

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::routes::{admit, answer, broken};
use super::{PowerBiFault, Shared, State};
use crate::time::Millis;

/// Rows in a request at most.
const LARGEST: usize = 10_000;
/// Requests in a minute at most.
const REQUESTS: usize = 120;
const MINUTE: Millis = 60_000;
/// Characters of a text at most.
const LONGEST: usize = 4000;

/// A table of a push dataset.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Columns with their types.
    columns: BTreeMap<String, String>,
    pub(super) rows: VecDeque<Value>,
    /// Rows kept at most, the newest.
    keeps: usize,
}

/// All of the dataset.
#[derive(Debug, Default)]
pub(super) struct Push {
    pub(super) tables: BTreeMap<String, Table>,
    /// When rows were posted, ms, and how many.
    pub(super) posts: Vec<(Millis, usize)>,
    /// A text that no row may hold.
    pub(super) poison: Option<String>,
}

impl Push {
    /// Takes the tables of a definition, as the request that creates a dataset has them.
    pub(super) fn define(&mut self, definition: &Value, keeps: usize) {
        let list = |of: &Value, key: &str| -> Vec<Value> {
            let list = of.get(key).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let text = |of: &Value, key: &str| {
            let text = of.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        for table in list(definition, "tables") {
            let columns = list(&table, "columns");
            let columns = columns
                .iter()
                .map(|column| (text(column, "name"), text(column, "dataType")));
            let made = Table {
                columns: columns.collect(),
                rows: VecDeque::new(),
                keeps,
            };
            self.tables.insert(text(&table, "name"), made);
        }
    }
}

impl Table {
    /// Whether a row has no other columns, and values of their types.
    fn takes(&self, row: &Value, poison: Option<&str>) -> bool {
        let Some(cells) = row.as_object() else {
            return false;
        };
        cells.iter().all(|(column, value)| {
            let text = value.as_str();
            let fits = |kind: &String| match kind.as_str() {
                _ if value.is_null() => true,
                "Int64" => value.is_i64(),
                "bool" => value.is_boolean(),
                "DateTime" => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
                "string" => text.is_some_and(|text| text.encode_utf16().count() <= LONGEST),
                _ => false,
            };
            let is_poison = poison.is_some() && text == poison;
            self.columns.get(column).is_some_and(fits) && !is_poison
        })
    }
}

fn refused(status: u16, code: &str) -> Response {
    let error = json!({ "error": { "code": code, "message": "" } });
    answer((status, error))
}

/// The names of the tables.
pub(super) async fn tables(
    Extract(shared): Extract<Shared>,
    Path(place): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    if let Some(refused) = admit(&mut state, &headers, &place) {
        return refused;
    }
    let names = state.push.tables.keys();
    let names: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
    answer((200, json!({ "value": names })))
}

/// Adds rows: all of a request, or none.
pub(super) async fn post(
    Extract(shared): Extract<Shared>,
    Path((group, dataset, table)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = shared.lock();
    let said = add(&mut state, &(group, dataset), &table, &headers, &body);
    state.row_answers.push(said.status().as_u16());
    said
}

fn add(
    state: &mut State,
    place: &(String, String),
    table: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    if let Some(refused) = admit(state, headers, place) {
        return refused;
    }
    let now = state.now();
    let recent = state.push.posts.iter().rev();
    if recent.take_while(|(at, _)| *at > now - MINUTE).count() >= REQUESTS {
        let mut refused = refused(429, "TooManyRequests");
        refused.headers_mut().insert(RETRY_AFTER, 60.into());
        return refused;
    }
    if state.takes(|it| it == PowerBiFault::LoseRequest).is_some() {
        return broken();
    }
    let push = &mut state.push;
    let Some(table) = push.tables.get_mut(table) else {
        return refused(404, "PowerBIEntityNotFound");
    };
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let rows = body.get("rows").and_then(Value::as_array);
    let rows = rows.cloned().unwrap_or_default();
    let fit = rows
        .iter()
        .all(|row| table.takes(row, push.poison.as_deref()));
    if rows.is_empty() || rows.len() > LARGEST || !fit {
        return refused(400, "InvalidRequest");
    }
    push.posts.push((now, rows.len()));
    table.rows.extend(rows);
    let spare = table.rows.len().saturating_sub(table.keeps);
    table.rows.drain(..spare);
    if state.takes(|it| it == PowerBiFault::LoseAnswer).is_some() {
        return broken();
    }
    StatusCode::OK.into_response()
}

/// Deletes all rows of a table.
pub(super) async fn delete(
    Extract(shared): Extract<Shared>,
    Path((group, dataset, table)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    if let Some(refused) = admit(&mut state, &headers, &(group, dataset)) {
        return refused;
    }
    match state.push.tables.get_mut(&table) {
        Some(table) => {
            table.rows.clear();
            StatusCode::OK.into_response()
        }
        None => refused(404, "PowerBIEntityNotFound"),
    }
}
