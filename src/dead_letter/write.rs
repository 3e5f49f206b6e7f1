//! Writing letters.
//!
//! Guarantee (G2): returns when the letters are durable. Without its letter a record has no
//! outcome, so there is nothing to do but try again. Guarantee (G8): the store has no quota, so
//! letters leave the disk its reserve as appends do, and whoever has to write one waits.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use super::shown_sink;
use crate::event::proto::DeadLetter;
use crate::ledger::{Batch, Store, keys};
use crate::log::{Log, LogError, Share};
use crate::mutation::{self, Mutation};
use crate::task::store_blocking;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Room on the disk is looked for this often.
const LONGEST_ROOM: Duration = Duration::from_secs(5);

/// Makes letters durable, however long it takes. The log, on the same disk, tells whether there is
/// room for them.
pub(crate) async fn write(
    store: &Arc<dyn Store>,
    (log, share): (&Arc<dyn Log>, Share),
    letters: &[DeadLetter],
) {
    room(log.as_ref(), share).await;
    let mut batch = Batch::default();
    for letter in letters {
        let DeadLetter {
            sink,
            id,
            round,
            reason,
            code,
            ..
        } = letter;
        let named = shown_sink(sink);
        tracing::error!(sink = named, id, reason, code, "dead-lettered");
        batch.put(keys::dead_letter(sink, id, *round), letter.encode_to_vec());
    }
    let mut wait = FIRST_WAIT;
    loop {
        let attempt = batch.clone();
        match store_blocking(store, move |store| store.commit(attempt)).await {
            Ok(()) => return,
            Err(error) => tracing::error!("dead letters cannot be stored: {error}"),
        }
        if mutation::is(Mutation::LetterErrorIgnored) {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// Waits until the disk has room. What is in flight passes together, but is bounded in bytes, and
/// much less than a reserve.
async fn room(log: &dyn Log, share: Share) {
    let mut wait = FIRST_WAIT;
    while let Err(error @ LogError::DiskFull { .. }) = log.admits(share) {
        if wait == FIRST_WAIT {
            tracing::warn!("dead letters wait: {error}");
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_ROOM);
    }
}
