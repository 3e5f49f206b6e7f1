//! One seed from its first event to its verdict: lives of the process that end as the plan says,
//! and a last one in which everything must come right.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use goldwire::dead_letter::{Redrive, StoredLetters, Work};
use goldwire::engine::TaskError;
use goldwire::log::Log;
use goldwire::reltio::RecordReader;

use goldwire::runtime::{Deps, Files, Instance, Parts, StartError};
use goldwire::sink::OnFull;
use goldwire::sink::Sink;
use goldwire::sink::salesforce::Declared;
use goldwire::source::InboxError;
use goldwire::store::{MemoryStore, Store, StoreError};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SharedClock};
use goldwire::topology::Config;
use goldwire::webhook::Reception;
use rand::RngExt as _;

use super::broker::Consumer;
use super::crm::{self, CrmSink};
use super::disk::{DiskLog, DiskStore, SlowCommit};
use super::fault::{Fault, Hits};
use super::feed;
use super::judge::judge;
use super::plan::{End, Kind, Plan, START};
use super::reltio::Replica;
use super::sink::SimSink;
use super::target::may_land;
use super::watch::{LOOK, watch};
use super::world::{Dropped, HostClock, Violation, World, millis};

/// After the last fault everything must be through within this time.
const BOUND: Millis = 30 * 60_000;
/// A record may kill the process so often before it is found out.
const KILLS: u32 = 12;
/// So often letters are redriven at the end; a record that fails without a fault never ends.
const REDRIVES: u32 = 6;

const CONFIG: &str = "
tenant: acme
data_dir: unused
reltio:
  url: https://reltio.invalid/reltio/api/acme
  auth_url: https://reltio.invalid/oauth/token
  client_id: simulated
  client_secret: simulated
  settle: 3200ms
  clock_skew: 200ms
sources:
  topic:
    kafka: { bootstrap_servers: '127.0.0.1:9092', topic: changes, group: ingest, start: earliest, include_relationships: true }
  hook:
    webhook: { path: /hook, scheme: standard, secrets: [whsec_Z29sZHdpcmUgc2ltdWxhdGlvbiBzZWNyZXQ=], rate_limit: { per_second: 100000, burst: 100000 }, include_relationships: true }
  part:
    webhook: { path: /part, scheme: standard, secrets: [whsec_Z29sZHdpcmUgc2ltdWxhdGlvbiBzZWNyZXQ=], rate_limit: { per_second: 100000, burst: 100000 }, include_relationships: true, completeness: { fields: [uri, type, attributes] } }
webhook: { address: '127.0.0.1:18080', insecure_plain_http: true }
sinks:
  crm:
    salesforce:
      login_url: https://org.invalid
      client_id: simulated
      client_secret: simulated
      crosswalk_source: SFDC
      longest_request: 6s
      objects:
        Individual: { sobject: Contact, fields: { FirstName: { attribute: FirstName } } }
";

/// How one seed ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The first violation of each oracle, in order.
    pub(crate) violations: Vec<Violation>,
    pub(crate) hits: Hits,
    pub(crate) trace: Vec<String>,
}

/// What is left when the process is gone.
struct Disk {
    store: Arc<DiskStore>,
    log: Arc<DiskLog>,
    inbox: Arc<DiskLog>,
}

/// Runs a plan.
pub(crate) fn run(plan: &Plan, tracing: bool) -> Outcome {
    let world = World::new(plan.clone(), tracing);
    let disk = Disk {
        store: Arc::new(DiskStore {
            world: Arc::clone(&world),
            inner: MemoryStore::new(),
        }),
        log: Arc::new(DiskLog::new(&world, plan.partitions, false)),
        inbox: Arc::new(DiskLog::new(&world, 1, true)),
    };
    let mut ends = plan
        .ends
        .iter()
        .copied()
        .collect::<std::collections::VecDeque<_>>();
    loop {
        match live(&world, &disk, ends.front().copied()) {
            Over::Last => break,
            Over::Planned => drop(ends.pop_front()),
            Over::Killed => {}
        }
        if world.lock().kills > KILLS {
            world.violate("liveness", || {
                "a record kills the process for good".to_owned()
            });
            break;
        }
        let later = {
            let mut state = world.lock();
            [50, 2000, 10_000][state.rng.random_range(0..3)]
        };
        world.pass(later);
    }
    let mut state = world.lock();
    Outcome {
        violations: std::mem::take(&mut state.violations),
        hits: std::mem::take(&mut state.hits),
        trace: state.trace.take().unwrap_or_default(),
    }
}

/// How a life ended.
enum Over {
    /// Everything was through.
    Last,
    /// As the plan says.
    Planned,
    /// A record killed the process.
    Killed,
}

/// One life.
fn live(world: &Arc<World>, disk: &Disk, end: Option<(Millis, End)>) -> Over {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let over = runtime.block_on(async {
        world.begin();
        let life = async {
            let life = Life::supervise(world, disk).await;
            match (life, end) {
                (Some(life), Some((at, how))) => {
                    tokio::time::sleep(millis(START + at - world.now())).await;
                    life.end(how).await;
                    Over::Planned
                }
                (Some(life), None) => {
                    life.finish().await;
                    Over::Last
                }
                (None, Some(_)) => Over::Planned,
                (None, None) => Over::Last,
            }
        };
        let over = tokio::select! {
            biased;
            () = world.killed.notified() => Over::Killed,
            over = life => over,
        };
        // What was on its way is dropped with the runtime, at this very time.
        world.freeze();
        over
    });
    drop(runtime);
    for dropped in world.dropped() {
        match dropped {
            Dropped::Append {
                inbox,
                partition,
                records,
            } => {
                let flushed = world.lock().rng.random_bool(0.5);
                let log = if inbox { &disk.inbox } else { &disk.log };
                if flushed {
                    log.store(partition, &records);
                }
            }
            Dropped::Contact(write) => crm::may_land(&mut world.lock(), write),
            Dropped::Rows { kind, rows } => may_land(&mut world.lock(), kind, &rows),
        }
    }
    over
}

struct Life {
    world: Arc<World>,
    instance: Instance,
    redrive: Redrive,
}

impl Life {
    /// Starts it again, as a supervisor does, where only the disk failed.
    async fn supervise(world: &Arc<World>, disk: &Disk) -> Option<Self> {
        loop {
            match Self::start(world, disk) {
                Ok(life) => return Some(life),
                Err(
                    StartError::Store(StoreError::Io(_))
                    | StartError::Task(TaskError::Store(StoreError::Io(_)))
                    | StartError::Inbox(InboxError::Store(StoreError::Io(_))),
                ) => {}
                Err(error) => {
                    world.violate("G2", || format!("it does not start again: {error}"));
                    return None;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            // A start reads the store a hundred times: with bad luck not one comes up before.
            if world.now() >= world.plan.calm() {
                world.lock().calm = true;
            }
        }
    }

    fn start(world: &Arc<World>, disk: &Disk) -> Result<Self, StartError> {
        world.note(|| "START".to_owned());
        let plan = &world.plan;
        let config = config(plan);
        let clock: SharedClock = Arc::new(HostClock(Arc::clone(world)));
        let store: Arc<dyn Store> = Arc::<DiskStore>::clone(&disk.store);
        let log: Arc<dyn Log> = Arc::<DiskLog>::clone(&disk.log);
        let inbox: Arc<dyn Log> = Arc::<DiskLog>::clone(&disk.inbox);
        let reltio: Arc<dyn RecordReader> = Arc::new(Replica(Arc::clone(world)));
        let metrics = Arc::new(Metrics::noop());
        let sinks = plan.sinks.iter().map(|kind| {
            let sink: Arc<dyn Sink> = if *kind == Kind::Crm {
                Arc::new(CrmSink::new(world, &config, &reltio, &log))
            } else {
                Arc::new(SimSink::new(world, *kind))
            };
            (sink, OnFull::Stall)
        });
        let sinks = sinks.collect();
        let with = Deps {
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            seed: plan.seed,
            wrap: None,
        };
        let committing = Arc::clone(world);
        let files = Files {
            store: Arc::clone(&store),
            inbox: Arc::clone(&inbox),
            log: Arc::clone(&log),
        };
        let parts = Parts {
            reltio: Some(reltio),
            sinks,
            sources: vec![(Box::new(Consumer::new(world)), "ingest".to_owned())],
            commit: Arc::new(move |inner, _| {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == inner.sink);
                Arc::new(SlowCommit {
                    world: Arc::clone(&committing),
                    kind: kind.unwrap(),
                    inner,
                })
            }),
            ..Parts::over(files)
        };
        let instance = Instance::assemble(&config, &with, parts)?;
        let endpoints = ["hook", "part"].map(|name| {
            let endpoint = config.sources[name].webhook.clone().unwrap();
            (name.to_owned(), endpoint)
        });
        let reception = Reception::new(
            config.webhook.as_ref().unwrap(),
            endpoints.into(),
            Arc::<dyn Log>::clone(&inbox),
            Arc::clone(&clock),
            metrics,
        );
        tokio::spawn(feed::play(Arc::clone(world), reception.unwrap()));
        let redrive = Redrive {
            letters: Arc::new(StoredLetters::new(store)),
            inbox,
            log,
            sinks: plan
                .sinks
                .iter()
                .map(|kind| kind.name().to_owned())
                .collect(),
            clock,
        };
        let life = Self {
            world: Arc::clone(world),
            instance,
            redrive,
        };
        watch(world, &life.instance);
        Ok(life)
    }

    async fn end(self, how: End) {
        let fault = if how == End::Crash {
            Fault::Crash
        } else {
            Fault::Stop
        };
        {
            if how == End::Crash {
                self.world.crashes();
            }
            let mut state = self.world.lock();
            let busy = state.busy;
            state.hits.note(fault, busy);
            state.note(|| format!("FAULT {fault:?}"));
        }
        if how == End::Stop {
            self.instance.stop().await;
        }
    }

    /// The last life: faults end, what was refused is redriven, and everything is through in time.
    async fn finish(self) {
        let world = &self.world;
        let calm = world.plan.calm();
        tokio::time::sleep(millis(calm - world.now())).await;
        world.lock().calm = true;
        world.note(|| "CALM".to_owned());
        let deadline = calm + BOUND;
        for _ in 0..REDRIVES {
            if !self.through(deadline).await {
                return;
            }
            if world.letter_names().is_empty() {
                break;
            }
            // By name: a letter may be dated in the future by a clock that was wrong.
            let mut work = Work::default();
            work.filter.names = world.open_letters();
            let redriven = self.redrive.run(&work, &|_| ()).await;
            world.note(|| format!("redriven: {redriven:?}"));
            if redriven.is_err() {
                // The log is full of what it is about to trim.
                tokio::time::sleep(LOOK * 40).await;
            }
        }
        judge(world);
    }

    /// Waits until everything is through; tells whether it is in time.
    async fn through(&self, deadline: Millis) -> bool {
        let world = &self.world;
        loop {
            let outside = {
                let state = world.lock();
                let late = state
                    .targets
                    .values()
                    .filter_map(super::target::Target::last_late);
                state.sent == world.emissions.len()
                    && state.unanswered.is_empty()
                    && World::is_consumed(&state)
                    && late
                        .chain(state.crm.last_late())
                        .max()
                        .is_none_or(|due| due < state.now())
            };
            if outside && self.instance.is_caught_up() {
                return true;
            }
            if world.now() > deadline {
                let sinks = self.instance.sinks().iter();
                let tasks: Vec<_> = sinks
                    .flat_map(|sink| {
                        let statuses = sink.tasks.statuses().into_values();
                        statuses.map(|task| (sink.name.clone(), sink.gate.status(), task))
                    })
                    .collect();
                let ingest: Vec<_> = self
                    .instance
                    .ingest()
                    .iter()
                    .map(|view| view.status.borrow().clone())
                    .collect();
                world.violate("liveness", || {
                    format!("not through in time: outside {outside}, {tasks:?}, {ingest:?}")
                });
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The configuration of a plan.
fn config(plan: &Plan) -> Config {
    static PARSED: OnceLock<Mutex<Config>> = OnceLock::new();
    let parsed =
        PARSED.get_or_init(|| Mutex::new(goldwire::topology::parse(CONFIG, &|_| None).unwrap()));
    let mut config = parsed.lock().unwrap().clone();
    config.delivery.in_flight = plan.in_flight;
    config.delivery.commit_interval = format!("{}ms", plan.commit_interval).as_str().into();
    config.delivery.retry.attempts = plan.attempts;
    config.log.partitions = plan.partitions;
    let crm = config.sinks.get_mut("crm").unwrap();
    crm.salesforce.as_mut().unwrap().guard = if plan.guarded {
        Declared::Version
    } else {
        Declared::None
    };
    config
}
