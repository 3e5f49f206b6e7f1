//! Writing letters.
//!
//! Guarantee (G2): returns when the letters are durable. Without its letter a record has no
//! outcome, so there is nothing to do but try again.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use super::shown_sink;
use crate::event::proto::DeadLetter;
use crate::ledger::{Batch, Store, keys};
use crate::mutation::{self, Mutation};
use crate::task::store_blocking;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Makes letters durable, however long it takes.
pub(crate) async fn write(store: &Arc<dyn Store>, letters: &[DeadLetter]) {
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
