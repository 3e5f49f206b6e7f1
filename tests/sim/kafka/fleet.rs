//! Several instances from the first event to the verdict.

use std::sync::Arc;

use goldwire::dead_letter::Work;
use goldwire::runtime::Instance;
use goldwire::store::keys;
use goldwire::time::Millis;

use super::act::{Fate, What};
use super::doors::Doors;
use super::slot::{Life, Slot};
use crate::feed;
use crate::host::Breath;
use crate::judge::judge;
use crate::log::{Place, Records};
use crate::plan::{Plan, START};
use crate::run::{BOUND, Outcome, REDRIVES, arrives, outcome};
use crate::watch::LOOK;
use crate::world::{World, millis};

/// Runs a plan.
pub(crate) fn run(plan: &Plan, tracing: bool) -> Outcome {
    let world = World::new(plan.clone(), tracing);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        world.begin();
        Fleet::new(&world).play().await;
    });
    drop(runtime);
    outcome(&world)
}

/// What is done to an instance.
#[derive(Debug, Clone, Copy)]
enum Step {
    Kill,
    Stop,
    Start(Fate),
    Freeze,
    Thaw,
    Shuffle,
}

/// All instances.
struct Fleet {
    world: Arc<World>,
    log: Arc<Records>,
    doors: Arc<Doors>,
    slots: Vec<Slot>,
}

impl Fleet {
    fn new(world: &Arc<World>) -> Self {
        let log = Records::new(world, world.plan.partitions, Place::Events);
        let instances = world.plan.cluster.as_ref().map_or(0, |it| it.instances);
        let slots = (0..instances).map(|slot| Slot::new(world, slot, &log));
        Self {
            world: Arc::clone(world),
            slots: slots.collect(),
            log,
            doors: Arc::default(),
        }
    }

    async fn play(mut self) {
        let world = Arc::clone(&self.world);
        tokio::spawn(async move { world.tick().await });
        let inboxes = self.slots.iter().map(|slot| Arc::clone(&slot.inbox));
        tokio::spawn(sweep(
            Arc::clone(&self.world),
            Arc::clone(&self.log),
            inboxes.collect(),
        ));
        for slot in &mut self.slots {
            slot.start(Fate::Kept, &self.doors).await;
        }
        let (world, doors) = (Arc::clone(&self.world), Arc::clone(&self.doors));
        tokio::spawn(feed::play(world, doors));
        for (at, slot, step) in steps(&self.world.plan) {
            tokio::time::sleep(millis(START + at - self.world.now())).await;
            let slot = &mut self.slots[slot];
            match step {
                Step::Kill => slot.kill(),
                Step::Stop => slot.stop(),
                Step::Start(disk) => slot.start(disk, &self.doors).await,
                Step::Freeze => slot.freeze(),
                Step::Thaw => slot.thaw(),
                Step::Shuffle => self.world.shuffle(),
            }
        }
        self.finish().await;
        // No one takes leave any more.
        for life in self.lives() {
            life.host.becomes(Breath::Gone(self.world.now()));
        }
    }

    /// Faults end, what was refused is redriven, and everything is through in time.
    async fn finish(&self) {
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
            let mut work = Work::default();
            work.filter.names = world.open_letters();
            let life = self.lives().next().unwrap();
            let redriven = life.redrive.run(&work, &|_| ()).await;
            world.note(|| format!("redriven: {redriven:?}"));
            if redriven.is_err() {
                tokio::time::sleep(LOOK * 40).await;
            }
        }
        // A commit may be on its way from its changelog to its store.
        for _ in 0..20 {
            if self.differs().is_none() {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        if let Some(differs) = self.differs() {
            world.violate("G3", || differs);
        }
        judge(world);
    }

    fn lives(&self) -> impl Iterator<Item = &Life> {
        self.slots.iter().filter_map(|slot| slot.life.as_ref())
    }

    /// Waits until everything is through; tells whether it is in time.
    async fn through(&self, deadline: Millis) -> bool {
        let world = &self.world;
        loop {
            let outside = world.is_quiet();
            let instances: Vec<&Instance> = self.lives().map(|life| &life.instance).collect();
            let all = instances.len() == self.slots.len();
            let inside = all && instances.iter().all(|it| it.is_caught_up()) && self.is_owned();
            if outside && inside {
                return true;
            }
            if world.now() > deadline {
                let tasks: Vec<_> = instances
                    .iter()
                    .flat_map(|instance| instance.sinks())
                    .map(|sink| (&sink.name, sink.gate.status(), sink.tasks.statuses()))
                    .collect();
                world.violate("liveness", || {
                    format!("not through in time: outside {outside}, {all}, {tasks:?}")
                });
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether each partition of each sink has one task.
    fn is_owned(&self) -> bool {
        let plan = &self.world.plan;
        plan.sinks.iter().all(|kind| {
            let tasks = self.lives().flat_map(|life| {
                let sinks = life.instance.sinks().iter();
                let mut of_kind = sinks.filter(|sink| sink.name == kind.name());
                let tasks = of_kind.next().map(|sink| sink.tasks.statuses());
                tasks.into_iter().flatten()
            });
            tasks.count() == usize::from(plan.partitions)
        })
    }

    /// Where the store of whoever has a partition holds other than its changelog (G3).
    fn differs(&self) -> Option<String> {
        let plan = &self.world.plan;
        for kind in &plan.sinks {
            for partition in 0..plan.partitions {
                let state = self.world.lock();
                let group = &state.cluster.groups[kind];
                let owner = group.owner(partition);
                let Some(topic) = state.cluster.topics.get(&(*kind, partition)) else {
                    continue;
                };
                let mut all = topic.all();
                all.remove(keys::TAKEOVER);
                // Notes of what is sent are put outside of transactions: one of a zombie may come
                // after its partition was taken over. They are hints, and those below the position
                // are dropped.
                let notes = keys::attempts_of(kind.name(), partition);
                all.retain(|key, _| !key.starts_with(&notes));
                let of_owner =
                    |slot: &&Slot| slot.life.as_ref().map(|life| life.host.life) == owner;
                let Some(slot) = self.slots.iter().find(of_owner) else {
                    continue;
                };
                let group = format!("goldwire.{}", kind.name());
                let mut held = slot.holds(&keys::of_task(kind.name(), &group, partition));
                held.retain(|key, _| !key.starts_with(&notes));
                if held != all {
                    return Some({
                        let show = |of: &Vec<u8>| String::from_utf8_lossy(of).into_owned();
                        let differs =
                            |(key, value): &(&Vec<u8>, &Vec<u8>)| held.get(*key) != Some(*value);
                        let lacks = all.iter().find(differs).map(|(key, _)| show(key));
                        let extra = held.keys().find(|key| !all.contains_key(*key)).map(show);
                        format!(
                            "{} {partition}: the store differs from its changelog: lacks {lacks:?}, \
                             has {extra:?}",
                            kind.name()
                        )
                    });
                }
            }
        }
        None
    }
}

/// What is done, in order of time.
fn steps(plan: &Plan) -> Vec<(Millis, usize, Step)> {
    let acts = plan.cluster.iter().flat_map(|it| &it.acts);
    let mut steps: Vec<_> = acts
        .flat_map(|act| {
            let (first, then) = match act.what {
                What::Kill { disk, .. } => (Step::Kill, Some(Step::Start(disk))),
                What::Stop { disk, .. } => (Step::Stop, Some(Step::Start(disk))),
                What::Freeze { .. } => (Step::Freeze, Some(Step::Thaw)),
                What::Shuffle => (Step::Shuffle, None),
            };
            let then = then.map(|step| (act.over(), act.slot, step));
            [(act.at, act.slot, first)].into_iter().chain(then)
        })
        .collect();
    steps.sort_by_key(|(at, ..)| *at);
    steps
}

/// What was on its way when what it was of ended arrives, or not.
async fn sweep(world: Arc<World>, log: Arc<Records>, inboxes: Vec<Arc<Records>>) {
    loop {
        world.fell.notified().await;
        tokio::task::yield_now().await;
        for dropped in world.dropped() {
            arrives(&world, dropped, |place| match place {
                Place::Inbox(slot) => &inboxes[slot],
                Place::Events => &log,
            });
        }
    }
}
