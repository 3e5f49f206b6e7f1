//! The script of a tenant: which operations, on whom, when.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::dispatch::Dispatch;
use super::emission::{Emission, Meaning};
use super::entity::{EntityType, SALESFORCE_SOURCE};
use super::event_type::EventType;
use super::history::Tenant;
use super::settings::SimulatorSettings;
use super::truth::Truth;
use super::world::World;
use crate::time::Millis;

/// How many of the newest subjects count as busy: half of all operations are on one of them, so
/// that changes of one subject come close together.
const BUSY: usize = 24;

/// Kinds of operations with their weights.
const OPERATIONS: [(Operation, u32); 9] = [
    (Operation::Create, 28),
    (Operation::Update, 40),
    (Operation::Contribute, 5),
    (Operation::Merge, 8),
    (Operation::Unmerge, 3),
    (Operation::Remove, 2),
    (Operation::Erase, 1),
    (Operation::Relate, 8),
    (Operation::Rerelate, 5),
];

#[derive(Debug, Clone, Copy)]
enum Operation {
    Create,
    Update,
    Contribute,
    Merge,
    Unmerge,
    Remove,
    Erase,
    Relate,
    Rerelate,
}

/// A tenant's script, written out: what it was at any moment, what it sends, what is true in the
/// end.
#[derive(Debug)]
pub struct Simulator {
    tenant: Arc<Tenant>,
    truth: Truth,
    emissions: Vec<Emission>,
    salesforce: Vec<(String, String)>,
}

impl Simulator {
    /// Writes the script.
    pub fn new(settings: &SimulatorSettings) -> Self {
        let mut writer = Writer {
            world: World::new(&settings.tenant_name, settings.seed, settings.clock_skew),
            rng: ChaCha8Rng::seed_from_u64(settings.seed.wrapping_add(1)),
            living: Vec::new(),
        };
        while writer.world.happenings().len() < settings.events {
            let at = settings.start + offset(settings, writer.world.happenings().len());
            writer.step(at);
        }
        let world = writer.world;
        let mut dispatch = Dispatch {
            settings,
            rng: ChaCha8Rng::seed_from_u64(settings.seed.wrapping_add(2)),
            sent: Vec::new(),
        };
        for event in world.happenings() {
            dispatch.send(event);
        }
        let truth = Truth::of(&world);
        let entities = truth.ends.keys().filter(|uri| uri.starts_with("entities/"));
        let entities: Vec<_> = entities.cloned().collect();
        dispatch.disturb(world.happenings().len(), &entities);
        Self {
            truth,
            emissions: dispatch.in_order(),
            salesforce: world.salesforce().to_vec(),
            tenant: Arc::new(world.into_tenant()),
        }
    }

    /// What the tenant was at any moment: what a fake API answers from.
    pub fn tenant(&self) -> Arc<Tenant> {
        Arc::clone(&self.tenant)
    }

    /// What must be true of every sink when all is delivered.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// What the tenant sends, in order.
    pub fn emissions(&self) -> &[Emission] {
        &self.emissions
    }

    /// How many dead letters the script must leave: messages that no one can decode, all
    /// different.
    pub fn malformed(&self) -> usize {
        let malformed =
            |emission: &&Emission| matches!(emission.meaning, Meaning::Malformed { .. });
        self.emissions.iter().filter(malformed).count()
    }

    /// How many different messages tell of an erasure and not when it was: a sink whose rows need a
    /// time cannot keep them.
    pub fn undated_erasures(&self) -> usize {
        let undated = |emission: &&Emission| {
            emission.meaning == Meaning::Change(EventType::Erased) && !emission.form.clocks
        };
        let bodies = self.emissions.iter().filter(undated).map(|it| &it.body);
        bodies.collect::<BTreeSet<_>>().len()
    }

    /// Salesforce records that must exist before the script is played: each record's id, and the
    /// entity whose crosswalk names it first.
    pub fn salesforce_seed(&self) -> Vec<(String, String)> {
        self.salesforce.clone()
    }
}

/// Operations are spread over the script's duration by the events that they cause.
fn offset(settings: &SimulatorSettings, events: usize) -> Millis {
    let events = Millis::try_from(events).unwrap_or(Millis::MAX);
    let all = Millis::try_from(settings.events).unwrap_or(Millis::MAX);
    settings.duration.saturating_mul(events) / all.max(1)
}

#[derive(Debug)]
struct Writer {
    world: World,
    rng: ChaCha8Rng,
    /// Entities made or split off, the newest last; those that died are left out on sight.
    living: Vec<String>,
}

impl Writer {
    fn step(&mut self, at: Millis) {
        let drawn = OPERATIONS.choose_weighted(&mut self.rng, |(_, weight)| *weight);
        let operation = drawn.map_or(Operation::Create, |(operation, _)| *operation);
        if !self.run(at, operation) {
            // There was no one to do it to.
            self.create(at);
        }
    }

    fn run(&mut self, at: Millis, operation: Operation) -> bool {
        match operation {
            Operation::Create => false,
            Operation::Relate => self
                .pair()
                .is_some_and(|(start, end)| self.world.relate(at, &start, &end).is_some()),
            Operation::Rerelate => self.rerelate(at),
            Operation::Unmerge => self.unmerge(at),
            Operation::Merge => self
                .pair()
                .is_some_and(|(winner, loser)| self.world.merge(at, &winner, &loser)),
            Operation::Update => self.any().is_some_and(|uri| self.world.update(at, &uri)),
            Operation::Contribute => self.any().is_some_and(|uri| {
                let person = self.world.kind(&uri) == Some(EntityType::Individual);
                let source = if person { SALESFORCE_SOURCE } else { "WEB" };
                self.world.contribute(at, &uri, source)
            }),
            Operation::Remove => self.any().is_some_and(|uri| self.world.remove(at, &uri)),
            Operation::Erase => self.any().is_some_and(|uri| self.world.erase(at, &uri)),
        }
    }

    fn create(&mut self, at: Millis) {
        let person = self.rng.random_bool(0.8);
        let salesforce = person && self.rng.random_bool(0.5);
        let kind = if person {
            EntityType::Individual
        } else {
            EntityType::Organization
        };
        let uri = self.world.create(at, kind, salesforce);
        self.living.push(uri);
    }

    fn unmerge(&mut self, at: Millis) -> bool {
        let active = self.world.merges().iter().filter(|merge| merge.active);
        let losers: Vec<_> = active.map(|merge| merge.loser.clone()).collect();
        let Some(loser) = losers.choose(&mut self.rng) else {
            return false;
        };
        let done = self.world.unmerge(at, loser);
        if done {
            self.living.push(loser.clone());
        }
        done
    }

    fn rerelate(&mut self, at: Millis) -> bool {
        let relations = self.world.relations();
        let Some(uri) = relations.choose(&mut self.rng) else {
            return false;
        };
        if self.rng.random_bool(0.7) {
            self.world.change_relation(at, uri)
        } else {
            self.world.unrelate(at, uri)
        }
    }

    /// A living entity, half of the time a busy one.
    fn any(&mut self) -> Option<String> {
        let world = &self.world;
        self.living.retain(|uri| world.lives(uri));
        let first = if self.rng.random_bool(0.5) {
            self.living.len().saturating_sub(BUSY)
        } else {
            0
        };
        let choice = self.living.get(first..)?;
        choice.choose(&mut self.rng).cloned()
    }

    fn pair(&mut self) -> Option<(String, String)> {
        Some((self.any()?, self.any()?))
    }
}
