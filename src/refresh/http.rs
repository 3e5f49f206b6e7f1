//! The HTTP under the clients: TLS, time limits, answers of bounded size, what a status means.
//!
//! Guarantee (G10): errors are codes; no URL, header or body reaches one.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, redirect};
use serde::de::DeserializeOwned;

use super::Trouble;
use crate::tls;

/// Largest answer taken. A history of 60 refreshes has some tens of KiB.
const LARGEST_ANSWER: usize = 4 << 20;
/// The pause where a target asks for one and does not say how long.
const PAUSE: Duration = Duration::from_mins(1);
/// The longest pause taken at a target's word; a longer one is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What stands in it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        let read = serde_json::from_slice(&self.body);
        read.map_err(|_| Trouble::Unknown("answer unreadable".to_owned()))
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What no status of a resource's own means.
    pub(super) fn trouble(&self, code: Option<String>, remedy: &'static str) -> Trouble {
        let code = code.unwrap_or_else(|| format!("http {}", self.status));
        match self.status {
            429 => Trouble::Throttled(self.pause()),
            500.. => Trouble::Unknown(code),
            _ => Trouble::Refused { code, remedy },
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

/// A client whose requests last no longer than `timeout`. Nothing is redirected: a token goes to no
/// other host.
///
/// # Errors
/// If the operating system's certificates cannot be used.
pub(super) fn client(timeout: Duration, plain_http: bool) -> Result<reqwest::Client, String> {
    tls::use_ring();
    let made = reqwest::Client::builder()
        .https_only(!plain_http)
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
/// [`Trouble::Unreachable`] if nothing was sent, else [`Trouble::Unknown`].
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, Trouble> {
    let lost = |error: reqwest::Error| {
        if error.is_connect() || error.is_builder() {
            Trouble::Unreachable("connect".to_owned())
        } else if error.is_timeout() {
            Trouble::Unknown("timeout".to_owned())
        } else {
            Trouble::Unknown("transport".to_owned())
        }
    };
    let mut response = request.send().await.map_err(lost)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len().saturating_add(chunk.len()) > LARGEST_ANSWER {
            return Err(Trouble::Unknown("answer too large".to_owned()));
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
pub(super) fn code(text: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-. ".contains(*letter);
    text.chars().filter(plain).take(64).collect()
}

/// A time of a target's JSON, ms.
pub(super) fn time(text: &str) -> Option<crate::time::Millis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond())
}
