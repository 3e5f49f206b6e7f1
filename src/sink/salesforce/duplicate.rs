//! What a duplicate rule of the org refuses: a dead letter, or the one record that it names.
//!
//! Guarantee (G9): a record is taken only if it is no one's: goldwire never wrote it, and no crosswalk
//! in Reltio names it for another entity. The org cannot compare and write in one step, so the record
//! is read again after it was written, and the lane is asserted once more: of two entities that took
//! it at the same time the first one finds it lost, and becomes a dead letter.

use std::sync::atomic::{AtomicBool, Ordering};

use super::assertion::Assertion;
use super::org::{Record, RecordWrite, Sought, Table};
use super::procedure::{Cut, Tools};
use crate::sink::{DUPLICATE, SinkError};

/// The rejection of a write for the records that it duplicates.
pub(super) fn refusal(records: Vec<String>, action: &'static str) -> SinkError {
    SinkError::Rejected {
        code: DUPLICATE.to_owned(),
        fields: records,
        action,
    }
}

impl Tools {
    /// Makes the one record of `records` the living entity's, as if it had been created for it;
    /// answers its id. `again` is set before it is written: the lane is to be asserted once more.
    pub(super) async fn link(
        &self,
        table: &Table,
        assertion: &Assertion,
        records: Vec<String>,
        again: &AtomicBool,
    ) -> Result<String, Cut> {
        let [id] = records.as_slice() else {
            return Err(Cut::Duplicate(records, "create"));
        };
        let entity = assertion.subject.uri();
        let sought = || Sought {
            entity: entity.to_owned(),
            homes: true,
            ids: [id.clone()].into(),
        };
        let found = self.org.find(table, sought()).await?;
        let free = found.iter().find(|it| it.id == *id && is_untouched(it));
        let Some(record) = free else {
            return Err(Cut::Duplicate(records, "link"));
        };
        let settled = self.settled(assertion).await;
        let namer = self.namer(record, settled).await?;
        if namer.is_some_and(|namer| namer != entity) {
            return Err(Cut::Duplicate(records, "link"));
        }
        let types = self.org.field_types(table).await?;
        let Some(write) = assertion.chosen_write(Some(record), &types, self.guarded) else {
            return Err(Cut::Again("link".to_owned()));
        };
        let write = RecordWrite {
            home: Some(entity.to_owned()),
            action: "link",
            ..write
        };
        again.store(true, Ordering::Relaxed);
        let linked = self.put(table, write).await?;
        let found = self.org.find(table, sought()).await?;
        let mine = |it: &Record| it.id == linked && it.home.as_deref() == Some(entity);
        if found.iter().any(mine) {
            Ok(linked)
        } else {
            Err(Cut::Duplicate(records, "link"))
        }
    }
}

/// Whether goldwire never wrote it for anybody.
fn is_untouched(record: &Record) -> bool {
    let names = [&record.ext, &record.mark, &record.home];
    names.into_iter().all(Option::is_none) && !record.archived && record.merged_into.is_none()
}
