//! What the tenant sends: every event at least once by some way, in some payload, at some time.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use goldwire::config::Secret;
use goldwire::time::Millis;
use goldwire::webhook::SignatureScheme;
use goldwire::webhook::signature::{Key, sign};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::fault::Fault;
use super::kafka::Doors;
use super::plan::{Plan, SKEW};
use super::script::{Happening, Script};
use super::world::{World, millis};

/// The secret of the webhooks.
pub(crate) const SECRET: &str = "whsec_Z29sZHdpcmUgc2ltdWxhdGlvbiBzZWNyZXQ=";
/// What the source of selected fields is configured for.
pub(crate) const FIELDS: [&str; 3] = ["uri", "type", "attributes"];

/// The way of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A partition of the topic.
    Topic(i32),
    /// A webhook of whole objects.
    Hook,
    /// A webhook of selected fields.
    Part,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Emission {
    pub(crate) at: Millis,
    pub(crate) door: Door,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Subjects, and the moments that its receiver must have reached when it is through with it.
    pub(crate) about: Vec<(String, u64)>,
    /// No one can decode it.
    pub(crate) malformed: bool,
    /// The row that a history must hold for it: a whole payload with both clocks.
    pub(crate) row: Option<(String, i64, Millis)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    Whole,
    Delta,
    IdOnly,
    Oversize,
    Fields,
}

pub(crate) fn emissions(plan: &Plan, script: &Script, rng: &mut ChaCha8Rng) -> Vec<Emission> {
    let mut sent = Vec::new();
    for happening in &script.happenings {
        let mut writer = Writer {
            plan,
            happening,
            rng,
        };
        let copies = 1 + usize::from(writer.rng.random_bool(0.35));
        for _ in 0..copies {
            let copy = writer.copy();
            if writer.rng.random_bool(0.15) {
                let mut again = copy.clone();
                again.at += writer.rng.random_range(0..=plan.late);
                sent.push(again);
            }
            sent.push(copy);
        }
        if writer.happening.object.is_some() && writer.rng.random_bool(0.15) {
            sent.push(writer.write(Payload::Fields));
        }
    }
    if rng.random_bool(0.3) {
        for (number, body) in ["{", "\u{fffd}", "[]"].into_iter().enumerate() {
            sent.push(Emission {
                at: super::plan::START + rng.random_range(0..5000),
                door: if number == 0 {
                    Door::Hook
                } else {
                    Door::Topic(0)
                },
                headers: vec![("tenantid", "acme".to_owned())],
                body: body.to_owned(),
                about: Vec::new(),
                malformed: true,
                row: None,
            });
        }
    }
    sent.sort_by_key(|emission| emission.at);
    for (index, emission) in sent.iter_mut().enumerate() {
        emission.headers.push(("messageid", format!("m{index}")));
    }
    sent
}

/// The number of the message with an id.
pub(crate) fn number(message_id: &str) -> Option<usize> {
    message_id.strip_prefix('m')?.parse().ok()
}

struct Writer<'a> {
    plan: &'a Plan,
    happening: &'a Happening,
    rng: &'a mut ChaCha8Rng,
}

impl Writer<'_> {
    fn copy(&mut self) -> Emission {
        let payload = match self.rng.random_range(0..10) {
            0 => Payload::Delta,
            1 => Payload::IdOnly,
            2 => Payload::Oversize,
            _ => Payload::Whole,
        };
        self.write(payload)
    }

    fn write(&mut self, payload: Payload) -> Emission {
        let happening = self.happening;
        let door = match payload {
            Payload::Fields => Door::Part,
            _ if self.rng.random_bool(0.4) => Door::Hook,
            Payload::Whole | Payload::Delta | Payload::IdOnly | Payload::Oversize => {
                Door::Topic(self.rng.random_range(0..2))
            }
        };
        let version = !self.rng.random_bool(self.plan.no_version);
        let time = !self.rng.random_bool(self.plan.no_time);
        let mut headers = vec![
            ("tenantid", "acme".to_owned()),
            ("eventtype", happening.name.to_owned()),
        ];
        // Who survived a merge is not always said.
        if happening.uris.is_empty() || self.rng.random_bool(0.8) {
            headers.push(("sourceobjecturi", happening.subject.clone()));
        }
        if version {
            headers.push(("objectversion", happening.version.to_string()));
        }
        if time {
            headers.push(("committime", happening.commit_time.to_string()));
        }
        let late = self.rng.random_range(0..4) == 0;
        let way = if late { self.plan.late } else { 300 };
        let whole = payload == Payload::Whole && happening.object.is_some();
        Emission {
            at: happening.at + SKEW + self.rng.random_range(1..=way),
            door,
            headers,
            body: self.body(payload).to_string(),
            about: happening.about.clone(),
            malformed: false,
            row: (whole && version && time).then(|| {
                let subject = happening.subject.clone();
                (subject, happening.version, happening.commit_time)
            }),
        }
    }

    fn body(&self, payload: Payload) -> Value {
        let happening = self.happening;
        let name = happening.name;
        if !happening.uris.is_empty() {
            return json!({ "type": name, "uris": happening.uris });
        }
        let uri = &happening.subject;
        let Some(object) = &happening.object else {
            return json!({ "type": name, "object": { "uri": uri } });
        };
        match payload {
            Payload::Whole => json!({ "type": name, "object": object.json() }),
            Payload::Delta => json!({ "type": name, "uri": uri, "deltas": {
                "delta": [{ "type": "ATTRIBUTE_CHANGED", "newValue": { "value": "delta" } }] } }),
            Payload::IdOnly => json!({ "type": name }),
            Payload::Oversize => json!({ "type": name, "exceededQueueSizeLimit": true }),
            Payload::Fields => {
                let some: serde_json::Map<String, Value> = FIELDS
                    .into_iter()
                    .map(|field| (field.to_owned(), object.json()[field].clone()))
                    .collect();
                json!({ "type": name, "object": some })
            }
        }
    }
}

/// Sends what is due, and sends again what an earlier life did not answer.
pub(crate) async fn play(world: Arc<World>, doors: Arc<Doors>) {
    let open: Vec<usize> = world.lock().unanswered.iter().copied().collect();
    for index in open {
        tokio::spawn(post(Arc::clone(&world), Arc::clone(&doors), index));
    }
    loop {
        let next = world.lock().sent;
        let Some(emission) = world.emissions.get(next) else {
            return;
        };
        tokio::time::sleep(millis(emission.at - world.now())).await;
        world.lock().sent += 1;
        match emission.door {
            Door::Topic(partition) => world.append_to_topic(partition, next),
            Door::Hook | Door::Part => {
                world.lock().unanswered.insert(next);
                tokio::spawn(post(Arc::clone(&world), Arc::clone(&doors), next));
            }
        }
    }
}

/// Posts a message until it is answered 200.
async fn post(world: Arc<World>, doors: Arc<Doors>, index: usize) {
    let emission = &world.emissions[index];
    let path = if emission.door == Door::Part {
        "/part"
    } else {
        "/hook"
    };
    let key = Key::new(SignatureScheme::Standard, &Secret::new(SECRET)).unwrap();
    let from = std::net::SocketAddr::from(([10, 0, 0, 1], 4000));
    loop {
        let mut request = Request::post(path);
        for (name, value) in &emission.headers {
            request = request.header(*name, value);
        }
        let (now, id) = (world.now(), format!("m{index}"));
        for (name, value) in sign(
            SignatureScheme::Standard,
            &key,
            &id,
            now,
            emission.body.as_bytes(),
        ) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(emission.body.clone())).unwrap();
        world.pause(20).await;
        let Some((host, reception)) = doors.pick() else {
            tokio::time::sleep(millis(1000)).await;
            continue;
        };
        let answer = tokio::select! {
            biased;
            answer = reception.take(from, request) => answer,
            () = host.gone() => continue,
            () = patience(&world) => continue,
        };
        if answer.status().is_success() {
            world.answered(index);
        }
        world.note(|| format!("webhook m{index} answered {}", answer.status()));
        if answer.status().is_success() && !world.hits(Fault::HookAnswerLost) {
            world.lock().unanswered.remove(&index);
            return;
        }
        tokio::time::sleep(millis(1000)).await;
    }
}

/// Who sends to several instances waits for none of them without end.
async fn patience(world: &World) {
    match world.plan.cluster {
        Some(_) => tokio::time::sleep(millis(10_000)).await,
        None => std::future::pending().await,
    }
}
