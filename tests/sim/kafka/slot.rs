//! One of several instances: its disk, and its lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use goldwire::changelog::{ChangelogCheckpoint, Ownership, Transactor};
use goldwire::dead_letter::{Redrive, StoredLetters};
use goldwire::runtime::{Files, Instance, Portions, StartError};
use goldwire::store::{Batch, MemoryStore, Pair, Store};
use goldwire::time::SharedClock;
use tokio::task::JoinHandle;

use super::act::Fate;
use super::changelog::SimChangelog;
use super::doors::Doors;
use super::member::{Client, SimGroup};
use crate::disk::{DiskStore, SlowCommit};
use crate::fault::Fault;
use crate::host::{Breath, Host};
use crate::log::{Place, Records, SimLog};
use crate::plan::Kind;
use crate::start::{Started, start, supervise};
use crate::world::{HostClock, World};

/// What one sink of a life shares among its partitions.
#[derive(Clone)]
struct OfSink {
    ownership: Arc<Ownership>,
    client: Arc<Mutex<Client>>,
    transactor: Arc<Transactor>,
}

/// A life.
pub(super) struct Life {
    pub(super) host: Arc<Host>,
    pub(super) instance: Instance,
    pub(super) redrive: Redrive,
}

/// An instance.
pub(super) struct Slot {
    world: Arc<World>,
    number: usize,
    store: Arc<MemoryStore>,
    /// What the store held when the last life began.
    before: Vec<Pair>,
    pub(super) inbox: Arc<Records>,
    log: Arc<Records>,
    pub(super) life: Option<Life>,
    stopping: Option<JoinHandle<()>>,
}

impl Slot {
    pub(super) fn new(world: &Arc<World>, number: usize, log: &Arc<Records>) -> Self {
        Self {
            world: Arc::clone(world),
            number,
            store: Arc::default(),
            before: Vec::new(),
            inbox: Records::new(world, 1, Place::Inbox(number)),
            log: Arc::clone(log),
            life: None,
            stopping: None,
        }
    }

    /// A new life begins, on a disk as it was left or not.
    pub(super) async fn start(&mut self, disk: Fate, doors: &Doors) {
        if let Some(stopping) = self.stopping.take() {
            stopping.await.unwrap();
        }
        self.disk(disk);
        self.before = self.store.scan(b"", None, usize::MAX).unwrap();
        let host = Host::born(&self.world, self.number);
        let started = supervise(&host, || self.begin(&host)).await;
        let Some(started) = started else { return };
        doors.open(&host, started.reception);
        self.life = Some(Life {
            host,
            instance: started.instance,
            redrive: started.redrive,
        });
    }

    fn disk(&mut self, disk: Fate) {
        let found = self.store.scan(b"c/goldwire.inbox", None, 1).unwrap();
        let mut kept = match disk {
            Fate::Kept => return,
            Fate::Old => {
                self.world.lock().hit(Fault::DiskOld);
                std::mem::take(&mut self.before)
            }
            Fate::Lost => {
                self.world.lock().hit(Fault::DiskLost);
                Vec::new()
            }
        };
        // The inbox and its position are on a volume that stays.
        kept.extend(found);
        let mut batch = Batch::default();
        for (key, value) in kept {
            batch.put(key, value);
        }
        self.store = Arc::default();
        self.store.commit(batch).unwrap();
    }

    fn begin(&self, host: &Arc<Host>) -> Result<Started, StartError> {
        let log = Arc::new(SimLog {
            host: Arc::clone(host),
            records: Arc::clone(&self.log),
        });
        let store: Arc<dyn Store> = Arc::new(DiskStore {
            host: Arc::clone(host),
            inner: Arc::clone(&self.store),
        });
        let files = Files {
            store: Arc::clone(&store),
            inbox: Arc::new(SimLog {
                host: Arc::clone(host),
                records: Arc::clone(&self.inbox),
            }),
            log: Arc::<SimLog>::clone(&log),
        };
        let clock: SharedClock = Arc::new(HostClock(Arc::clone(&host.world)));
        let of_sink = |kind: Kind| {
            let ownership: Arc<Ownership> = Arc::default();
            let client: Arc<Mutex<Client>> = Arc::default();
            let changelog = Arc::new(SimChangelog::new(host, kind, &client, &ownership));
            let transactor = Transactor::new(
                kind.name(),
                changelog,
                Arc::clone(&store),
                Arc::clone(&ownership),
                Arc::clone(&clock),
            );
            let of_sink = OfSink {
                ownership,
                client,
                transactor: Arc::new(transactor),
            };
            (kind, of_sink)
        };
        let sinks = host.plan.sinks.iter();
        let sinks: BTreeMap<Kind, OfSink> = sinks.map(|kind| of_sink(*kind)).collect();
        let letters = Arc::clone(&host.lock().cluster.letters);
        let letters: Arc<dyn Store> = Arc::new(DiskStore {
            host: Arc::clone(host),
            inner: letters,
        });
        let names: Vec<String> = sinks.keys().map(|kind| kind.name().to_owned()).collect();
        let portions = Portions::of(&names);
        for name in &names {
            // Nothing yet, as the product has it with a group.
            portions.get(name).set(0, 1);
        }
        let mut state = host.lock();
        state.cluster.portions.insert(host.life, portions.clone());
        drop(state);
        let committing = Arc::clone(host);
        let readers = sinks.clone();
        start(host, files, |parts| {
            parts.portions = portions;
            parts.letters = Arc::new(StoredLetters::new(letters));
            parts.readers = Arc::new(move |group| {
                let kind = kind_of(group.strip_prefix("goldwire.").unwrap());
                let of = &readers[&kind];
                Box::new(SimGroup::join(&log, kind, &of.ownership, &of.client))
            });
            parts.commit = Arc::new(move |inner, epoch| {
                let kind = kind_of(&inner.sink);
                let of = &sinks[&kind];
                let partition = inner.partition;
                let inner = ChangelogCheckpoint::new(inner, Arc::clone(&of.transactor), epoch);
                Arc::new(SlowCommit {
                    host: Arc::clone(&committing),
                    kind,
                    partition,
                    epoch,
                    inner: Arc::new(inner),
                })
            });
        })
    }

    /// The process is killed.
    pub(super) fn kill(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.world.crashes(life.host.life);
        self.world.lock().hit(Fault::Crash);
        self.world.note(|| format!("KILL #{}", self.number));
        life.host.becomes(Breath::Gone(self.world.now()));
        self.world.lock().busy.remove(&life.host.life);
        drop(life.instance);
    }

    /// The process is stopped, which takes its time.
    pub(super) fn stop(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.world.lock().hit(Fault::Stop);
        self.world.note(|| format!("STOP #{}", self.number));
        self.stopping = Some(tokio::spawn(async move {
            life.instance.stop().await;
            let now = life.host.now();
            life.host.becomes(Breath::Gone(now));
            life.host.lock().busy.remove(&life.host.life);
        }));
    }

    /// The process stands still.
    pub(super) fn freeze(&self) {
        let Some(life) = &self.life else { return };
        self.world.lock().hit(Fault::Frozen);
        self.world.note(|| format!("FREEZE #{}", self.number));
        life.host.becomes(Breath::Frozen(self.world.now()));
    }

    /// It goes on.
    pub(super) fn thaw(&self) {
        let Some(life) = &self.life else { return };
        self.world.note(|| format!("GOES ON #{}", self.number));
        life.host.becomes(Breath::Runs);
    }

    /// What its store holds of one partition of a sink.
    pub(super) fn holds(&self, prefixes: &[Vec<u8>]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let all = prefixes.iter();
        all.flat_map(|prefix| self.store.scan(prefix, None, usize::MAX).unwrap())
            .collect()
    }
}

fn kind_of(sink: &str) -> Kind {
    let mut all = Kind::ALL.into_iter();
    all.find(|kind| kind.name() == sink).unwrap()
}
