//! Reads of Reltio shared by the records that wait for the same subject.
//!
//! Guarantee (G4): a record takes an answer only if its read began when the record was due, so a
//! shared answer is never older than the one that the record would have got by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;

use super::hydrate::Hydrator;
use crate::engine::read_label;
use crate::reltio::{Answer, ReltioError};
use crate::time::Millis;

/// The newest answer about a subject, and when its read began.
type Newest = Arc<Turn<Option<(Millis, Answer)>>>;

/// Who waits for which subject's read.
#[derive(Debug, Default)]
pub struct SharedReads {
    subjects: Mutex<HashMap<String, Newest>>,
}

impl SharedReads {
    /// What `uri` is, by a read that began at `due` or later. `due` must have come.
    pub(super) async fn read(
        &self,
        with: &Hydrator,
        uri: &str,
        due: Millis,
    ) -> Result<Answer, ReltioError> {
        let newest = self.join(uri);
        let result = {
            let mut turn = newest.lock().await;
            match turn.as_ref() {
                Some((began, answer)) if *began >= due => Ok(answer.clone()),
                _ => {
                    let began = with.clock.now();
                    let result = with.reltio.read(uri).await;
                    with.metrics.read("hydrate", read_label(&result));
                    if let Ok(answer) = &result {
                        *turn = Some((began, answer.clone()));
                    }
                    result
                }
            }
        };
        self.leave(uri, newest);
        result
    }

    fn join(&self, uri: &str) -> Newest {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(subjects.entry(uri.to_owned()).or_default())
    }

    /// The last one to leave takes the answer with it: memory holds only what is waited for (G8).
    fn leave(&self, uri: &str, newest: Newest) {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        drop(newest);
        if subjects
            .get(uri)
            .is_some_and(|newest| Arc::strong_count(newest) == 1)
        {
            subjects.remove(uri);
        }
    }
}
