//! Reltio's API: the truth that a record only hints at.
//!
//! Guarantee: an answer's [`date`](Answer::date) is Reltio's own clock, and the answer is not
//! older than the API's replica lag before it. The caller waits (`settle`) before it asks.

mod client;
mod config;
mod http;
mod jitter;
mod model;
mod parse;
mod patience;
mod refusals;
mod throttle;
mod token;
mod verdict;

pub use client::Client;
pub use config::ReltioApi;
pub(crate) use config::check;
pub use model::{TenantModel, Unknown};
pub(crate) use patience::until_answered;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Object;
use crate::time::{Millis, until};

/// What a `Date` rounds away at most, ms.
const ROUNDED: Millis = 999;

/// What a read found.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer's `Date`, ms; whole seconds, so up to 999 ms early.
    pub date: Millis,
    /// What the subject is.
    pub found: Found,
}

impl Answer {
    /// How long to wait before the read is made again, because its own date says that it was made
    /// before `due`, a time by Reltio's clock: this host's clock is ahead.
    ///
    /// No longer than `settle`, and once is enough: what the read has to see had happened when it
    /// was first made.
    pub fn too_early(&self, due: Millis, settle: Millis) -> Option<Duration> {
        let latest = self.date.saturating_add(ROUNDED);
        (latest < due).then(|| until(latest, due.min(latest.saturating_add(settle))))
    }
}

/// How long to wait at `now` before a read that has to see what is dated `newest`: no longer than
/// `settle`, since what the read has to see had happened before it was needed. The host's clock may
/// have been wrong when the date was made, or be wrong now.
pub fn settle_wait(now: Millis, newest: Millis, settle: Duration) -> Duration {
    let millis = Millis::try_from(settle.as_millis()).unwrap_or(Millis::MAX);
    until(now, newest.saturating_add(millis)).min(settle)
}

/// What `read` answers; read once more if the answer itself says that it was made before `due`.
///
/// # Errors
/// Those of `read`.
pub async fn late_enough<E, F: Future<Output = Result<Answer, E>>>(
    due: Millis,
    settle: Millis,
    read: impl Fn() -> F,
) -> Result<Answer, E> {
    let answer = read().await?;
    match answer.too_early(due, settle) {
        None => Ok(answer),
        Some(wait) => {
            tokio::time::sleep(wait).await;
            read().await
        }
    }
}

/// What the API says of one URI.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It lives under the URI that was asked for.
    Alive(Arc<Object>),
    /// The answer carries another URI: the subject was absorbed by that one.
    Survivor(Arc<Object>),
    /// 404.
    Nothing,
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReltioError {
    /// Did not succeed within the retry rules; ask again later.
    #[error("Reltio did not answer: {code}")]
    Unavailable {
        /// Status or transport code.
        code: String,
    },
    /// Will not succeed for any subject, as far as one read can tell: credentials, role, tenant.
    #[error("Reltio refuses: {code}; {remedy}")]
    Refused {
        /// Status code.
        code: String,
        /// What a person must do.
        remedy: String,
    },
    /// Will not succeed for this subject (400, 413, 500, 507), or has failed for it again and again
    /// while others were answered.
    #[error("Reltio cannot answer for this object: {code}")]
    Rejected {
        /// Status code.
        code: String,
    },
}

/// Reads of golden records.
#[async_trait]
pub trait RecordReader: Debug + Send + Sync {
    /// What `uri` (`entities/…` or `relations/…`) is.
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError>;

    /// The living entity that has the crosswalk `value` of `source` (short name); `source` and
    /// `value` as in [`Crosswalk`](crate::event::Crosswalk).
    async fn by_crosswalk(&self, source: &str, value: &str) -> Result<Answer, ReltioError>;

    /// The tenant's configuration, read when it is first asked for. Rejected by a reader that has
    /// none.
    async fn model(&self) -> Result<Arc<TenantModel>, ReltioError> {
        Err(ReltioError::Rejected {
            code: "no_configuration".to_owned(),
        })
    }
}
