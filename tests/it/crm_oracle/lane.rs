//! One entity's lane over the model world: fence, ask, assert with the product's own procedure,
//! commit; unsettled, it commits nothing until it has asserted again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use goldwire::event::{Clocks, Holds, Subject};
use goldwire::ledger::Register;
use goldwire::sink::SinkError;
use goldwire::sink::salesforce::{Assertion, Snapshot, Table, Tools};
use goldwire::task::fence::{Fenced, fence};
use goldwire::telemetry::Metrics;
use goldwire::time::Millis;
use rand::RngExt;
use serde_json::json;

use super::side::Side;
use super::truth::{self, MARGIN, SETTLE, SKEW, Says, State};
use super::world::{LONGEST, Without, World, ms};

/// The longest halt of a lane that is assumed, ms.
const PAUSE: Millis = 10_000;

#[derive(Debug, Clone)]
struct Held {
    register: Register,
    state: State,
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
    tools: Tools,
    table: Table,
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
        let name = |text: &str| text.to_owned();
        Self {
            world: Arc::clone(world),
            entity: entity.to_owned(),
            tools: Tools {
                org: side(),
                golden: side(),
                tell: side(),
                source: name("SFDC"),
                settle: ms(SETTLE),
                guarded: world.guarded,
                clock: Arc::clone(&world.clock),
                metrics: Arc::new(Metrics::noop()),
            },
            table: Table {
                sobject: name("Contact"),
                ext: name("ext"),
                mark: name("mark"),
                home: name("home"),
                archived: name("archived"),
                merged_into: name("into"),
                guard: name("guard"),
            },
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
                if let Some(held) = &held {
                    self.apply(held, newest, None).await;
                }
            } else if let Some(record) = next {
                let before = held.as_ref().map(|held| held.state.clone());
                let known = record.commit_time.unwrap_or(record.at);
                let applied = self.take(&mut held, &record, newest).await;
                newest = newest.max(known);
                position += 1;
                if let Some(held) = held.as_ref().filter(|_| applied) {
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
            Fenced::Ask
        } else {
            fence(register.as_ref(), clocks, Holds::Everything, SKEW)
        };
        let mut after = register.unwrap_or_default();
        match (fenced, &record.says) {
            (Fenced::Apply, Says::State(state)) => {
                let stands_for = record.read.or(record.commit_time).unwrap();
                after.since = after.since.max(record.read.map_or(0, |read| read + MARGIN));
                let register = Register {
                    version: record.version,
                    commit_time: record.commit_time,
                    stands_for,
                    ..after
                };
                *held = Some(Held {
                    register,
                    state: state.clone(),
                });
                true
            }
            (Fenced::Ask, _) => {
                let known = record.commit_time.unwrap_or(record.at);
                let due = known.max(newest).max(after.since) + SETTLE;
                tokio::time::sleep(ms(due - self.world.now())).await;
                let state = self.world.reltio.at(&self.entity, self.world.lagging());
                let read = self.world.now() + self.world.lock().rng.random_range(0..200);
                after.since = after.since.max(read + MARGIN);
                after.stands_for = read;
                if let Some((version, time)) = clocks.both()
                    && after.commit_time.is_none_or(|known| time > known)
                {
                    (after.version, after.commit_time) = (Some(version), Some(time));
                }
                *held = Some(Held {
                    register: after,
                    state,
                });
                true
            }
            _ => false,
        }
    }

    async fn apply(&mut self, held: &Held, newest: Millis, record: Option<&truth::Record>) {
        let alive = held.state.named().map(|named| Snapshot {
            named: named.to_vec(),
            content: [
                ("of".to_owned(), json!(self.entity)),
                ("index".to_owned(), json!(held.state.index)),
            ]
            .into(),
        });
        let assertion = Assertion {
            subject: Subject::new("t", &self.entity),
            alive,
            stands_for: held.register.stands_for,
            newest,
            targets: record
                .map(|record| record.targets.clone())
                .unwrap_or_default(),
            hops: record.map_or(0, |record| record.hops),
            blank: None,
        };
        let archived = AtomicBool::new(false);
        loop {
            match self.tools.assert(&self.table, &assertion, &archived).await {
                Ok(_) => break,
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
