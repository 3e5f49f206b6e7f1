//! The world around the lanes: a CRM whose writes may land late, Reltio's API that lags, lanes
//! that die between any two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use goldwire::sink::SinkError;
use goldwire::sink::salesforce::{Record, RecordWrite, Sought, Values, Written};
use goldwire::telemetry::{self, Metrics};
use goldwire::time::{Millis, SharedClock, TokioClock};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use super::org::Contacts;
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
    HomeLook,
    TellHome,
    NotAgain,
    SettleLook,
    FreeFirst,
    Earliest,
    OwnGuard,
    AssertAgain,
}

impl Without {
    /// Such a rule is missed in hard times only.
    fn is_about_late_writes(self) -> bool {
        matches!(self, Self::OwnGuard | Self::AssertAgain)
    }
}

#[derive(Debug)]
pub(crate) struct Mutable {
    pub(crate) rng: ChaCha8Rng,
    /// The contacts, at the fake org.
    pub(crate) org: Contacts,
    pub(crate) went_back: usize,
    /// Things that will still happen by themselves: arrivals, late writes.
    pub(crate) coming: usize,
    pub(crate) logs: BTreeMap<String, Vec<truth::Record>>,
    pub(crate) idle: BTreeSet<String>,
    crashes: u32,
}

#[derive(Debug)]
pub(crate) struct World {
    reltio: Mutex<Reltio>,
    pub(crate) without: Without,
    pub(crate) guarded: bool,
    pub(crate) clock: SharedClock,
    pub(crate) grown: BTreeMap<String, Notify>,
    pub(crate) crashed: BTreeMap<String, Notify>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: prometheus::Registry,
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
        let names = || (0..truth::MOST).map(|n| format!("entities/e{n}"));
        let bells = || names().map(|e| (e, Notify::new())).collect();
        let mut org = Contacts::new();
        org.fake.guard = guarded;
        // A crosswalk may name a contact that is no more.
        for id in reltio.dates.keys().filter(|_| rng.random_bool(0.92)) {
            org.fake.add_as(id, &[]);
        }
        let (metrics, registry) = telemetry::instruments().unwrap();
        Arc::new(Self {
            without,
            guarded,
            clock: Arc::new(TokioClock::starting_at(90_000)),
            grown: bells(),
            crashed: bells(),
            slow: *[0.2, 1.0, 4.0].choose(&mut rng).unwrap(),
            timeouts: if without.is_about_late_writes() {
                0.25
            } else {
                *[0.02, 0.05, 0.25].choose(&mut rng).unwrap()
            },
            metrics,
            registry,
            mutable: Mutex::new(Mutable {
                org,
                went_back: 0,
                coming: 0,
                logs: names().map(|e| (e, Vec::new())).collect(),
                idle: BTreeSet::new(),
                crashes: rng.random_range(0..=3),
                rng,
            }),
            reltio: Mutex::new(reltio),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Mutable> {
        self.mutable.lock().unwrap()
    }

    pub(crate) fn reltio(&self) -> MutexGuard<'_, Reltio> {
        self.reltio.lock().unwrap()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().org.read()
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
                let seen = world.lagging();
                record.says = truth::Says::State(world.reltio().at(&e, seen));
                record.partial = false;
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

    async fn may_crash(&self, e: &str, sending: Option<(&Arc<Self>, &RecordWrite)>) {
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

    fn land(self: &Arc<Self>, late: Millis, write: RecordWrite) {
        self.lock().coming += 1;
        let world = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(ms(late)).await;
            world.write(&write).unwrap();
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
        let mut found = self.lock().org.find(sought);
        found.retain(|it| !self.is_without(Without::Mark) || !by_mark_only(it));
        if self.is_without(Without::NotAgain) {
            for record in &mut found {
                record.mark = record.mark.take().filter(|mark| Some(mark.as_str()) == e);
            }
        }
        found
    }

    /// A request with a write: sent, maybe lost, maybe landing late, its answer maybe lost.
    pub(crate) async fn request(
        self: &Arc<Self>,
        e: &str,
        write: &RecordWrite,
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
        written
    }

    /// What the org does with a write, and what the sink takes its answer for.
    fn write(&self, write: &RecordWrite) -> Result<Written, SinkError> {
        let mutable = &mut *self.lock();
        let held = mutable.org.find(&Sought {
            entity: String::new(),
            homes: false,
            ids: write.id.iter().cloned().collect(),
        });
        let held = held.into_iter().next().unwrap_or_default();
        if self.guarded && self.is_without(Without::OwnGuard) && write.guard < held.guard {
            return Ok(Written::Stale);
        }
        let home = write
            .home
            .clone()
            .filter(|_| !self.is_without(Without::Home));
        let written = mutable.org.write(&RecordWrite {
            home,
            ..write.clone()
        })?;
        let place =
            |values: &Values| Some((values.get("of")?.clone(), values.get("index")?.as_f64()?));
        if matches!(written, Written::Done(_))
            && held.mark.as_ref() == Some(&write.mark)
            && let (Some(old), Some(new)) = (place(&held.content), place(&write.content))
        {
            mutable.went_back += usize::from(old.0 == new.0 && old.1 > new.1);
        }
        Ok(written)
    }

    /// Now and then the org feeds a contact that goldwire created back into Reltio.
    pub(crate) fn feeds(self: &Arc<Self>) {
        let times = {
            let rng = &mut self.lock().rng;
            *[0, 0, 1, 3].choose(rng).unwrap()
        };
        for _ in 0..times {
            let end = self.reltio().end + 60_000;
            let mutable = &mut *self.lock();
            mutable.coming += 1;
            let at = mutable.rng.random_range(101_000..end);
            tokio::spawn(Arc::clone(self).feed(at));
        }
    }

    async fn feed(self: Arc<Self>, at: Millis) {
        let mut due = at;
        while due > self.now() {
            tokio::time::sleep(ms(due - self.now())).await;
            // What is written there already has to have happened.
            due = self.reltio().end;
        }
        let (records, fresh) = {
            let (mutable, reltio) = (&mut *self.lock(), &mut *self.reltio());
            let created = mutable.org.read().into_iter();
            let created: Vec<String> = created
                .filter(|it| it.home.is_some() && !reltio.dates.contains_key(&it.id))
                .map(|it| it.id)
                .collect();
            let known = reltio.names.len();
            let records = match created.choose(&mut mutable.rng) {
                Some(contact) => reltio.feed(&mut mutable.rng, contact, self.now()),
                None => Vec::new(),
            };
            (records, reltio.names[known..].to_vec())
        };
        for e in fresh {
            tokio::spawn(super::lane::supervise(Arc::clone(&self), e));
        }
        for (e, record) in records {
            self.arrive(&e, record.at, record.clone());
        }
        self.lock().coming -= 1;
    }
}
