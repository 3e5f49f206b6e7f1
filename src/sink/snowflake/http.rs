//! What Snowflake's answers mean, whichever request they are to.
//!
//! Guarantee (G3, G10): an append whose answer did not come is reported as ambiguous, never as failed.
//! Errors are codes; no URL, header or row reaches one.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{self, Failure};
use crate::sink::SinkError;

/// The pause where Snowflake asks for one and does not say how long.
const PAUSE: Duration = Duration::from_secs(4);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer(pub(super) http::Answer);

/// What an answer says that is no success.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    code: Option<Value>,
    status_code: Option<i64>,
}

impl Answer {
    fn trouble(&self) -> Trouble {
        serde_json::from_slice(&self.0.body).unwrap_or_default()
    }

    /// Snowflake's code, as far as it is one.
    pub(super) fn code(&self) -> String {
        let code = match self.trouble().code {
            Some(Value::String(text)) => http::code(&text),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if code.is_empty() {
            format!("http_{}", self.0.status)
        } else {
            code
        }
    }

    /// Whether the token is not taken any more.
    pub(super) fn is_expired(&self) -> bool {
        self.0.status == 401 || self.trouble().status_code == Some(3)
    }

    /// Whether the continuation token is not the channel's: it was used, or another opened the
    /// channel.
    pub(super) fn is_stale(&self) -> bool {
        let code = self.code();
        self.0.status == 400
            && (code.starts_with("STALE_") || self.trouble().status_code == Some(4))
    }

    /// What any request may meet, and passes. `appends`: rows may have been taken nevertheless.
    pub(super) fn passing(&self, appends: bool) -> Option<SinkError> {
        let code = self.code();
        match self.0.status {
            429 => Some(SinkError::Throttled {
                code,
                pause: self.0.pause().unwrap_or(PAUSE),
            }),
            408 | 500.. => Some(SinkError::Retryable {
                code,
                ambiguous: appends,
                outage: true,
            }),
            _ => None,
        }
    }
}

/// Sends a request and reads its answer. `appends`: rows may have been taken where none comes.
///
/// # Errors
/// If no answer came.
pub(super) async fn send(request: RequestBuilder, appends: bool) -> Result<Answer, SinkError> {
    let answer = http::send(request).await.map_err(|failure| match failure {
        Failure::Throttled(pause) => SinkError::Throttled {
            code: "throttled".to_owned(),
            pause,
        },
        Failure::Unreachable(code) => away(&code),
        Failure::Unknown(code) | Failure::Refused { code, .. } => SinkError::Retryable {
            code,
            ambiguous: appends,
            outage: true,
        },
    });
    answer.map(Answer)
}

/// Nothing was sent that could have been taken.
pub(super) fn away(code: &str) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous: false,
        outage: true,
    }
}
