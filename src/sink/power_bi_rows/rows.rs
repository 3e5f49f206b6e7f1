//! A change as a row, and the table that it is in. Pure.
//!
//! Guarantee: a row has every column of the table that [`definition`] tells, each with a value of its
//! type or null.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::config::PowerBiRowsSink;
use crate::event::SubjectState;
use crate::event::attributes::scalar;
use crate::sink::line::no_json;
use crate::sink::row::{COLUMNS, Row};
use crate::sink::{Change, SinkError, Write};
use crate::time::Millis;

/// A row, by column.
pub(super) type Cells = Map<String, Value>;

/// The columns that every table has: a row's, without its JSON.
pub(super) const OWN: &[&str] = COLUMNS.split_at(11).0;

/// Characters of a text at most
/// (<https://learn.microsoft.com/en-us/power-bi/developer/embedded/push-datasets-limitations>).
const LONGEST: usize = 4000;

/// The dataset as the body of the request that creates it
/// (<https://learn.microsoft.com/en-us/rest/api/power-bi/push-datasets/datasets-post-dataset-in-group>).
pub(super) fn definition(config: &PowerBiRowsSink) -> Value {
    let column = |name: &str, kind: &str| json!({ "name": name, "dataType": kind });
    let own = OWN.iter().map(|name| match *name {
        "version" => column(name, "Int64"),
        "commit_time" | "received_time" => column(name, "DateTime"),
        "observed" => column(name, "bool"),
        _ => column(name, "string"),
    });
    let more = config.columns.keys().map(|name| column(name, "string"));
    let columns: Vec<Value> = own.chain(more).collect();
    json!({
        "name": "goldwire",
        "defaultMode": "Push",
        "tables": [{ "name": config.table, "columns": columns }],
    })
}

/// The rows of a write.
///
/// # Errors
/// Rejected if Power BI can never take one of them.
pub(super) fn rows(config: &PowerBiRowsSink, write: &Write) -> Result<Vec<Cells>, SinkError> {
    let changes = write.changes.iter();
    changes.map(|change| cells(config, write, change)).collect()
}

fn cells(config: &PowerBiRowsSink, write: &Write, change: &Change) -> Result<Cells, SinkError> {
    let head = Row::of(write, change).ok_or_else(no_json)?.head;
    let mut cells = Cells::new();
    let mut put = |name: &str, value: Value| cells.insert(name.to_owned(), value);
    put("id", head.id.into());
    put("tenant", head.tenant.into());
    put("subject", head.subject.into());
    put("object_type", (*head.object_type).into());
    put("kind", head.kind.into());
    put("version", head.version.into());
    put("commit_time", time("commit_time", head.commit_time)?);
    put("received_time", time("received_time", head.received_time)?);
    put("observed", head.observed.into());
    put("state", head.state.into());
    put("absorbed_by", head.absorbed_by.into());
    for (name, path) in &config.columns {
        let value = match &change.state {
            SubjectState::Alive(object) => object.operational_value(path),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        put(
            name,
            value.as_ref().and_then(scalar).map_or(Value::Null, text),
        );
    }
    let long = cells.iter().find(|(_, value)| is_long(value));
    match long {
        Some((name, _)) => Err(unfit("too_long", name)),
        None => Ok(cells),
    }
}

fn text(value: Value) -> Value {
    if value.is_string() {
        return value;
    }
    Value::String(value.to_string())
}

/// Counted as Power BI's platform counts, in units of UTF-16.
fn is_long(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() > LONGEST && text.encode_utf16().count() > LONGEST
}

fn time(column: &str, time: Millis) -> Result<Value, SinkError> {
    let time = Timestamp::from_millisecond(time).map_err(|_| unfit("no_time", column))?;
    Ok(time.to_string().into())
}

fn unfit(code: &str, column: &str) -> SinkError {
    SinkError::Rejected {
        code: code.to_owned(),
        fields: vec![column.to_owned()],
        action: "append",
    }
}
