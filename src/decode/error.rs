//! Why bytes could not be decoded: a stable code, and a sentence that names the place and the shape
//! of what stands there, never a part of the payload (G10).

use super::found::{Found, Place};

/// Why a record could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes, or only white space: a tombstone of a compacted topic, for instance.
    #[error("the body is empty")]
    Empty,
    /// Larger than the source takes, before or after decompression.
    #[error("the body is larger than {limit} bytes; raise the source's `max_body` if it may be")]
    TooLarge {
        /// The source's limit in bytes.
        limit: usize,
    },
    /// Not UTF-8, which JSON has to be.
    #[error("the body is not UTF-8 from byte {from} on")]
    NotUtf8 {
        /// Bytes before the first that is not.
        from: usize,
    },
    /// Not JSON.
    #[error("the body is not JSON from line {line}, column {column} on")]
    NotJson {
        /// Counted from 1; 0 if nothing of it is JSON.
        line: usize,
        /// Counted from 1; 0 if nothing of it is JSON.
        column: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the body is nested deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
    /// Looks like `JSON_ZIP_BASE64`, but is not base64 of gzip.
    #[error("the body is not the base64 of a gzip stream that it begins as")]
    BadZip,
    /// The member of an envelope that should hold the event holds something else.
    #[error("the envelope's `{field}`: found {found}, expected {expected}")]
    BadEnvelope {
        /// The member.
        field: &'static str,
        /// What it is.
        found: Found,
        /// What it should be.
        expected: &'static str,
    },
    /// Envelopes within envelopes.
    #[error("the event is in more than {} layers", super::MAX_LAYERS)]
    TooManyLayers,
    /// A member has the wrong shape, is too long, or is there twice.
    #[error("`{field}`: found {found}, expected {expected}")]
    BadMember {
        /// The member or the header.
        field: &'static str,
        /// What it is.
        found: Found,
        /// What it should be.
        expected: &'static str,
    },
    /// Neither a header nor the body tells what happened.
    #[error("neither `eventType` nor `type` tells what happened")]
    NoType,
    /// Neither a header nor the body tells who it is about.
    #[error("neither `sourceObjectUri` nor `uri` says which object the event is about")]
    NoSubject,
    /// A URI that is not `entities/{id}` or `relations/{id}`.
    #[error("`{field}` is not the URI of an entity or a relation: {why}")]
    BadSubject {
        /// The member or the header.
        field: &'static str,
        /// In which way it is not.
        why: &'static str,
    },
    /// About more than [`MAX_SUBJECTS`](super::MAX_SUBJECTS) subjects.
    #[error("the event is about more than {} subjects", super::MAX_SUBJECTS)]
    TooManySubjects,
    /// Of another tenant than the one configured.
    #[error("`tenantId` is not the configured tenant")]
    UnknownTenant,
    /// Two places that must agree do not: neither is chosen.
    #[error("the event contradicts itself about `{field}`: {first} and {second} differ")]
    Contradiction {
        /// What they disagree about.
        field: &'static str,
        /// One of the two.
        first: Place,
        /// The other.
        second: Place,
    },
}

impl DecodeError {
    /// The stable code, for dead letters and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::TooDeep => "too_deep",
            Self::BadZip => "bad_zip",
            Self::BadEnvelope { .. } | Self::TooManyLayers => "bad_envelope",
            Self::BadMember { .. } => "bad_member",
            Self::NoType => "no_type",
            Self::NoSubject => "no_subject",
            Self::BadSubject { .. } => "bad_subject",
            Self::TooManySubjects => "too_many_subjects",
            Self::UnknownTenant => "unknown_tenant",
            Self::Contradiction { .. } => "contradiction",
        }
    }
}
