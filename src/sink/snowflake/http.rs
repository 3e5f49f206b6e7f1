//! The HTTP under the requests: TLS, time limits, answers of bounded size, what a status means.
//!
//! Guarantee (G3, G10): an append whose answer did not come is reported as ambiguous, never as failed.
//! Errors are codes; no URL, header or row reaches one.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::config::SnowflakeSink;
use crate::sink::SinkError;
use crate::tls;

/// Longest that a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer taken. A status has some hundred bytes.
const LARGEST_ANSWER: usize = 1 << 20;
/// The pause where Snowflake asks for one and does not say how long.
const PAUSE: Duration = Duration::from_secs(4);
/// The longest pause taken at its word; a longer one is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What an answer says that is no success.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    code: Option<Value>,
    status_code: Option<i64>,
}

impl Answer {
    fn trouble(&self) -> Trouble {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Snowflake's code, as far as it is one.
    pub(super) fn code(&self) -> String {
        let code = match self.trouble().code {
            Some(Value::String(text)) => plain(&text),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if code.is_empty() {
            format!("http_{}", self.status.as_u16())
        } else {
            code
        }
    }

    /// Whether the token is not taken any more.
    pub(super) fn is_expired(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.trouble().status_code == Some(3)
    }

    /// Whether the continuation token is not the channel's: it was used, or another opened the
    /// channel.
    pub(super) fn is_stale(&self) -> bool {
        let code = self.code();
        self.status == StatusCode::BAD_REQUEST
            && (code.starts_with("STALE_") || self.trouble().status_code == Some(4))
    }

    /// What any request may meet, and passes. `appends`: rows may have been taken nevertheless.
    pub(super) fn passing(&self, appends: bool) -> Option<SinkError> {
        let code = self.code();
        match self.status.as_u16() {
            429 => Some(SinkError::Throttled {
                code,
                pause: self.pause(),
            }),
            408 | 500.. => Some(SinkError::Retryable {
                code,
                ambiguous: appends,
                outage: true,
            }),
            _ => None,
        }
    }

    fn pause(&self) -> Duration {
        let seconds = self.headers.get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        seconds.map_or(PAUSE, |seconds| {
            Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST_PAUSE)
        })
    }
}

/// A client. Nothing is redirected: a token goes to no other host.
///
/// # Errors
/// If the operating system's certificates cannot be used.
pub(super) fn client(config: &SnowflakeSink) -> Result<reqwest::Client, String> {
    tls::use_ring();
    let timeout = config.request_timeout.get();
    let made = reqwest::Client::builder()
        .https_only(!config.insecure_plain_http)
        .connect_timeout(timeout.min(CONNECT))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .build();
    made.map_err(|_| {
        "url: no TLS client can be made; install the operating system's CA certificates".to_owned()
    })
}

/// Sends a request and reads its answer. `appends`: rows may have been taken where none comes.
///
/// # Errors
/// If no answer came.
pub(super) async fn send(request: RequestBuilder, appends: bool) -> Result<Answer, SinkError> {
    let lost = |error: reqwest::Error| {
        let (code, ambiguous) = if error.is_connect() || error.is_builder() {
            ("unreachable", false)
        } else if error.is_timeout() {
            ("timeout", appends)
        } else {
            ("connection_lost", appends)
        };
        SinkError::Retryable {
            code: code.to_owned(),
            ambiguous,
            outage: true,
        }
    };
    let mut response = request.send().await.map_err(lost)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

/// Nothing was sent that could have been taken.
pub(super) fn away(code: &str) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous: false,
        outage: true,
    }
}

/// A code of Snowflake's.
fn plain(text: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-.".contains(*letter);
    text.chars().filter(plain).take(64).collect()
}
