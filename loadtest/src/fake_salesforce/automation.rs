//! The org's triggers and flows: they run once for all rows of a write, within limits of one
//! transaction, and what they meet is told in the text of another code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::admit::refuse;
use super::org::failed;

/// What triggers and flows do not bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Automation {
    /// How it is told.
    pub told: Told,
    /// With more rows than these they exceed a limit; 0: with no number of rows.
    pub rows: usize,
    /// A row with this text in any field makes them fail.
    pub fails_on: Option<&'static str>,
}

/// How a failure of automation is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Each row: `CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY`.
    ByTrigger,
    /// Each row: `CANNOT_EXECUTE_FLOW_TRIGGER`.
    ByFlow,
    /// The request as a whole: 500 `APEX_ERROR`.
    ByRequest,
}

const LIMIT: &str = "System.LimitException: npsp:Apex CPU time limit exceeded";
const FAILURE: &str = "System.NullPointerException: Attempt to de-reference a null object";
const LOCK: &str = "System.DmlException: Update failed. First exception on row 0 with id \
                    001FK0000000001AAA; first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive \
                    access to this record or 1 records: 001FK0000000001AAA: []";

impl Told {
    pub(super) fn lock(self, rows: usize) -> Response {
        self.tell(rows, LOCK)
    }

    fn tell(self, rows: usize, met: &str) -> Response {
        let each =
            |code: &str, text: &str| Json(vec![failed(code, text, &[]); rows]).into_response();
        match self {
            Self::ByTrigger => {
                let text =
                    format!("ContactTrigger: execution of AfterUpdate\n\ncaused by: {met}\n");
                each("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", &text)
            }
            Self::ByFlow => {
                let text = format!(
                    "We can't save this record because the \u{201c}Contact\u{201d} process failed. \
                     Give your Salesforce admin these details. This error occurred when the flow \
                     tried to update records: {met}"
                );
                each("CANNOT_EXECUTE_FLOW_TRIGGER", &text)
            }
            Self::ByRequest => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                refuse(status, "APEX_ERROR", met)
            }
        }
    }
}

impl Automation {
    /// The failure that these rows meet together, if they do.
    pub(super) fn refuses(self, records: &[Map<String, Value>]) -> Option<Response> {
        if self.rows > 0 && records.len() > self.rows {
            return Some(self.told.tell(records.len(), LIMIT));
        }
        let fails_on = self.fails_on?;
        let holds = |row: &Map<String, Value>| row.values().any(|value| value == fails_on);
        let fails = records.iter().any(holds);
        fails.then(|| self.told.tell(records.len(), FAILURE))
    }
}
