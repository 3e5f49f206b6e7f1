//! Reads that are tried until there is an answer.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Answer, ReltioError};
use crate::backoff::Backoff;
use crate::telemetry::{Episode, Past};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Reads that wait, of the whole process: there is one tenant.
static UNREAD: Episode = Episode::new();
/// What was told of the episode: each code has its remedy.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn told() -> MutexGuard<'static, BTreeSet<String>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until there is an answer, however long that takes; the code, if there will be none for
/// this subject. Each code is told once until the trouble is over, however many reads wait.
pub(crate) async fn until_answered<F>(uri: &str, read: impl Fn() -> F) -> Result<Answer, String>
where
    F: Future<Output = Result<Answer, ReltioError>>,
{
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, uri);
    let mut waiting = None;
    let answer = loop {
        let error = match read().await {
            Ok(answer) => break Ok(answer),
            Err(ReltioError::Rejected { code }) => break Err(code),
            Err(error) => error,
        };
        waiting.get_or_insert_with(|| UNREAD.enter(|| told().clear()));
        if told().insert(error.to_string()) {
            tracing::error!("{error}; reads of Reltio are tried again");
        }
        backoff.wait().await;
    };
    if let Some(waiting) = waiting {
        waiting.over(|Past { records, lasted }| {
            let seconds = lasted.as_secs_f64();
            tracing::info!(records, seconds, "Reltio answers again");
        });
    }
    answer
}
