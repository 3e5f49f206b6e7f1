//! A letter in the store: its head, which says what, where and why, and its record, which may be
//! large, each under a key of its own.
//!
//! Guarantee (G8): whoever counts, lists or filters letters loads heads. A letter of format 1 has its
//! record in the head; it is read as it is, and only by itself.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;

use super::{DeadLetter, UNREADABLE};
use crate::store::{Batch, Store, StoreError, keys};

/// Puts `letter`, or puts it again.
pub fn put(batch: &mut Batch, letter: &DeadLetter) {
    let DeadLetter {
        sink, id, round, ..
    } = letter;
    let record = DeadLetter {
        headers: letter.headers.clone(),
        original: letter.original.clone(),
        ..DeadLetter::default()
    };
    let head = head(letter.clone());
    batch.put(keys::dead_letter(sink, id, *round), head.encode_to_vec());
    let key = keys::dead_letter_record(sink, id, *round);
    batch.put(key, record.encode_to_vec());
}

/// Closes a letter. One that is closed already stays closed.
pub fn close(batch: &mut Batch, sink: &str, id: &str, round: u32) {
    batch.remove(keys::dead_letter(sink, id, round));
    batch.remove(keys::dead_letter_record(sink, id, round));
}

/// The letter at `key` without its record, if it is open. Blocks on the disk.
pub(super) fn get_head(store: &dyn Store, key: &[u8]) -> Result<Option<DeadLetter>, StoreError> {
    let value = store.get(key)?;
    Ok(value.map(|value| head(decode(key, &value))))
}

/// The letter at `key` with its record, if it is open. Blocks on the disk.
pub(super) fn get(store: &dyn Store, key: &[u8]) -> Result<Option<DeadLetter>, StoreError> {
    let Some(value) = store.get(key)? else {
        return Ok(None);
    };
    let mut letter = decode(key, &value);
    let apart = keys::dead_letter_record(&letter.sink, &letter.id, letter.round);
    if letter.original.is_empty()
        && let Some(record) = store.get(&apart)?
    {
        match DeadLetter::decode(record.as_slice()) {
            Ok(record) => {
                letter.headers = record.headers;
                letter.original = record.original;
            }
            Err(_) => UNREADABLE.clone_into(&mut letter.reason),
        }
    }
    Ok(Some(letter))
}

/// A letter without its record, of which the size stays.
fn head(letter: DeadLetter) -> DeadLetter {
    let bytes = u64::try_from(letter.original.len()).unwrap_or(u64::MAX);
    DeadLetter {
        original_bytes: letter.original_bytes.max(bytes),
        headers: HashMap::default(),
        original: Bytes::default(),
        ..letter
    }
}

/// The sink of a letter's key, `d/{sink}\0…`.
fn sink_of(key: &[u8]) -> String {
    let rest = key.strip_prefix(keys::DEAD_LETTERS).unwrap_or_default();
    let sink = rest.split(|byte| *byte == 0).next();
    String::from_utf8_lossy(sink.unwrap_or_default()).into_owned()
}

/// One letter that cannot be read does not hide the others: its key still tells its name.
fn decode(key: &[u8], value: &[u8]) -> DeadLetter {
    DeadLetter::decode(value).unwrap_or_else(|_| {
        let rest = key.split_last_chunk::<4>();
        let (name, round) = rest.unwrap_or((key, &[0; 4]));
        let id = name.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        DeadLetter {
            sink: sink_of(key),
            id: String::from_utf8_lossy(id).into_owned(),
            round: u32::from_be_bytes(*round),
            stage: "store".to_owned(),
            reason: UNREADABLE.to_owned(),
            code: "of_another_version".to_owned(),
            ..DeadLetter::default()
        }
    })
}
