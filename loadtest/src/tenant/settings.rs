//! How a simulated tenant behaves.

use super::emission::Payload;
use crate::time::Millis;

/// A simulated tenant. The same settings make the same script.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// Everything random follows from it.
    pub seed: u64,
    /// The tenant's id.
    pub tenant_name: String,
    /// Distinct events of the tenant, at least; copies and defects come on top.
    pub events: usize,
    /// When the script begins, ms since 1970: the time at which it will be played.
    pub start: Millis,
    /// From the first change to the last, ms.
    pub duration: Millis,
    /// How far apart the clocks of the tenant's nodes are, less than this, ms.
    pub clock_skew: Millis,
    /// How long after its change an event is sent, at most, ms.
    pub reorder: Millis,
    /// How long after its change a late event is sent, at most, ms.
    pub late: Millis,
    /// How often what happens on the way.
    pub shares: Shares,
    /// How often which payload, by weight.
    pub payloads: Payloads,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            tenant_name: "demo".to_owned(),
            events: 3000,
            start: 1_767_225_600_000,
            duration: 10_000,
            clock_skew: 200,
            reorder: 500,
            late: 3000,
            shares: Shares::default(),
            payloads: Payloads::default(),
        }
    }
}

/// Shares of events, each from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// Sent by webhook instead of Kafka.
    pub webhook: f64,
    /// Sent by both.
    pub both: f64,
    /// Sent again, byte for byte.
    pub duplicate: f64,
    /// Sent once more as one of a webhook's partial payloads: selected fields, or operational
    /// values only. Their source must be configured for it; see [`Carrier`](super::Carrier).
    pub partial: f64,
    /// Sent once more without version or commit time, as by a second configuration.
    pub without_clocks: f64,
    /// Sent late.
    pub late: f64,
    /// Body compressed and base64.
    pub compressed: f64,
    /// In INT-004's vocabulary, where it has a word.
    pub int004: f64,
    /// `URI` instead of `uri`.
    pub upper_case_uri: f64,
    /// Metadata in an envelope around the body instead of headers.
    pub enveloped: f64,
    /// Of all events: one that no one can decode, on top.
    pub malformed: f64,
    /// Of all events: one that moves nothing, on top.
    pub noise: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            webhook: 0.25,
            both: 0.2,
            duplicate: 0.1,
            partial: 0.03,
            without_clocks: 0.01,
            late: 0.03,
            compressed: 0.15,
            int004: 0.2,
            upper_case_uri: 0.1,
            enveloped: 0.2,
            malformed: 0.002,
            noise: 0.02,
        }
    }
}

/// Weights of the payload types. Delta, id only and oversize make the receiver read Reltio.
#[derive(Debug, Clone, Copy)]
pub struct Payloads {
    /// Full snapshot.
    pub whole: u32,
    /// Full snapshot with its delta.
    pub whole_with_delta: u32,
    /// Delta alone.
    pub delta: u32,
    /// Type alone; the URI is in the metadata.
    pub id_only: u32,
    /// Claim check of an event beyond the provider's limit.
    pub oversize: u32,
}

impl Default for Payloads {
    fn default() -> Self {
        Self {
            whole: 80,
            whole_with_delta: 10,
            delta: 5,
            id_only: 3,
            oversize: 2,
        }
    }
}

impl Payloads {
    pub(super) fn weighed(self) -> [(Payload, u32); 5] {
        [
            (Payload::Whole, self.whole),
            (Payload::WholeWithDelta, self.whole_with_delta),
            (Payload::Delta, self.delta),
            (Payload::IdOnly, self.id_only),
            (Payload::Oversize, self.oversize),
        ]
    }
}
