//! Writing letters.
//!
//! Guarantee (G2): returns when the letters are durable. Without its letter a record has no
//! outcome, so there is nothing to do but try again. Guarantee (G8): the store has no quota, so
//! letters leave the disk its reserve as appends do, and whoever has to write one waits.

use std::sync::Arc;
use std::time::Duration;

use super::{DeadLetters, shown_sink};
use crate::backoff::Backoff;
use crate::event::proto::DeadLetter;
use crate::log::{LogAppender, LogError, Share};
use crate::mutation::{self, Mutation};
use crate::telemetry::{Episode, InTrouble, Past};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Room on the disk is looked for this often.
const LONGEST_ROOM: Duration = Duration::from_secs(5);

/// Writes that wait, each told once however many they are: of the process, as its log is.
static UNSTORED: Episode = Episode::new();
static NO_ROOM: Episode = Episode::new();

/// Makes letters durable, however long it takes. The log, on the same disk, tells whether there is
/// room for them.
pub(crate) async fn write(
    kept: &dyn DeadLetters,
    (log, share): (&Arc<dyn LogAppender>, Share),
    letters: &[DeadLetter],
) {
    room(log.as_ref(), share).await;
    for letter in letters {
        let DeadLetter {
            sink,
            id,
            reason,
            code,
            detail,
            ..
        } = letter;
        let named = shown_sink(sink);
        let detail = Some(detail.as_str()).filter(|detail| !detail.is_empty());
        tracing::error!(sink = named, id, reason, code, detail, "dead-lettered");
    }
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, "dead letters");
    let mut failing = None;
    loop {
        let error = match kept.put(letters).await {
            Ok(()) => return stored(failing),
            Err(error) => error,
        };
        failing.get_or_insert_with(|| {
            let tell =
                || tracing::error!("dead letters cannot be stored: {error}; will be tried again");
            UNSTORED.enter(tell)
        });
        if mutation::is(Mutation::LetterErrorIgnored) {
            return;
        }
        backoff.wait().await;
    }
}

fn stored(failing: Option<InTrouble<'_>>) {
    if let Some(failing) = failing {
        failing.over(|Past { records, lasted }| {
            let seconds = lasted.as_secs();
            tracing::warn!(
                "dead letters are stored again: {records} writes waited, {seconds} s in all"
            );
        });
    }
}

/// Waits until the disk has room. What is in flight passes together, but is bounded in bytes, and
/// much less than a reserve.
async fn room(log: &dyn LogAppender, share: Share) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_ROOM, "room for dead letters");
    let mut waiting = None;
    while let Err(error @ LogError::DiskFull { .. }) = log.admits(share) {
        waiting
            .get_or_insert_with(|| NO_ROOM.enter(|| tracing::warn!("dead letters wait: {error}")));
        backoff.wait().await;
    }
    if let Some(waiting) = waiting {
        waiting.over(|Past { records, lasted }| {
            let seconds = lasted.as_secs();
            tracing::warn!("dead letters go on: {records} writes waited, {seconds} s in all");
        });
    }
}
