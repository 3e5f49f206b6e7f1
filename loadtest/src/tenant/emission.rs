//! What the tenant sends: one message, ready for its carrier.

use bytes::Bytes;

use super::event_type::EventType;
use crate::time::Millis;

/// The way that a message takes. Each is a source of its own at the receiver, because a payload
/// does not tell what an absent field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// The tenant's topic. Completeness: whole.
    Kafka,
    /// A webhook. Completeness: whole.
    Webhook,
    /// A webhook with selected fields. Completeness: the fields
    /// [`SELECTED_FIELDS`](super::SELECTED_FIELDS).
    WebhookFields,
    /// A webhook with operational values. Completeness: `ov_only`.
    WebhookOvOnly,
}

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payload {
    /// The snapshot.
    Whole,
    /// The snapshot and what changed.
    WholeWithDelta,
    /// What changed.
    Delta,
    /// The event type alone.
    IdOnly,
    /// `exceededQueueSizeLimit`, and no object.
    Oversize,
    /// The snapshot's selected fields.
    Fields,
    /// The snapshot with operational values only.
    OvOnly,
    /// `uris` of a merge or a split, which have no other payload.
    Participants,
}

/// How a message is written.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, made for each message"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// What the body holds.
    pub payload: Payload,
    /// Whether the body is base64 of gzip.
    pub compressed: bool,
    /// Whether the event type is INT-004's.
    pub int004: bool,
    /// Whether it says `URI`.
    pub upper_case_uri: bool,
    /// Whether the metadata is in an envelope and not in headers.
    pub enveloped: bool,
    /// Whether the metadata holds version and commit time.
    pub clocks: bool,
}

/// What a receiver must make of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// A change of its subject.
    Change(EventType),
    /// Something that moves nothing: a match, a type that no one knows.
    Noise,
    /// Nothing: it ends in dead letters for this reason (`undecodable`, `unknown_tenant`).
    Malformed {
        /// The dead letter's reason.
        reason: &'static str,
    },
}

/// A message of the tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// When it is sent, ms after the script's start. Never before its change's commit time.
    pub at: Millis,
    /// The way it takes.
    pub carrier: Carrier,
    /// Record headers or HTTP headers, in Reltio's spelling.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// How it is written.
    pub form: Form,
    /// What it means.
    pub meaning: Meaning,
    /// Whether it is an exact copy of an earlier message.
    pub duplicate: bool,
    /// The URIs that it is about: the one it is sent for, then other participants.
    pub subjects: Vec<String>,
}
