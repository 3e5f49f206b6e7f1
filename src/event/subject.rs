//! Subjects: the objects that events are about. Subject = log key = lane.

use std::fmt;
use std::sync::Arc;

use super::Object;
use super::proto::State;
use crate::time::Millis;

/// Tenant and URI (`entities/…` or `relations/…`) of the object that an event is about. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Tenant, a NUL byte, URI.
    key: Arc<[u8]>,
}

impl Subject {
    /// The subject `uri` of `tenant`. The tenant must not hold a NUL byte; one that does is cut.
    pub fn new(tenant: &str, uri: &str) -> Self {
        let [tenant, uri] = Self::parts(tenant, uri);
        // One allocation of the right size.
        let parts = tenant.bytes().chain(std::iter::once(0));
        Self {
            key: parts.chain(uri.bytes()).collect(),
        }
    }

    /// The subject that [`Self::as_bytes`] names.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self { key: bytes.into() }
    }

    fn part(&self, number: usize) -> &str {
        let part = self.key.splitn(2, |byte| *byte == 0).nth(number);
        std::str::from_utf8(part.unwrap_or_default()).unwrap_or_default()
    }

    /// What the key is made of, with a NUL byte between.
    pub(crate) fn parts<'a>(tenant: &'a str, uri: &'a str) -> [&'a str; 2] {
        [tenant.split('\0').next().unwrap_or_default(), uri]
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        self.part(0)
    }

    /// The URI, as Reltio writes it.
    pub fn uri(&self) -> &str {
        self.part(1)
    }

    /// The bytes that name the subject in a log's key and in the store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.key
    }

    /// Whether the subject is a relation.
    pub fn is_relation(&self) -> bool {
        self.uri().starts_with("relations/")
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant(), self.uri())
    }
}

/// What a subject is at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum SubjectState {
    /// It lives, and this is its snapshot.
    Alive(Arc<Object>),
    /// Another subject took it over in a merge.
    Absorbed {
        /// The survivor's URI, where it is known.
        by: Option<String>,
    },
    /// It was removed.
    Removed,
    /// It was removed under GDPR: its content must go everywhere.
    Erased,
    /// Reltio does not know it (404): dead, cause unknown.
    Gone,
}

/// How much alive a subject is, the most alive first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// It lives.
    Active,
    /// It lives, and its end date has passed: inactive in Reltio.
    Ended,
    /// It is absorbed, removed, erased or gone.
    Dead,
}

impl Life {
    /// Of a state, and whether what lives had ended.
    pub(crate) fn of(state: State, ended: bool) -> Self {
        match (state.is_dead(), ended) {
            (true, _) => Self::Dead,
            (false, true) => Self::Ended,
            (false, false) => Self::Active,
        }
    }
}

impl State {
    /// Whether the subject is dead: absorbed, removed, erased or gone.
    pub fn is_dead(self) -> bool {
        match self {
            Self::Absorbed | Self::Removed | Self::Erased | Self::Gone => true,
            Self::Unknown | Self::Alive => false,
        }
    }
}

impl SubjectState {
    /// Whether the subject lives.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive(_))
    }

    /// Whether it lives and has ended at `now`.
    pub fn is_ended(&self, now: Millis) -> bool {
        match self {
            Self::Alive(object) => object.activity().is_ended(now),
            Self::Absorbed { .. } | Self::Removed | Self::Erased | Self::Gone => false,
        }
    }

    /// The state in a word, as analysts read it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Alive(_) => "alive",
            Self::Absorbed { .. } => "absorbed",
            Self::Removed => "removed",
            Self::Erased => "erased",
            Self::Gone => "gone",
        }
    }

    /// The state without its content, as the store keeps it.
    pub fn tag(&self) -> State {
        match self {
            Self::Alive(_) => State::Alive,
            Self::Absorbed { .. } => State::Absorbed,
            Self::Removed => State::Removed,
            Self::Erased => State::Erased,
            Self::Gone => State::Gone,
        }
    }
}
