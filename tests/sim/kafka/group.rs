//! The coordinator of one sink's group: who is in it, who has which partition, in which generation.
//!
//! Partitions move as in a cooperative rebalance: who has to give one up is asked, and it is
//! assigned to its new member when it was given back, or its old one is out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use goldwire::time::Millis;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::{REBALANCE, SESSION};
use crate::fault::Fault;
use crate::host::Breath;
use crate::plan::Kind;
use crate::world::{State, World};

/// What a member is told, with the generation from then on.
#[derive(Debug)]
pub(super) enum Told {
    /// These are its own.
    Assigned(Vec<u16>),
    /// These are to be given back.
    Revoked(Vec<u16>),
    /// It is out, and all that it had is lost.
    Out,
    /// Others came or went.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Member {
    slot: usize,
    life: u64,
    pub(super) mail: VecDeque<(u64, Told)>,
    owns: BTreeSet<u16>,
    /// What it gives back, and until when it may.
    revoking: BTreeSet<u16>,
    until: Millis,
}

/// One sink's group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) generation: u64,
    members: BTreeMap<u64, Member>,
    /// Mail of members that are out, which they still read.
    gone: BTreeMap<u64, VecDeque<(u64, Told)>>,
    /// Somebody came or went.
    unsettled: bool,
    /// The next assignment is another for no reason.
    shuffled: bool,
}

impl Group {
    /// Whether a member of this generation may commit.
    pub(super) fn may_commit(&self, member: u64, generation: u64) -> bool {
        self.members.contains_key(&member) && self.generation == generation
    }

    /// The next thing that the member is told.
    pub(super) fn mail(&mut self, member: u64) -> Option<(u64, Told)> {
        match self.members.get_mut(&member) {
            Some(member) => member.mail.pop_front(),
            None => self.gone.get_mut(&member)?.pop_front(),
        }
    }

    /// A partition's owner, by its life.
    pub(super) fn owner(&self, partition: u16) -> Option<u64> {
        let mut members = self.members.values();
        let owner = members.find(|member| member.owns.contains(&partition));
        owner.map(|member| member.life)
    }

    /// The lives that are in it.
    pub(super) fn lives(&self) -> impl Iterator<Item = u64> {
        self.members.values().map(|member| member.life)
    }

    pub(super) fn shuffle(&mut self) {
        self.shuffled = true;
        self.unsettled = true;
    }

    fn tell_all(&mut self) {
        self.generation += 1;
        for member in self.members.values_mut() {
            member.mail.push_back((self.generation, Told::Nothing));
        }
    }

    /// A member is out; it hears so when it asks.
    fn put_out(&mut self, member: u64) {
        if self.members.remove(&member).is_some() {
            let mail = VecDeque::from([(self.generation, Told::Out)]);
            self.gone.insert(member, mail);
            self.unsettled = true;
        }
    }

    /// Who is to have which partition.
    fn target(&self, partitions: u16) -> BTreeMap<u16, u64> {
        let mut load: BTreeMap<u64, BTreeSet<u16>> = BTreeMap::new();
        let mut free = Vec::new();
        for id in self.members.keys() {
            load.insert(*id, BTreeSet::new());
        }
        for partition in 0..partitions {
            let owner = self
                .members
                .iter()
                .find(|(_, it)| it.owns.contains(&partition));
            match owner {
                Some((id, _)) => drop(load.get_mut(id).unwrap().insert(partition)),
                None => free.push(partition),
            }
        }
        for partition in free {
            let least = load.iter().min_by_key(|(_, owns)| owns.len());
            let least = *least.unwrap().0;
            load.get_mut(&least).unwrap().insert(partition);
        }
        loop {
            let most = load.iter().max_by_key(|(_, owns)| owns.len()).unwrap();
            let least = load.iter().min_by_key(|(_, owns)| owns.len()).unwrap();
            if most.1.len() - least.1.len() < 2 {
                break;
            }
            let (from, to, moved) = (*most.0, *least.0, *most.1.last().unwrap());
            load.get_mut(&from).unwrap().remove(&moved);
            load.get_mut(&to).unwrap().insert(moved);
        }
        let all = load.into_iter();
        all.flat_map(|(id, owns)| owns.into_iter().map(move |partition| (partition, id)))
            .collect()
    }
}

impl World {
    /// A new member. A restarted instance with a name of its own takes the place of its last life.
    pub(super) fn join(&self, kind: Kind, slot: usize, life: u64) -> u64 {
        let fixed = self.plan.cluster.as_ref().is_some_and(|it| it.fixed);
        let mut state = self.lock();
        let id = state.cluster.number();
        state.note(|| format!("{} #{slot} joins as {id}", kind.name()));
        let group = state.cluster.groups.entry(kind).or_default();
        let mut member = Member {
            slot,
            life,
            mail: VecDeque::new(),
            owns: BTreeSet::new(),
            revoking: BTreeSet::new(),
            until: 0,
        };
        let mut others = group.members.iter();
        let before = others.find(|(_, it)| fixed && it.slot == slot);
        if let Some(before) = before.map(|(id, _)| *id) {
            let before = group.members.remove(&before).unwrap();
            member.owns = before.owns;
            for partition in before.revoking {
                member.owns.remove(&partition);
            }
            let owns = member.owns.iter().copied().collect();
            let told = Told::Assigned(owns);
            member.mail.push_back((group.generation, told));
        }
        group.members.insert(id, member);
        group.unsettled = true;
        drop(state);
        self.lock().cluster.told.notify_waiters();
        id
    }

    /// A member goes.
    pub(super) fn leave(&self, kind: Kind, member: u64) {
        let mut state = self.lock();
        state.note(|| format!("{} {member} leaves", kind.name()));
        let group = state.cluster.groups.entry(kind).or_default();
        group.put_out(member);
    }

    /// A member has given these back.
    pub(super) fn given_back(&self, kind: Kind, member: u64, partitions: &[u16]) {
        let mut state = self.lock();
        state.note(|| format!("{} {member} gave back {partitions:?}", kind.name()));
        let group = state.cluster.groups.entry(kind).or_default();
        if let Some(member) = group.members.get_mut(&member) {
            for partition in partitions {
                member.owns.remove(partition);
                member.revoking.remove(partition);
            }
        }
    }

    /// What the coordinator does at a tick.
    pub(super) fn coordinate(&self, state: &mut State, kind: Kind) {
        let now = state.now();
        let partitions = self.plan.partitions;
        let Some(group) = state.cluster.groups.get(&kind) else {
            return;
        };
        let mut out = Vec::new();
        for (id, member) in &group.members {
            let silent = match state.lives[&member.life] {
                Breath::Runs => false,
                Breath::Frozen(since) | Breath::Gone(since) => since + SESSION <= now,
            };
            let late = !member.revoking.is_empty() && member.until <= now;
            if silent || late {
                out.push((*id, late));
            }
        }
        for (id, late) in out {
            state.note(|| format!("{} {id} is out", kind.name()));
            state.hit(if late {
                Fault::LateDrain
            } else {
                Fault::SessionLost
            });
            let group = state.cluster.groups.get_mut(&kind).unwrap();
            group.put_out(id);
        }
        let group = state.cluster.groups.get_mut(&kind).unwrap();
        let gives = group.members.values().any(|it| !it.revoking.is_empty());
        if gives || group.members.is_empty() {
            return;
        }
        let mut target = group.target(partitions);
        if std::mem::take(&mut group.shuffled) {
            let mut ids: Vec<u64> = group.members.keys().copied().collect();
            let mut numbers: Vec<u16> = (0..partitions).collect();
            numbers.shuffle(&mut state.rng);
            let first = state.rng.random_range(0..ids.len());
            ids.rotate_left(first);
            target = numbers.into_iter().zip(ids.into_iter().cycle()).collect();
        }
        rebalance(state, kind, &target);
    }
}

/// Tells the members who has what from now on.
fn rebalance(state: &mut State, kind: Kind, target: &BTreeMap<u16, u64>) {
    let now = state.now();
    let group = state.cluster.groups.get_mut(&kind).unwrap();
    let mut told: BTreeMap<u64, (Vec<u16>, Vec<u16>)> = BTreeMap::new();
    for (partition, to) in target {
        let has = |it: &Member| it.owns.contains(partition);
        let owner = group.members.iter().find(|(_, it)| has(it));
        match owner.map(|(id, _)| *id) {
            Some(id) if id == *to => {}
            Some(id) => told.entry(id).or_default().1.push(*partition),
            None => told.entry(*to).or_default().0.push(*partition),
        }
    }
    if told.is_empty() && !group.unsettled {
        return;
    }
    group.unsettled = false;
    group.tell_all();
    let generation = group.generation;
    for (id, (assigned, revoked)) in &told {
        let member = group.members.get_mut(id).unwrap();
        if !revoked.is_empty() {
            member.revoking = revoked.iter().copied().collect();
            member.until = now + REBALANCE;
            let told = Told::Revoked(revoked.clone());
            member.mail.push_back((generation, told));
        }
        if !assigned.is_empty() {
            member.owns.extend(assigned);
            let told = Told::Assigned(assigned.clone());
            member.mail.push_back((generation, told));
        }
    }
    state.note(|| format!("{} generation {generation}: {told:?}", kind.name()));
}
