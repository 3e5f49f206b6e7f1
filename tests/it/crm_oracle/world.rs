//! The world around the lanes: a CRM whose writes may land late, Reltio's API that lags, lanes
//! that die between any two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use goldwire::sink::SinkError;
use goldwire::sink::salesforce::{Record, Sought, Values, Write, Written, ids};
use goldwire::time::{Millis, SharedClock, TokioClock};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use super::truth::{self, Reltio};

/// The CRM's longest request, ms.
pub(crate) const LONGEST: Millis = 12_000;

/// A rule that is taken out, to see what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    Nothing,
    Mark,
    LookUp,
    Tell,
    Contacts,
    ReadCrm,
    Home,
    OwnGuard,
    AssertAgain,
}

#[derive(Debug)]
pub(crate) struct Mutable {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) went_back: usize,
    pub(crate) hops: u32,
    /// Things that will still happen by themselves: arrivals, late writes.
    pub(crate) coming: usize,
    pub(crate) logs: BTreeMap<String, Vec<truth::Record>>,
    pub(crate) idle: BTreeSet<String>,
    crashes: u32,
    created: usize,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) reltio: Reltio,
    pub(crate) without: Without,
    pub(crate) guarded: bool,
    pub(crate) clock: SharedClock,
    pub(crate) grown: BTreeMap<String, Notify>,
    pub(crate) crashed: BTreeMap<String, Notify>,
    slow: f64,
    timeouts: f64,
    mutable: Mutex<Mutable>,
}

pub(crate) fn ms(time: Millis) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}

impl World {
    /// A world whose clock reads 90 s; its history begins at 100 s.
    pub(crate) fn new(seed: u64, without: Without, guarded: bool) -> Arc<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let reltio = Reltio::new(&mut rng);
        let bells = || {
            reltio
                .names
                .iter()
                .map(|e| (e.clone(), Notify::new()))
                .collect()
        };
        // A crosswalk may name a contact that is no more.
        let there = reltio.dates.keys().filter(|_| rng.random_bool(0.92));
        let records = there
            .map(|id| {
                (
                    id.clone(),
                    Record {
                        id: id.clone(),
                        ..Record::default()
                    },
                )
            })
            .collect();
        Arc::new(Self {
            without,
            guarded,
            clock: Arc::new(TokioClock::starting_at(90_000)),
            grown: bells(),
            crashed: bells(),
            slow: *[0.2, 1.0, 4.0].choose(&mut rng).unwrap(),
            timeouts: *[0.02, 0.05, 0.25].choose(&mut rng).unwrap(),
            mutable: Mutex::new(Mutable {
                records,
                went_back: 0,
                hops: 0,
                coming: 0,
                logs: reltio
                    .names
                    .iter()
                    .map(|e| (e.clone(), Vec::new()))
                    .collect(),
                idle: BTreeSet::new(),
                crashes: rng.random_range(0..=3),
                created: 0,
                rng,
            }),
            reltio,
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Mutable> {
        self.mutable.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A moment as the API shows it.
    pub(crate) fn lagging(&self) -> Millis {
        self.now() - self.lock().rng.random_range(0..=truth::LAG)
    }

    pub(crate) fn is_without(&self, rule: Without) -> bool {
        self.without == rule
    }

    /// Appends a record to a lane's log at a time; hydrated then if it says nothing.
    pub(crate) fn arrive(self: &Arc<Self>, e: &str, at: Millis, mut record: truth::Record) {
        self.lock().coming += 1;
        let (world, e) = (Arc::clone(self), e.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(ms(at - world.now())).await;
            if matches!(record.says, truth::Says::Nothing) {
                record.says = truth::Says::State(world.reltio.at(&e, world.lagging()));
                record.read = Some(world.now() + world.lock().rng.random_range(0..200));
            }
            let mut mutable = world.lock();
            mutable.logs.get_mut(&e).unwrap().push(record);
            mutable.idle.remove(&e);
            mutable.coming -= 1;
            drop(mutable);
            world.grown[&e].notify_one();
        });
    }

    /// Something took its time; the lane of `e` may die here.
    pub(crate) async fn pause(&self, e: &str) {
        self.may_crash(e, None).await;
        let wait = {
            let mut mutable = self.lock();
            let longest: f64 = *[10.0, 50.0, 200.0, 1000.0]
                .choose(&mut mutable.rng)
                .unwrap();
            longest * mutable.rng.random::<f64>() * self.slow
        };
        tokio::time::sleep(Duration::from_secs_f64(wait / 1000.0)).await;
    }

    async fn may_crash(&self, e: &str, sending: Option<(&Arc<Self>, &Write)>) {
        let lands = {
            let mut mutable = self.lock();
            if mutable.crashes == 0 || !mutable.rng.random_bool(0.01) {
                return;
            }
            mutable.crashes -= 1;
            mutable.rng.random_bool(0.5)
        };
        if let Some((world, write)) = sending.filter(|_| lands) {
            let late = self.lock().rng.random_range(0..LONGEST);
            world.land(late, write.clone());
        }
        self.crashed[e].notify_one();
        std::future::pending::<()>().await;
    }

    fn land(self: &Arc<Self>, late: Millis, write: Write) {
        self.lock().coming += 1;
        let world = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(ms(late)).await;
            world.write(&write);
            world.lock().coming -= 1;
        });
    }

    /// The records that a lane's read finds.
    pub(crate) fn find(&self, sought: &Sought) -> Vec<Record> {
        let e = Some(sought.entity.as_str());
        let by_mark_only = |record: &Record| {
            !sought.ids.contains(&record.id)
                && record.ext.as_deref() != e
                && !(sought.homes && record.home.as_deref() == e)
        };
        let mutable = self.lock();
        let found = mutable
            .records
            .values()
            .filter(|record| sought.finds(record));
        found
            .filter(|it| !self.is_without(Without::Mark) || !by_mark_only(it))
            .cloned()
            .collect()
    }

    /// A request with a write: sent, maybe lost, maybe landing late, its answer maybe lost.
    pub(crate) async fn request(
        self: &Arc<Self>,
        e: &str,
        write: &Write,
    ) -> Result<Written, SinkError> {
        self.pause(e).await;
        self.may_crash(e, Some((self, write))).await;
        let (timeout, lands, late) = {
            let mut mutable = self.lock();
            let timeout = mutable.rng.random_bool(self.timeouts);
            let late = if mutable.rng.random() {
                0
            } else {
                mutable.rng.random_range(0..LONGEST)
            };
            (timeout, mutable.rng.random_bool(0.8), late)
        };
        if timeout {
            if lands {
                self.land(late, write.clone());
            }
            let code = "timeout".to_owned();
            return Err(SinkError::Retryable {
                code,
                ambiguous: true,
                outage: true,
            });
        }
        let written = self.write(write);
        self.pause(e).await;
        Ok(written)
    }

    /// What the CRM does with a write: unique external ids, the guard as a validation rule.
    fn write(&self, write: &Write) -> Written {
        let mutable = &mut *self.lock();
        let held = write
            .id
            .as_ref()
            .and_then(|id| mutable.records.get(id))
            .cloned()
            .unwrap_or_default();
        let same = held.mark.as_ref() == Some(&write.mark);
        let compares = same || self.is_without(Without::OwnGuard);
        if self.guarded && write.guard < held.guard && compares {
            return Written::Stale;
        }
        let wanted = write.ext.clone().flatten();
        let taken = |it: &Record| it.ext == wanted && Some(&it.id) != write.id.as_ref();
        if wanted.is_some() && mutable.records.values().any(taken) {
            return Written::Moved("DUPLICATE_VALUE".to_owned());
        }
        let id = write.id.clone().unwrap_or_else(|| {
            mutable.created += 1;
            ids::canonical(&format!("003C{:011}", mutable.created)).unwrap()
        });
        let fresh = || Record {
            id: id.clone(),
            home: write
                .home
                .clone()
                .filter(|_| !self.is_without(Without::Home)),
            ..Record::default()
        };
        let record = mutable.records.entry(id.clone()).or_insert_with(fresh);
        let place =
            |values: &Values| Some((values.get("of")?.clone(), values.get("index")?.as_u64()?));
        if let (true, Some(old), Some(new)) = (same, place(&held.content), place(&write.content)) {
            mutable.went_back += usize::from(old.0 == new.0 && old.1 > new.1);
        }
        if let Some(ext) = &write.ext {
            record.ext.clone_from(ext);
        }
        if let Some((archived, into)) = &write.archived {
            record.archived = *archived;
            record.merged_into.clone_from(into);
        }
        record.mark = Some(write.mark.clone());
        record.guard = write.guard;
        record.content.extend(write.content.clone());
        Written::Done(id)
    }
}
