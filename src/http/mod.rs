//! The HTTP under clients of outside systems: TLS, time limits, answers of bounded size, what a status
//! means.
//!
//! Guarantee (G10): errors are codes; no URL, header or body reaches one.

pub(crate) mod entra;
pub(crate) mod snowflake;

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, redirect};
use serde::de::DeserializeOwned;

use crate::tls;

/// Longest that a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer taken. A history of 60 refreshes has some tens of KiB.
const LARGEST_ANSWER: usize = 4 << 20;
/// The pause where a target asks for one and does not say how long.
const PAUSE: Duration = Duration::from_mins(1);
/// The longest pause taken at a target's word; a longer one is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Why a request did not do what it was sent for. Holds codes, never a secret (G10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The target asks for a pause.
    Throttled(Duration),
    /// It was not reached: nothing was done.
    Unreachable(String),
    /// There was no answer, or one of a server that failed: it may have been done.
    Unknown(String),
    /// It refuses until a person acts.
    Refused {
        /// The target's code, or the status.
        code: String,
        /// What a person must do.
        remedy: &'static str,
    },
}

impl Failure {
    /// When nothing but a question was asked, nothing can have been done.
    pub(crate) fn of_question(self) -> Self {
        match self {
            Self::Unknown(code) => Self::Unreachable(code),
            other @ (Self::Throttled(_) | Self::Unreachable(_) | Self::Refused { .. }) => other,
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// What stands in it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let read = serde_json::from_slice(&self.body);
        read.map_err(|_| Failure::Unknown("answer unreadable".to_owned()))
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What no status of a resource's own means.
    pub(crate) fn failure(&self, code: Option<String>, remedy: &'static str) -> Failure {
        let code = code.unwrap_or_else(|| format!("http {}", self.status));
        match self.status {
            429 => Failure::Throttled(self.pause().unwrap_or(PAUSE)),
            500.. => Failure::Unknown(code),
            _ => Failure::Refused { code, remedy },
        }
    }

    /// The pause that the target asks for, if it says how long.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        let pause = Duration::from_secs(seconds.trim().parse().ok()?);
        Some(pause.clamp(Duration::from_secs(1), LONGEST_PAUSE))
    }
}

/// A client whose requests last no longer than `timeout`. Nothing is redirected: a token goes to no
/// other host.
///
/// # Errors
/// If the operating system's certificates cannot be used.
pub(crate) fn client(timeout: Duration, plain_http: bool) -> Result<reqwest::Client, String> {
    tls::use_ring();
    let made = reqwest::Client::builder()
        .https_only(!plain_http)
        .connect_timeout(timeout.min(CONNECT))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .build();
    made.map_err(|_| {
        "url: no TLS client can be made; install the operating system's CA certificates".to_owned()
    })
}

/// Sends a request and reads its answer.
///
/// # Errors
/// [`Failure::Unreachable`] if nothing was sent, else [`Failure::Unknown`].
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, Failure> {
    let lost = |error: reqwest::Error| {
        if error.is_connect() || error.is_builder() {
            Failure::Unreachable("connect".to_owned())
        } else if error.is_timeout() {
            Failure::Unknown("timeout".to_owned())
        } else {
            Failure::Unknown("transport".to_owned())
        }
    };
    let mut response = request.send().await.map_err(lost)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            return Err(Failure::Unknown("answer too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

/// A code of a target, as far as it is one.
pub(crate) fn code(text: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-. ".contains(*letter);
    text.chars().filter(plain).take(64).collect()
}

/// A time of a target's JSON, ms.
pub(crate) fn time(text: &str) -> Option<crate::time::Millis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond())
}
