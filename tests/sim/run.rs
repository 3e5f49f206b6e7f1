//! One seed from its first event to its verdict: lives of the process that end as the plan says,
//! and a last one in which everything must come right.

use std::sync::Arc;

use goldwire::dead_letter::{Redrive, Work};
use goldwire::log::Log;
use goldwire::runtime::{Files, Instance, StartError};
use goldwire::store::Store;
use goldwire::time::Millis;
use rand::RngExt as _;

use super::crm;
use super::disk::{DiskStore, SlowCommit};
use super::fault::{Fault, Hits};
use super::feed;
use super::host::Host;
use super::judge::judge;
use super::kafka::{self, Doors};
use super::log::{Place, Records, SimLog};
use super::plan::{End, Kind, Plan, START};
use super::start::{Started, start, supervise};
use super::target::may_land;
use super::watch::LOOK;
use super::world::{Dropped, Violation, World, millis};

/// After the last fault everything must be through within this time.
pub(crate) const BOUND: Millis = 30 * 60_000;
/// A record may kill the process so often before it is found out.
const KILLS: u32 = 12;
/// So often letters are redriven at the end; a record that fails without a fault never ends.
pub(crate) const REDRIVES: u32 = 6;

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
    host: Arc<Host>,
    store: Arc<DiskStore>,
    log: Arc<Records>,
    inbox: Arc<Records>,
}

/// Runs a plan.
pub(crate) fn run(plan: &Plan, tracing: bool) -> Outcome {
    if plan.cluster.is_some() {
        return kafka::run(plan, tracing);
    }
    let world = World::new(plan.clone(), tracing);
    let host = Host::born(&world, 0);
    let disk = Disk {
        store: Arc::new(DiskStore {
            host: Arc::clone(&host),
            inner: Arc::default(),
        }),
        host,
        log: Records::new(&world, plan.partitions, Place::Events),
        inbox: Records::new(&world, 1, Place::Inbox(0)),
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
    outcome(&world)
}

/// What a run found.
pub(crate) fn outcome(world: &World) -> Outcome {
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
        arrives(world, dropped, |place| match place {
            Place::Inbox(_) => &disk.inbox,
            Place::Events => &disk.log,
        });
    }
    over
}

/// What was on its way arrives, or not.
pub(crate) fn arrives<'a>(
    world: &World,
    dropped: Dropped,
    log: impl Fn(Place) -> &'a Arc<Records>,
) {
    match dropped {
        Dropped::Append {
            place,
            partition,
            records,
        } => {
            let flushed = world.lock().rng.random_bool(0.5);
            if flushed {
                log(place).store(partition, &records);
            }
        }
        Dropped::Contact { write, sent } => crm::may_land(&mut world.lock(), write, sent),
        Dropped::Rows { kind, rows, sent } => may_land(&mut world.lock(), kind, &rows, sent),
    }
}

struct Life {
    world: Arc<World>,
    number: u64,
    instance: Instance,
    redrive: Redrive,
}

impl Life {
    async fn supervise(world: &Arc<World>, disk: &Disk) -> Option<Self> {
        let started = supervise(&disk.host, || Self::start(disk)).await?;
        let doors = Arc::new(Doors::default());
        doors.open(&disk.host, started.reception);
        tokio::spawn(feed::play(Arc::clone(world), doors));
        Some(Self {
            world: Arc::clone(world),
            number: disk.host.life,
            instance: started.instance,
            redrive: started.redrive,
        })
    }

    fn start(disk: &Disk) -> Result<Started, StartError> {
        let host = &disk.host;
        for target in host.lock().targets.values_mut() {
            target.reborn(host.life);
        }
        let log = |records: &Arc<Records>| -> Arc<dyn Log> {
            let (host, records) = (Arc::clone(host), Arc::clone(records));
            Arc::new(SimLog { host, records })
        };
        let store: Arc<dyn Store> = Arc::<DiskStore>::clone(&disk.store);
        let files = Files {
            store,
            inbox: log(&disk.inbox),
            log: log(&disk.log),
        };
        let committing = Arc::clone(host);
        start(host, files, |parts| {
            parts.commit = Arc::new(move |inner, _| {
                let kind = Kind::named(&inner.sink).unwrap();
                if kind == Kind::Pieces {
                    // What is remembered is prepared before its piece lands.
                    return Arc::new(inner);
                }
                Arc::new(SlowCommit {
                    host: Arc::clone(&committing),
                    kind,
                    partition: inner.partition,
                    epoch: 0,
                    inner: Arc::new(inner),
                })
            });
        })
    }

    async fn end(self, how: End) {
        let fault = if how == End::Crash {
            Fault::Crash
        } else {
            Fault::Stop
        };
        {
            if how == End::Crash {
                self.world.crashes(self.number);
            }
            let mut state = self.world.lock();
            state.hit(fault);
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
            let outside = world.is_quiet();
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
