//! What Salesforce's codes mean for one record and for the sink. Pure.
//!
//! Guarantee (G7, G10): every row has a meaning of its own; of a message nothing is kept, and of
//! codes and field names only what looks like one. The division into classes is ours: Salesforce
//! publishes none.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::automation::{Met, met};
use super::halving::Said;
use super::ids;
use super::org::{Table, Written};
use crate::sink::{DUPLICATE, SinkError};

/// The text of the validation rule that is the guard, by which its refusal is known.
pub const GUARD_MESSAGE: &str = "goldwire: older than what is here";
/// The quota's code comes without a time to wait: the daily quota and the limit of long requests
/// share it.
const PAUSE: Duration = Duration::from_mins(1);

/// Why a whole request was refused.
#[derive(Debug)]
pub(super) enum Fault {
    /// It says nothing about a single row.
    All(SinkError),
    /// One of the rows broke it, or all together were too much: in halves it may pass. The error
    /// is that of a row which fails alone.
    OneRow(SinkError),
}

struct Problem<'a> {
    code: String,
    message: &'a str,
    fields: Vec<String>,
}

fn problems<'a>(errors: &'a Value, code_key: &str) -> Vec<Problem<'a>> {
    let list = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let text =
        |value: &'a Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let fields = |value: &'a Value| value.get("fields").and_then(Value::as_array);
    list.iter()
        .map(|error| Problem {
            code: code(text(error, code_key)),
            message: text(error, "message"),
            fields: fields(error)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(code)
                .collect(),
        })
        .collect()
}

/// What a code or a field name may show: nothing else of an answer is.
pub(super) fn code(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if plain && !text.is_empty() && text.len() <= 80 {
        text.to_owned()
    } else {
        "unnamed".to_owned()
    }
}

/// The outcome of one row of a Collections answer, as if it had been sent alone.
///
/// # Errors
/// What the row's code means for the record, or for the sink.
pub fn row(answer: &Value, table: &Table, action: &'static str) -> Result<Written, SinkError> {
    match judge(answer, table, action) {
        Said::Final(answer) => answer,
        Said::Shared(error) => Err(error),
    }
}

/// What a Collections answer says of one of its rows.
pub(super) fn judge(answer: &Value, table: &Table, action: &'static str) -> Said<Written> {
    if answer.get("success").and_then(Value::as_bool) == Some(true) {
        let id = answer
            .get("id")
            .and_then(Value::as_str)
            .and_then(ids::canonical);
        return Said::Final(id.map(Written::Done).ok_or_else(|| lost("row_without_id")));
    }
    let errors = answer.get("errors").unwrap_or(&Value::Null);
    let problems = problems(errors, "statusCode");
    if problems.iter().any(|problem| problem.is_guard(table)) {
        return Said::Final(Ok(Written::Stale));
    }
    if problems.iter().any(|problem| problem.code == DUPLICATE) {
        return Said::Final(Ok(Written::Duplicate(duplicates(errors))));
    }
    let Some(first) = problems.into_iter().next() else {
        return Said::Final(Err(lost("row_without_answer")));
    };
    if first.is_moved(table, action) {
        return Said::Final(Ok(Written::Moved(first.code)));
    }
    let met = first.met();
    let known = match met {
        Some(Met::Lock) => Some(locked()),
        Some(Met::Limit | Met::Failure) => None,
        None => general(&first.code).filter(|_| !is_access(&first.code)),
    };
    let error = known.unwrap_or(SinkError::Rejected {
        code: first.code,
        fields: first.fields,
        action,
    });
    match met {
        Some(Met::Limit | Met::Failure) => Said::Shared(error),
        Some(Met::Lock) | None => Said::Final(Err(error)),
    }
}

/// The records that a duplicate rule names: `duplicateResult.matchResults[].matchRecords[].record.Id`
/// of an error (`DuplicateResult` and `MatchRecord` of the SOAP API's reference; that REST prints
/// them so is seen in clients that read it). Ids are no personal data.
fn duplicates(errors: &Value) -> Vec<String> {
    let list = |value: &Value, key: &str| {
        let list = value.get(key).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let errors = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let results = errors
        .iter()
        .filter_map(|error| error.get("duplicateResult"));
    let records = results
        .flat_map(|result| list(result, "matchResults"))
        .flat_map(|result| list(&result, "matchRecords"));
    let ids: BTreeSet<String> = records
        .filter_map(|matched| ids::canonical(matched.get("record")?.get("Id")?.as_str()?))
        .collect();
    ids.into_iter().collect()
}

/// Whether a row's code speaks of access: to everything, or to this one record, which may be
/// another user's. The code is the same, so the object's description has to tell.
pub(super) fn is_access(code: &str) -> bool {
    let field = matches!(
        code,
        "INVALID_FIELD" | "INVALID_FIELD_FOR_INSERT_UPDATE" | "INVALID_TYPE"
    );
    field
        || code.starts_with("INSUFFICIENT_ACCESS")
            && code != "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
}

/// What a refused access means once the description has told that no one's record would pass.
pub(super) fn no_access(code: &str) -> SinkError {
    general(code).unwrap_or_else(|| SinkError::Systemic {
        code: code.to_owned(),
        remedy: "grant the run-as user access to the sObject".to_owned(),
    })
}

fn locked() -> SinkError {
    retry("UNABLE_TO_LOCK_ROW", false)
}

fn retry(code: &str, outage: bool) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous: false,
        outage,
    }
}

impl Problem<'_> {
    fn is_guard(&self, table: &Table) -> bool {
        self.code == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
            && (self.fields.contains(&table.guard) || self.message.contains(GUARD_MESSAGE))
    }

    /// What a trigger or a flow met: that stands in the text only.
    fn met(&self) -> Option<Met> {
        met(&self.code, self.message)
    }

    /// Whether the org changed since it was read. The answer to a taken external id names the
    /// field in its message only.
    fn is_moved(&self, table: &Table, action: &str) -> bool {
        match self.code.as_str() {
            "DUPLICATE_VALUE" => {
                self.fields.contains(&table.ext) || self.message.contains(&table.ext)
            }
            "ENTITY_IS_DELETED" => true,
            "NOT_FOUND" | "INVALID_CROSS_REFERENCE_KEY" => {
                action != "create" && self.fields.is_empty()
            }
            _ => false,
        }
    }
}

/// Codes that mean the same wherever they show; `None`: the record's own fault.
fn general(code: &str) -> Option<SinkError> {
    let halt = |remedy: &str| SinkError::Systemic {
        code: code.to_owned(),
        remedy: remedy.to_owned(),
    };
    Some(match code {
        "UNABLE_TO_LOCK_ROW"
        | "QUERY_TIMEOUT"
        | "REQUEST_RUNNING_TOO_LONG"
        | "UNKNOWN_EXCEPTION"
        | "ALL_OR_NONE_OPERATION_ROLLED_BACK" => retry(code, false),
        "SERVER_UNAVAILABLE"
        | "SERVICE_UNAVAILABLE"
        | "TOO_MANY_APEX_REQUESTS"
        | "INVALID_SESSION_ID"
        | "API_CURRENTLY_DISABLED" => retry(code, true),
        "REQUEST_LIMIT_EXCEEDED" => SinkError::Throttled {
            code: code.to_owned(),
            pause: PAUSE,
        },
        "INVALID_FIELD" | "INVALID_FIELD_FOR_INSERT_UPDATE" => halt(
            "a mapped field does not exist or is not writable by the run-as user; add it (see \
             `goldwire schema salesforce`) or grant edit access to it, then see `goldwire check \
             --connect`",
        ),
        "INVALID_TYPE" => halt("the sObject does not exist, or the run-as user may not see it"),
        "NOT_FOUND" | "UNSUPPORTED_API_VERSION" | "METHOD_NOT_ALLOWED" => {
            halt("the org does not know the resource; correct api_version or the sObject's name")
        }
        "API_DISABLED_FOR_ORG" => halt("enable API access for the org and for the run-as user"),
        "STORAGE_LIMIT_EXCEEDED" => halt("the org has no storage left; free some"),
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY" => return None,
        access if access.starts_with("INSUFFICIENT_ACCESS") => {
            halt("grant the run-as user create, edit and view all on the sObject")
        }
        _ => return None,
    })
}

/// What an answer other than 2xx means. `writes`: whether the request could change something.
pub(super) fn request(status: u16, body: &Value, writes: bool) -> Fault {
    let first = problems(body, "errorCode").into_iter().next();
    let met = first.as_ref().and_then(Problem::met);
    let code = first.map_or_else(|| format!("http_{status}"), |problem| problem.code);
    match met {
        Some(Met::Lock) => return Fault::OneRow(locked()),
        // What automation did is rolled back, whatever the status.
        Some(Met::Limit | Met::Failure) => return Fault::OneRow(refused(code)),
        None => {}
    }
    match code.as_str() {
        // One row's lock. Its neighbours, sent without it, need not spend an attempt on it.
        "UNABLE_TO_LOCK_ROW" => return Fault::OneRow(locked()),
        "UNKNOWN_EXCEPTION" if status < 500 => return Fault::OneRow(retry(&code, false)),
        // Too much at once, or an org that is slow: no row's own fault. What a write came to
        // before its time was over is not known.
        "QUERY_TIMEOUT" | "REQUEST_RUNNING_TOO_LONG" => {
            return Fault::OneRow(SinkError::Retryable {
                code,
                ambiguous: writes,
                outage: true,
            });
        }
        _ => {}
    }
    if status >= 500 || status == 420 || status == 429 {
        // 503 is answered before anything is done; behind the others the write may go on.
        let ambiguous = writes && status >= 500 && status != 503;
        return Fault::All(SinkError::Retryable {
            code,
            ambiguous,
            outage: true,
        });
    }
    if let Some(error) = general(&code) {
        return Fault::All(error);
    }
    match status {
        400 | 404 | 409 | 412 | 413 | 414 | 431 => Fault::OneRow(refused(code)),
        401 => Fault::All(SinkError::Retryable {
            code,
            ambiguous: false,
            outage: true,
        }),
        _ => Fault::All(SinkError::Systemic {
            code,
            remedy: format!(
                "Salesforce refuses with status {status}; check the run-as user's rights"
            ),
        }),
    }
}

fn refused(code: String) -> SinkError {
    SinkError::Rejected {
        code,
        fields: Vec::new(),
        action: "request",
    }
}

/// A write whose answer does not tell what became of it.
pub(super) fn lost(code: &str) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous: true,
        outage: true,
    }
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;
