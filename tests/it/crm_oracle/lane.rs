//! One entity's lane over the model world: fence, ask, assert with the product's own procedure,
//! commit; unsettled, it commits nothing until it has asserted again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use goldwire::engine::fence::{Freshness, Told, fence};
use goldwire::event::{Clocks, Holds, Life, Subject, SubjectState};
use goldwire::sink::salesforce::{Ended, FieldSource, SalesforceObject};
use goldwire::sink::salesforce::{Mapping, Record, Table, Tools};
use goldwire::sink::{Current, SinkError, Write};
use goldwire::store::Register;
use goldwire::time::Millis;
use rand::RngExt;

use super::side::Side;
use super::truth::{self, Kind, MARGIN, SETTLE, SKEW, Says, State};
use super::world::{LONGEST, Without, World, ms};

/// The state as a register keeps it.
fn tag(state: &State) -> i32 {
    if state.named().is_some() {
        goldwire::event::State::Alive.into()
    } else {
        goldwire::event::State::Removed.into()
    }
}

/// The longest halt of a lane that is assumed, ms.
const PAUSE: Millis = 10_000;

#[derive(Debug, Clone)]
struct Held {
    register: Register,
    state: State,
    partial: bool,
}

#[derive(Debug, Clone, Default)]
struct Saved {
    position: usize,
    held: Option<Held>,
    newest: Millis,
}

/// The lane of `entity` as one process after the other runs it.
pub(crate) async fn supervise(world: Arc<World>, entity: String) {
    let mut saved = Saved::default();
    loop {
        let mut lane = Lane::new(&world, &entity);
        tokio::select! {
            biased;
            () = world.crashed[&entity].notified() => {}
            () = lane.run(&mut saved) => {}
        }
        let wait = world.lock().rng.random_range(500..5000);
        tokio::time::sleep(ms(wait)).await;
    }
}

struct Lane {
    world: Arc<World>,
    entity: String,
    mapping: Mapping,
    unsettled: Option<Millis>,
}

impl Lane {
    fn new(world: &Arc<World>, entity: &str) -> Self {
        let side = || {
            Arc::new(Side {
                world: Arc::clone(world),
                entity: entity.to_owned(),
            })
        };
        Self {
            world: Arc::clone(world),
            entity: entity.to_owned(),
            mapping: Mapping::new(
                "crm",
                objects(world.lock().org.table.clone()),
                Tools {
                    org: side(),
                    reltio: side(),
                    tell: side(),
                    source: "SFDC".to_owned(),
                    settle: if world.is_without(Without::SettleLook) {
                        Duration::ZERO
                    } else {
                        ms(SETTLE)
                    },
                    guarded: world.guarded,
                    links: false,
                    clock: Arc::clone(&world.clock),
                    metrics: Arc::clone(&world.metrics),
                },
            ),
            unsettled: None,
        }
    }

    fn unsettle(&mut self) {
        if !self.world.is_without(Without::AssertAgain) {
            self.unsettled = Some(self.world.now() + LONGEST + PAUSE);
        }
    }

    async fn run(&mut self, saved: &mut Saved) {
        let Saved {
            mut position,
            mut held,
            mut newest,
        } = saved.clone();
        if position < self.world.lock().logs[&self.entity].len() {
            self.unsettle();
        }
        loop {
            let next = self.world.lock().logs[&self.entity].get(position).cloned();
            if self.unsettled.is_some_and(|due| due <= self.world.now()) {
                self.unsettled = None;
                if let Some(held) = &mut held {
                    self.apply(held, newest, None).await;
                }
            } else if let Some(record) = next {
                let before = held.as_ref().map(|held| held.state.clone());
                let known = record.commit_time.unwrap_or(record.at);
                let applied = self.take(&mut held, &record, newest).await;
                newest = newest.max(known);
                position += 1;
                if let Some(held) = held.as_mut().filter(|_| applied) {
                    let same = before.as_ref() == Some(&held.state);
                    if !(same && self.world.is_without(Without::ReadCrm)) {
                        self.apply(held, newest, Some(&record)).await;
                    }
                }
            } else {
                self.rest(position).await;
                continue;
            }
            if self.unsettled.is_none() {
                *saved = Saved {
                    position,
                    held: held.clone(),
                    newest,
                };
            }
        }
    }

    async fn rest(&self, position: usize) {
        if let Some(due) = self.unsettled {
            tokio::time::sleep(ms((due - self.world.now() + 1).min(1000))).await;
            return;
        }
        {
            let mut mutable = self.world.lock();
            if mutable.logs[&self.entity].len() > position {
                return;
            }
            mutable.idle.insert(self.entity.clone());
        }
        self.world.grown[&self.entity].notified().await;
    }

    /// Fence, and ask if it says so. Tells whether the newest state is to be asserted.
    async fn take(&self, held: &mut Option<Held>, record: &truth::Record, newest: Millis) -> bool {
        let clocks = Clocks {
            version: record.version,
            commit_time: record.commit_time,
        };
        let register = held.as_ref().map(|held| held.register.clone());
        let asks = matches!(record.says, Says::Asks);
        let fenced = if asks {
            Freshness::Ask
        } else {
            let dead = matches!(&record.says, Says::State(state) if state.named().is_none());
            let life = if dead { Life::Dead } else { Life::Active };
            let holds = Holds::Everything;
            fence(
                register.as_ref(),
                Told {
                    clocks,
                    holds,
                    life,
                },
                SKEW,
            )
        };
        let mut after = register.unwrap_or_default();
        match (fenced, &record.says) {
            (Freshness::Apply, Says::State(state)) => {
                let content_time = record.read.or(record.commit_time).unwrap();
                after.maybe_seen_until = after
                    .maybe_seen_until
                    .max(record.read.map_or(0, |read| read + MARGIN));
                let register = Register {
                    version: record.version,
                    commit_time: record.commit_time,
                    content_time,
                    state: tag(state),
                    ..after
                };
                *held = Some(Held {
                    register,
                    state: state.clone(),
                    partial: record.partial,
                });
                true
            }
            (Freshness::Ask, _) => {
                let known = record.commit_time.unwrap_or(record.at);
                let due = known.max(newest).max(after.maybe_seen_until) + SETTLE;
                tokio::time::sleep(ms(due - self.world.now())).await;
                let seen = self.world.lagging();
                let state = self.world.reltio().at(&self.entity, seen);
                let read = self.world.now() + self.world.lock().rng.random_range(0..200);
                after.maybe_seen_until = after.maybe_seen_until.max(read + MARGIN);
                after.content_time = read;
                after.state = tag(&state);
                if let Some((version, time)) = clocks.both()
                    && after.commit_time.is_none_or(|known| time > known)
                {
                    (after.version, after.commit_time) = (Some(version), Some(time));
                }
                *held = Some(Held {
                    register: after,
                    state,
                    partial: false,
                });
                true
            }
            _ => false,
        }
    }

    /// What a delivery says that the entity is.
    fn current(&self, held: &Held) -> Current {
        let state = match &held.state.kind {
            Kind::Alive(named) => {
                let has_id = |record: &Record| record.ext.as_ref() == Some(&self.entity);
                let there = self.world.records().into_iter().find(has_id);
                let there = there.filter(|it| named.contains(&it.id));
                let first = there.filter(|_| self.world.is_without(Without::Earliest));
                let first = first.as_ref().map(|record| record.id.as_str());
                let reltio = self.world.reltio();
                SubjectState::Alive(reltio.object(&self.entity, &held.state, first))
            }
            Kind::Absorbed(by) => SubjectState::Absorbed {
                by: Some(by.clone()),
            },
            Kind::Dead => SubjectState::Removed,
        };
        Current {
            state,
            content_time: held.register.content_time,
            version: held.register.version,
            fields: held.partial.then(|| vec!["attributes".to_owned()]),
            erased: false,
        }
    }

    async fn apply(&mut self, held: &mut Held, newest: Millis, record: Option<&truth::Record>) {
        let delivery = Write {
            subject: Subject::new("t", &self.entity),
            object_type: "Individual".into(),
            current: Some(self.current(held)),
            changes: Vec::new(),
            newest,
            targets: record
                .map(|record| record.targets.clone())
                .unwrap_or_default(),
            hops: record.map_or(0, |record| record.hops),
            record: None,
        };
        let archived = AtomicBool::new(false);
        loop {
            match self.mapping.assert(&delivery, &archived).await {
                Ok(delivered) => {
                    if let Some(date) = delivered.read {
                        let register = &mut held.register;
                        register.maybe_seen_until = register.maybe_seen_until.max(date + MARGIN);
                        register.content_time = register.content_time.max(date);
                    }
                    break;
                }
                Err(SinkError::Retryable { ambiguous, .. }) => {
                    if ambiguous {
                        self.unsettle();
                    }
                }
                Err(other) => panic!("the model has no other errors: {other}"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if archived.load(Ordering::Relaxed) {
            self.unsettle();
        }
    }
}

fn objects(table: Table) -> BTreeMap<String, SalesforceObject> {
    let attribute = |path: &str| FieldSource::Attribute(path.to_owned());
    let object = SalesforceObject {
        sobject: table.sobject,
        ext_field: table.ext,
        mark_field: table.mark,
        home_field: table.home,
        archived_field: table.archived,
        merged_into_field: table.merged_into,
        guard_field: table.guard,
        ended: Ended::Archive,
        fields: [("of", "Of"), ("index", "Index")]
            .map(|(field, path)| (field.to_owned(), attribute(path)))
            .into(),
    };
    [("Individual".to_owned(), object)].into()
}
