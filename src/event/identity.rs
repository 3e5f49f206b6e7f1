//! The identity of an event: equal for every copy of one change, whatever carried it.
//!
//! Never topic, partition or offset: those name the copy, and change when a broker is rebuilt.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{EventRecord, Holds, Subject, proto::Kind};
use crate::time::Millis;

/// A digest that names one change of one subject: 128 bits are plenty to tell changes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 32]);

impl EventId {
    /// The identity of bytes that could not be decoded.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_digest(&Sha256::digest(bytes))
    }

    fn of_digest(digest: &[u8]) -> Self {
        let mut text = [b'0'; 32];
        let half = digest.get(..16).unwrap_or_default();
        let encoded = hex::encode_to_slice(half, &mut text);
        debug_assert!(encoded.is_ok(), "sixteen bytes are 32 digits");
        Self(text)
    }

    /// The id as text: 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one change of one subject by its clocks: what a row of a history is unique by (G5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeId([u8; 16]);

impl ChangeId {
    /// The change of `subject` with these clocks, whatever brought it.
    pub fn of(subject: &Subject, version: i64, commit_time: Millis) -> Self {
        let mut digest = Sha256::new();
        digest.update(version.to_be_bytes());
        digest.update(commit_time.to_be_bytes());
        digest.update(subject.as_bytes());
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest.finalize()) {
            *to = from;
        }
        Self(id)
    }

    /// The id as it stands in keys.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The identity of `record`: tenant, subject, kind and both clocks; where a clock is missing also
/// a digest of `received`, the bytes as they came.
///
/// A copy that tells less of its subject is another event: the letter of one must not stand for, or
/// be closed by, the other.
///
/// Two hints without clocks that name nothing but their subject have one identity, and may: what
/// they are about is read, and a read for either answers both.
pub fn event_id(record: &EventRecord, received: &[u8]) -> EventId {
    let mut digest = Sha256::new();
    for text in [&record.tenant, &record.subject] {
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest.update(i32::from(Kind::try_from(record.kind).unwrap_or(Kind::Other)).to_be_bytes());
    for clock in [record.version, record.commit_time] {
        digest.update([u8::from(clock.is_some())]);
        digest.update(clock.unwrap_or_default().to_be_bytes());
    }
    if record.clocks().both().is_none() {
        digest.update(received);
    }
    match record.holds() {
        Holds::Everything => {}
        Holds::Values => digest.update([1]),
        Holds::Fields(fields) => {
            digest.update([2]);
            digest.update(fields.to_be_bytes());
        }
    }
    EventId::of_digest(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::{Completeness, State};
    use super::*;

    fn change(version: Option<i64>) -> EventRecord {
        EventRecord {
            tenant: "t".into(),
            subject: "entities/a".into(),
            kind: Kind::Changed.into(),
            version,
            commit_time: Some(5),
            ..EventRecord::default()
        }
    }

    #[test]
    fn g5_copies_in_other_bytes_have_one_identity_when_both_clocks_are_there() {
        assert_eq!(
            event_id(&change(Some(1)), b"delta"),
            event_id(&change(Some(1)), b"snapshot")
        );
        assert_ne!(
            event_id(&change(Some(1)), b"x"),
            event_id(&change(Some(2)), b"x")
        );
    }

    #[test]
    fn g2_a_copy_that_tells_less_is_another_event() {
        let copy = |completeness, fields: &[&str]| {
            let mut record = change(Some(1));
            record.set_state(State::Alive);
            record.set_completeness(completeness);
            record.fields = fields.iter().map(|field| (*field).to_owned()).collect();
            event_id(&record, b"x")
        };
        let ids = [
            copy(Completeness::Whole, &[]),
            copy(Completeness::OvOnly, &[]),
            copy(Completeness::Fields, &["attributes"]),
            copy(Completeness::Fields, &["crosswalks"]),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn without_a_clock_the_bytes_tell_changes_apart() {
        assert_ne!(
            event_id(&change(None), b"one"),
            event_id(&change(None), b"two")
        );
        assert_eq!(
            event_id(&change(None), b"one"),
            event_id(&change(None), b"one")
        );
    }
}
