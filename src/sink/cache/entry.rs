//! What the table keeps of an entity, and what it is found by. Pure.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::event::{Crosswalk, Object, State, SubjectState};
use crate::sink::partial::{NoObject, Partial};
use crate::sink::{Current, SinkError};
use crate::time::Millis;

/// Bytes of a [`Claim`]: no two crosswalks of any tenant share 128 bits of SHA-256.
const CLAIM: usize = 16;

/// A crosswalk as a key: the same length for all, and its value is not told.
pub(super) type Claim = [u8; CLAIM];

/// What is kept of an entity, dead ones included.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// The time the content stands for, ms.
    #[prost(int64, tag = "1")]
    pub content_time: Millis,
    /// Reltio's version, where one is known.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
    /// What the entity is.
    #[prost(enumeration = "State", tag = "3")]
    pub state: i32,
    /// Short name of the type; empty if nothing told.
    #[prost(string, tag = "4")]
    pub object_type: String,
    /// Who absorbed it, where that is known.
    #[prost(string, optional, tag = "5")]
    pub absorbed_by: Option<String>,
    /// What it is found by, besides its URI. An absorbed entity keeps what it had.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub claims: Vec<Bytes>,
    /// The object's JSON as it came; empty of what is dead.
    #[prost(bytes = "bytes", tag = "7")]
    pub object: Bytes,
}

impl Entry {
    /// What is to be kept after `current`, where `before` was kept.
    ///
    /// # Errors
    /// Rejected if only some members are known, and there is no object to lay them over.
    pub(super) fn after(
        before: Option<&Self>,
        object_type: &str,
        current: &Current,
    ) -> Result<Self, SinkError> {
        let mut entry = Self {
            content_time: current.content_time,
            version: current.version,
            object_type: object_type.to_owned(),
            ..Self::default()
        };
        entry.set_state(current.state.tag());
        match &current.state {
            SubjectState::Alive(object) => entry.hold(before, object, current)?,
            SubjectState::Absorbed { by } => {
                entry.absorbed_by.clone_from(by);
                // The survivor's record may come later than this: until then the loser's crosswalks
                // lead to it.
                entry.claims = before.map(|of| of.claims.clone()).unwrap_or_default();
            }
            SubjectState::Removed | SubjectState::Erased | SubjectState::Gone => {}
        }
        Ok(entry)
    }

    fn hold(
        &mut self,
        before: Option<&Self>,
        object: &Object,
        current: &Current,
    ) -> Result<(), SinkError> {
        let merged = match &current.fields {
            None => None,
            Some(fields) => {
                let before = before.and_then(Self::text);
                let text = Partial { fields, object }.over(before);
                let text = text.map_err(|NoObject| unfit())?;
                Some(Object::parse(text.as_bytes()).map_err(|_| unfit())?)
            }
        };
        let object = merged.as_ref().unwrap_or(object);
        if self.object_type.is_empty() {
            let own = object.object_type().unwrap_or_default();
            own.clone_into(&mut self.object_type);
        }
        // What ends later than this content is left to the event that tells it.
        let crosswalks = object.crosswalks().unwrap_or_default().iter();
        let lasting = crosswalks.filter(|one| !one.is_deleted(self.content_time));
        self.claims = lasting.map(claim_of).collect();
        self.claims.sort_unstable();
        self.claims.dedup();
        self.object = object.text().clone();
        Ok(())
    }

    /// The object's JSON, if it lives.
    pub(super) fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.object).ok();
        text.filter(|text| !text.is_empty())
    }
}

fn claim_of(crosswalk: &Crosswalk) -> Bytes {
    Bytes::copy_from_slice(&claim(&crosswalk.source, &crosswalk.value))
}

/// The key of the crosswalk `value` of `source`, a short name.
pub(super) fn claim(source: &str, value: &str) -> Claim {
    let mut digest = Sha256::new();
    // With its length, so that no end of one can be taken for a beginning of the other.
    digest.update(source.len().to_be_bytes());
    digest.update(source);
    digest.update(value);
    let digest = digest.finalize();
    let mut claim = Claim::default();
    claim
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    claim
}

fn unfit() -> SinkError {
    SinkError::Rejected {
        code: "no_object".to_owned(),
        fields: vec!["object".to_owned()],
        action: "keep",
    }
}
