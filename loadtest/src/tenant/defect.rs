//! Messages that change nothing: noise that a receiver must let pass, and defects that must end in
//! dead letters.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::emission::{Carrier, Emission, Form, Meaning, Payload};
use super::form::{self, Written};
use super::words::id;
use crate::time::Millis;

const PLAIN: Form = Form {
    payload: Payload::Whole,
    compressed: false,
    int004: false,
    upper_case_uri: false,
    enveloped: false,
    clocks: true,
};

/// Messages about nothing, of one tenant.
#[derive(Debug)]
pub(super) struct Defects<'a> {
    pub(super) tenant: &'a str,
    pub(super) start: Millis,
    pub(super) rng: &'a mut ChaCha8Rng,
}

impl Defects<'_> {
    /// A message that moves nothing, sent for `subject`.
    pub(super) fn noise(&mut self, at: Millis, subject: &str) -> Emission {
        let time = self.start + at;
        let (event, body) = if self.rng.random_bool(0.5) {
            let delta = json!({ "matchType": "suspect", "addOrRemove": "ADD", "first": subject });
            let body = json!({
                "type": "ENTITIES_MATCHES_CHANGED",
                "sourceObjectUri": subject,
                "time": time,
                "customFields": { "matchesDelta": [delta.to_string()] },
                "sourceObject": { "uri": subject, "potentialMatchTOs": [] },
            });
            ("ENTITIES_MATCHES_CHANGED", body)
        } else {
            let body = json!({ "type": "ENTITY_BUSINESS_PROCESS_CHANGED", "uri": subject });
            ("ENTITY_BUSINESS_PROCESS_CHANGED", body)
        };
        let metadata = self.metadata(self.tenant.to_owned(), event, subject, time);
        let written = form::write(metadata, &body, false, false);
        self.emission(at, written, PLAIN, Meaning::Noise, vec![subject.to_owned()])
    }

    /// A message that no one can decode, or that is another tenant's: five defects in turn by
    /// `number`. No two messages are alike.
    pub(super) fn malformed(&mut self, at: Millis, number: usize) -> Emission {
        let time = self.start + at;
        let uri = format!("entities/{}", id(self.rng, 9));
        let own = self.tenant.to_owned();
        let event = "ENTITY_CHANGED";
        let snapshot = json!({
            "type": event,
            "object": { "uri": uri, "type": "configuration/entityTypes/Individual" },
        });
        let undecodable = Meaning::Malformed {
            reason: "undecodable",
        };
        let metadata = self.metadata(own, event, &uri, time);
        let (written, meaning): (Written, Meaning) = match number % 5 {
            0 => {
                // Cut off on the way.
                let mut text = snapshot.to_string();
                text.truncate(text.len() - 3);
                ((metadata, text.into()), undecodable)
            }
            1 => {
                // Compressed, and cut off.
                let (headers, body) = form::write(metadata, &snapshot, false, true);
                ((headers, body.slice(..body.len() / 2)), undecodable)
            }
            2 => {
                // Several in one message. (One alone is how Event Grid sends.)
                let array = json!([snapshot, snapshot]);
                (form::write(metadata, &array, false, false), undecodable)
            }
            3 => {
                // About no one.
                let nobody = json!({ "type": event, "nonce": id(self.rng, 12) });
                let left = |(name, _): &(&str, String)| *name != "sourceObjectUri";
                let metadata = metadata.into_iter().filter(left).collect();
                (form::write(metadata, &nobody, false, false), undecodable)
            }
            _ => {
                let metadata = self.metadata(format!("not-{}", self.tenant), event, &uri, time);
                let reason = "unknown_tenant";
                let written = form::write(metadata, &snapshot, false, false);
                (written, Meaning::Malformed { reason })
            }
        };
        self.emission(at, written, PLAIN, meaning, Vec::new())
    }

    fn metadata(
        &mut self,
        tenant: String,
        event: &str,
        subject: &str,
        time: Millis,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("tenantId", tenant),
            ("messageId", form::message_id(self.rng)),
            ("eventType", event.to_owned()),
            ("contentType", "application/json".to_owned()),
            ("sourceObjectUri", subject.to_owned()),
            ("objectVersion", "1".to_owned()),
            ("commitTime", time.to_string()),
        ]
    }

    fn emission(
        &mut self,
        at: Millis,
        (headers, body): Written,
        form: Form,
        meaning: Meaning,
        subjects: Vec<String>,
    ) -> Emission {
        let carriers = [Carrier::Kafka, Carrier::Webhook];
        let carrier = carriers.choose(self.rng).copied();
        Emission {
            at,
            carrier: carrier.unwrap_or(Carrier::Kafka),
            headers,
            body,
            form,
            meaning,
            duplicate: false,
            subjects,
        }
    }
}
