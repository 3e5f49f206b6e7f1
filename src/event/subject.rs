//! Subjects: the objects that events are about. Subject = log key = lane.

use std::fmt;
use std::sync::Arc;

use super::Object;
use super::proto::State;

/// Tenant and URI (`entities/…` or `relations/…`) of the object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    key: Box<str>,
    tenant: usize,
}

impl Subject {
    /// The subject `uri` of `tenant`. The tenant must not hold a NUL byte; one that does is cut.
    pub fn new(tenant: &str, uri: &str) -> Self {
        let tenant = tenant.split('\0').next().unwrap_or_default();
        Self {
            key: format!("{tenant}\0{uri}").into_boxed_str(),
            tenant: tenant.len(),
        }
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        self.key.get(..self.tenant).unwrap_or_default()
    }

    /// The URI, as Reltio writes it.
    pub fn uri(&self) -> &str {
        self.key.get(self.tenant + 1..).unwrap_or_default()
    }

    /// The bytes that name the subject in a log's key and in the store.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }

    /// Whether the subject is a relation.
    pub fn is_relation(&self) -> bool {
        self.uri().starts_with("relations/")
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

impl SubjectState {
    /// Whether the subject lives.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive(_))
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

    /// The state without its content, as the ledger keeps it.
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
