//! Draws a tenant's script.
//!
//! Small objects, and everything that Reltio's clocks do: nodes' clocks differ, versions restart
//! after a re-creation and run backwards after a restore, which sends no event.

use std::collections::BTreeMap;
use std::sync::Arc;

use goldwire::event::Object;
use goldwire::sink::salesforce::ids;
use goldwire::time::Millis;
use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::plan::{Plan, SKEW, START};
use super::script::{Happening, Moment, Script, Truth, contacts_of};

/// The source whose crosswalks name CRM records.
const CRM_SOURCE: &str = "SFDC";

#[derive(Debug, Clone, Default)]
struct Entity {
    version: i64,
    alive: bool,
    text: String,
    links: Vec<(String, usize)>,
    /// Merged into, and which links to give back.
    lost: Option<(String, Vec<(String, usize)>)>,
}

/// Writes a script.
struct Writer<'a> {
    rng: &'a mut ChaCha8Rng,
    script: Script,
    now: Millis,
    seq: u64,
    entities: BTreeMap<String, Entity>,
    /// Versions of what is created again start at one.
    restart: bool,
    /// A subject may have had a version before.
    repeats: bool,
}

impl Script {
    pub(crate) fn write(plan: &Plan, rng: &mut ChaCha8Rng) -> Self {
        let restart = rng.random_bool(0.5);
        let mut writer = Writer {
            script: Self::default(),
            now: START,
            seq: 0,
            entities: BTreeMap::new(),
            restart,
            repeats: restart || plan.restores,
            rng,
        };
        for number in 0..plan.entities {
            let uri = format!("entities/e{number}");
            let mut entity = Entity::default();
            for link in 0..writer.rng.random_range(0..=2) {
                let contact = ids::canonical(&format!("003{number:011}{link}")).unwrap();
                writer.script.contacts.push(contact.clone());
                entity.links.push((contact, number * 10 + link));
            }
            writer.entities.insert(uri, entity);
        }
        for number in 0..plan.relations {
            let uri = format!("relations/r{number}");
            writer.entities.insert(uri, Entity::default());
        }
        for _ in 0..plan.operations {
            writer.now += pick(writer.rng, &[1, 50, 200, 1000, 5000]);
            writer.step(plan);
        }
        writer.script
    }
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

impl Writer<'_> {
    fn step(&mut self, plan: &Plan) {
        let uris: Vec<String> = self.entities.keys().cloned().collect();
        // Changes of one subject come in bursts.
        let mut uri = uris.choose(self.rng).unwrap().clone();
        if let Some(last) = self.script.happenings.last()
            && self.rng.random_bool(0.4)
        {
            uri.clone_from(&last.subject);
        }
        let entity = self.entities[&uri].clone();
        let roll: f64 = self.rng.random();
        if plan.restores && roll > 0.93 && self.script.past.contains_key(&uri) {
            self.restore(&uri);
            return;
        }
        if entity.lost.is_some() {
            self.unmerge(&uri);
        } else if !entity.alive {
            self.create(&uri);
        } else if roll < 0.12 {
            self.remove(&uri, roll < 0.03);
        } else if roll < 0.35 && uri.starts_with("entities/") {
            let other = uris.choose(self.rng).unwrap().clone();
            if self.entities[&other].alive && other != uri && other.starts_with("entities/") {
                self.merge(&uri, &other);
            } else {
                self.change(&uri);
            }
        } else {
            self.change(&uri);
        }
    }

    /// The commit time of what happens now. Where versions come again no millisecond does: two
    /// changes of one subject with both clocks alike would be one to anybody.
    fn commit_time(&mut self) -> Millis {
        loop {
            let time = self.now + self.rng.random_range(0..SKEW);
            let mut past = self.script.past.values().flatten();
            if !self.repeats || past.all(|moment| moment.commit_time != time) {
                return time;
            }
        }
    }

    fn object(uri: &str, entity: &Entity) -> Arc<Object> {
        let (kind, ends) = if uri.starts_with("relations/") {
            ("relationTypes/WorksFor", true)
        } else {
            ("entityTypes/Individual", false)
        };
        let crosswalks: Vec<Value> = entity
            .links
            .iter()
            .map(|(contact, order)| {
                json!({
                    "type": format!("configuration/sources/{CRM_SOURCE}"),
                    "value": contact,
                    "createDate": format!("2026-01-01T00:00:{:02}.000Z", order % 60),
                })
            })
            .collect();
        let mut object = json!({
            "uri": uri,
            "type": format!("configuration/{kind}"),
            "attributes": { "FirstName": [{ "ov": true, "value": entity.text }] },
            "crosswalks": crosswalks,
        });
        if ends {
            object["startObject"] = json!({ "objectURI": "entities/e0" });
            object["endObject"] = json!({ "objectURI": "entities/e1" });
        }
        Arc::new(Object::parse(object.to_string().as_bytes()).unwrap())
    }

    /// Puts down a moment; returns what events of it need.
    fn moment(&mut self, uri: &str, commit_time: Millis, truth: Truth) -> (i64, u64) {
        self.seq += 1;
        let version = self.entities[uri].version;
        let moment = Moment {
            at: self.now,
            seq: self.seq,
            version,
            commit_time,
            truth,
            restored: false,
        };
        self.script
            .past
            .entry(uri.to_owned())
            .or_default()
            .push(moment);
        (version, self.seq)
    }

    /// The entity lives on, with new text.
    fn lives(&mut self, uri: &str, commit_time: Millis) -> (i64, u64, Arc<Object>) {
        let next = self.seq + 1;
        let entity = self.entities.get_mut(uri).unwrap();
        entity.version += 1;
        entity.text = format!("s{next}");
        let entity = entity.clone();
        let object = Self::object(uri, &entity);
        let (version, seq) = self.moment(uri, commit_time, Truth::Alive(Arc::clone(&object)));
        (version, seq, object)
    }

    fn tell(
        &mut self,
        name: &'static str,
        uri: &str,
        commit_time: Millis,
        is: (i64, u64, Option<Arc<Object>>),
    ) {
        let (version, seq, object) = is;
        self.script.happenings.push(Happening {
            name,
            subject: uri.to_owned(),
            at: self.now,
            version,
            commit_time,
            uris: Vec::new(),
            about: vec![(uri.to_owned(), seq)],
            object,
        });
    }

    fn create(&mut self, uri: &str) {
        let commit_time = self.commit_time();
        let restart = self.restart;
        let entity = self.entities.get_mut(uri).unwrap();
        if restart {
            entity.version = 0;
        }
        entity.alive = true;
        let (version, seq, object) = self.lives(uri, commit_time);
        let name = relation_or(uri, "RELATIONSHIP_CREATED", "ENTITY_CREATED");
        self.tell(name, uri, commit_time, (version, seq, Some(object)));
    }

    fn change(&mut self, uri: &str) {
        let commit_time = self.commit_time();
        let (version, seq, object) = self.lives(uri, commit_time);
        let name = relation_or(uri, "RELATIONSHIP_CHANGED", "ENTITY_CHANGED");
        self.tell(name, uri, commit_time, (version, seq, Some(object)));
    }

    fn remove(&mut self, uri: &str, erase: bool) {
        let commit_time = self.commit_time();
        let erase = erase && uri.starts_with("entities/");
        let entity = self.entities.get_mut(uri).unwrap();
        entity.version += 1;
        entity.alive = false;
        let truth = if erase { Truth::Erased } else { Truth::Removed };
        let (version, seq) = self.moment(uri, commit_time, truth);
        let name = if erase {
            "ENTITY_REMOVED_GDPR"
        } else {
            relation_or(uri, "RELATIONSHIP_REMOVED", "ENTITY_REMOVED")
        };
        self.tell(name, uri, commit_time, (version, seq, None));
    }

    fn merge(&mut self, winner: &str, loser: &str) {
        let commit_time = self.commit_time();
        let gone = self.entities.get_mut(loser).unwrap();
        gone.alive = false;
        gone.version += 1;
        let links = std::mem::take(&mut gone.links);
        gone.lost = Some((winner.to_owned(), links.clone()));
        self.entities.get_mut(winner).unwrap().links.extend(links);
        let (version, seq, object) = self.lives(winner, commit_time);
        let by = winner.to_owned();
        let (lost_version, lost_seq) = self.moment(loser, commit_time, Truth::Absorbed { by });
        self.tell(
            "ENTITY_CHANGED",
            winner,
            commit_time,
            (version, seq, Some(object)),
        );
        // Some subscriptions leave the merge itself out: the loser's own event has to do.
        if self.rng.random_bool(0.7) {
            let about = vec![(winner.to_owned(), seq), (loser.to_owned(), lost_seq)];
            self.together("ENTITIES_MERGED", commit_time, version, about);
        }
        self.tell(
            "ENTITY_LOST_MERGE",
            loser,
            commit_time,
            (lost_version, lost_seq, None),
        );
        if self.rng.random_bool(0.5) {
            self.echo(loser);
        }
    }

    /// A change that Reltio tells of what lost a merge: its payload says that it lives.
    fn echo(&mut self, uri: &str) {
        self.now += pick(self.rng, &[0, 1000, 8000, 30_000]);
        let commit_time = self.commit_time();
        let entity = self.entities.get_mut(uri).unwrap();
        entity.version += 1;
        let last = self.script.past[uri].last().unwrap();
        let truth = last.truth.clone();
        let (version, seq) = self.moment(uri, commit_time, truth);
        let text = format!("echo{seq}");
        let object = Self::object(
            uri,
            &Entity {
                text,
                ..Entity::default()
            },
        );
        let told = (version, seq, Some(object));
        self.tell("ENTITY_CHANGED", uri, commit_time, told);
    }

    fn together(
        &mut self,
        name: &'static str,
        commit_time: Millis,
        version: i64,
        about: Vec<(String, u64)>,
    ) {
        let mut uris: Vec<String> = about.iter().map(|(uri, _)| uri.clone()).collect();
        uris.shuffle(self.rng);
        self.script.happenings.push(Happening {
            name,
            subject: about[0].0.clone(),
            at: self.now,
            version,
            commit_time,
            uris,
            about,
            object: None,
        });
    }

    fn unmerge(&mut self, loser: &str) {
        let (origin, links) = self.entities[loser].lost.clone().unwrap();
        if !self.entities[&origin].alive {
            return;
        }
        let commit_time = self.commit_time();
        let held = self.entities.get_mut(&origin).unwrap();
        held.links.retain(|link| !links.contains(link));
        let spawn = self.entities.get_mut(loser).unwrap();
        spawn.links = links;
        spawn.lost = None;
        spawn.alive = true;
        let (version, seq, object) = self.lives(&origin, commit_time);
        let (spawned, spawned_seq, spawned_object) = self.lives(loser, commit_time);
        let about = vec![(origin.clone(), seq), (loser.to_owned(), spawned_seq)];
        self.together("ENTITIES_SPLITTED", commit_time, version, about);
        self.tell(
            "ENTITY_CHANGED",
            &origin,
            commit_time,
            (version, seq, Some(object)),
        );
        self.tell(
            "ENTITY_CREATED",
            loser,
            commit_time,
            (spawned, spawned_seq, Some(spawned_object)),
        );
    }

    /// Brings an older state of a living or removed subject back without an event; five seconds
    /// later it changes, which is what tells.
    fn restore(&mut self, uri: &str) {
        let merged = |moment: &&Moment| matches!(moment.truth, Truth::Absorbed { .. });
        let past = &self.script.past[uri];
        // Links that moved in merges would have to move back everywhere: not what this is about.
        if uri.starts_with("entities/") && self.entities.values().any(|it| it.lost.is_some())
            || past.iter().any(|moment| merged(&moment))
        {
            return;
        }
        let back = past[self.rng.random_range(0..past.len())].clone();
        self.seq += 1;
        let entity = self.entities.get_mut(uri).unwrap();
        entity.version = back.version;
        entity.alive = back.truth.is_alive();
        if let Truth::Alive(object) = &back.truth {
            let named = contacts_of(object);
            entity.links.retain(|(contact, _)| named.contains(contact));
        }
        let moment = Moment {
            at: self.now,
            seq: self.seq,
            restored: true,
            ..back
        };
        self.script.past.get_mut(uri).unwrap().push(moment);
        self.now += 5000;
        if self.entities[uri].alive {
            self.change(uri);
        } else {
            self.create(uri);
        }
    }
}

fn relation_or(uri: &str, relation: &'static str, entity: &'static str) -> &'static str {
    if uri.starts_with("relations/") {
        relation
    } else {
        entity
    }
}
