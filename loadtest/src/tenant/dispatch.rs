//! From what happened to what is sent: ways, forms, copies, delays.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use super::body::{body, type_name};
use super::defect::Defects;
use super::emission::{Carrier, Emission, Form, Meaning, Payload};
use super::form::{self, message_id};
use super::settings::SimulatorSettings;
use super::world::Happening;
use crate::time::Millis;

/// The shortest way from a commit to a queue, ms.
const LEAST_DELAY: Millis = 1;

/// Writes messages.
#[derive(Debug)]
pub(super) struct Dispatch<'a> {
    pub(super) settings: &'a SimulatorSettings,
    pub(super) rng: ChaCha8Rng,
    pub(super) sent: Vec<Emission>,
}

impl Dispatch<'_> {
    /// Writes every message about `event`. At least one of them carries both clocks and stands
    /// for the whole object, be it by making the receiver read it.
    pub(super) fn send(&mut self, event: &Happening) {
        let shares = self.settings.shares;
        let both = self.chance(shares.both);
        let webhook = self.chance(shares.webhook);
        if both || !webhook {
            self.copy(event, Carrier::Kafka);
        }
        if both || webhook {
            self.copy(event, Carrier::Webhook);
        }
        if self.chance(shares.without_clocks) {
            let form = Form {
                clocks: false,
                ..self.form(event)
            };
            self.write(event, Carrier::Kafka, form);
        }
        if !event.event.names_participants() && self.chance(shares.partial) {
            let (carrier, payload) = if self.rng.random_bool(0.5) {
                (Carrier::WebhookFields, Payload::Fields)
            } else {
                (Carrier::WebhookOvOnly, Payload::OvOnly)
            };
            let form = Form {
                payload,
                ..self.form(event)
            };
            self.write(event, carrier, form);
        }
    }

    /// Writes noise and defects, as many as their shares of `events` say, about `subjects`.
    pub(super) fn disturb(&mut self, events: usize, subjects: &[String]) {
        let shares = self.settings.shares;
        let mut defective = 0;
        for _ in 0..events {
            let at = self.rng.random_range(0..=self.settings.duration.max(0));
            let noise = self.chance(shares.noise);
            let malformed = self.chance(shares.malformed);
            let subject = subjects.choose(&mut self.rng).filter(|_| noise);
            let mut defects = Defects {
                tenant: &self.settings.tenant_name,
                start: self.settings.start,
                rng: &mut self.rng,
            };
            let noise = subject.map(|subject| defects.noise(at, subject));
            let malformed = malformed.then(|| defects.malformed(at, defective));
            defective += usize::from(malformed.is_some());
            self.sent.extend(noise.into_iter().chain(malformed));
        }
    }

    /// All messages, in the order in which they are sent.
    pub(super) fn in_order(mut self) -> Vec<Emission> {
        self.sent.sort_by_key(|emission| emission.at);
        self.sent
    }

    fn copy(&mut self, event: &Happening, carrier: Carrier) {
        let form = self.form(event);
        self.write(event, carrier, form);
        if self.chance(self.settings.shares.duplicate)
            && let Some(mut again) = self.sent.last().cloned()
        {
            again.duplicate = true;
            again.at += self.rng.random_range(0..=self.settings.late.max(0));
            self.sent.push(again);
        }
    }

    fn form(&mut self, event: &Happening) -> Form {
        let shares = self.settings.shares;
        let weighed = self.settings.payloads.weighed();
        let drawn = weighed.choose_weighted(&mut self.rng, |(_, weight)| *weight);
        let drawn = drawn.map_or(Payload::Whole, |(payload, _)| *payload);
        Form {
            payload: if event.event.names_participants() {
                Payload::Participants
            } else {
                drawn
            },
            compressed: self.chance(shares.compressed),
            int004: event.event.int004().is_some() && self.chance(shares.int004),
            upper_case_uri: self.chance(shares.upper_case_uri),
            enveloped: self.chance(shares.enveloped),
            clocks: true,
        }
    }

    fn write(&mut self, event: &Happening, carrier: Carrier, form: Form) {
        let mut metadata = vec![
            ("tenantId", self.settings.tenant_name.clone()),
            ("messageId", message_id(&mut self.rng)),
            ("eventType", type_name(event.event, form).to_owned()),
            ("contentType", "application/json".to_owned()),
            ("sourceObjectUri", event.subject.clone()),
        ];
        if form.clocks {
            metadata.push(("objectVersion", event.version.to_string()));
            metadata.push(("commitTime", event.commit_time.to_string()));
        }
        let body = body(event, form);
        let (headers, body) = form::write(metadata, &body, form.enveloped, form.compressed);
        let mut subjects = vec![event.subject.clone()];
        let others = event.uris.iter().filter(|uri| **uri != event.subject);
        subjects.extend(others.cloned());
        let at = self.departure(event);
        self.sent.push(Emission {
            at,
            carrier,
            headers,
            body,
            form,
            meaning: Meaning::Change(event.event),
            duplicate: false,
            subjects,
        });
    }

    fn departure(&mut self, event: &Happening) -> Millis {
        let committed = event.at.max(event.commit_time) - self.settings.start;
        let within = if self.chance(self.settings.shares.late) {
            self.settings.late
        } else {
            self.settings.reorder
        };
        committed + self.rng.random_range(LEAST_DELAY..=within.max(LEAST_DELAY))
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share.clamp(0.0, 1.0))
    }
}
