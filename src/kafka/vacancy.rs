//! Partitions that no member of a group has, though the group is at rest.
//!
//! Guarantee: with static members of the classic protocol every partition has one again within a minute.
//! A member that gave a partition up and ended before it joined the next generation comes back with its
//! name, and the brokers answer as before (KIP-345): no one is asked to take what it gave up. Whoever sees
//! that leaves the group for a moment, which divides everything again. Other members need no such thing: the
//! brokers divide by themselves when one ends, and under KIP-848 always.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::groups::GroupInfo;
use tokio::time::Instant;

use super::heard::Heard;
use super::membership::GroupProtocol;
use super::query::Query;

/// Between two looks at a group, and while a partition has no one.
const LOOK: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(2);
/// After brokers that did not answer.
const LATER: Duration = Duration::from_secs(30);
/// How long the brokers have for an answer.
const ANSWER: Duration = Duration::from_secs(1);
/// A partition that moves has no one for as long as it is drained.
const MOVES: Duration = Duration::from_secs(15);
/// The next member acts so much later.
const TURN: Duration = Duration::from_secs(5);
/// Letters of a UUID.
const UUID: usize = 36;
/// librdkafka leaves the group when it has given up its partitions, and does not say when.
const LEAVES: Duration = Duration::from_secs(1);

/// What is said when a member leaves.
pub(crate) const VACANT: &str = "no member of the group has these partitions, though it is at rest: a member \
     ended while they moved; leaves the group and joins again, which divides all partitions again";

/// What a member has at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Partitions come or go.
    Moving,
    /// Partitions, and none comes or goes.
    Some,
    /// None at all.
    Nothing,
}

impl Holds {
    pub(crate) fn of(moves: bool, owns: bool) -> Self {
        match (moves, owns) {
            (true, _) => Self::Moving,
            (false, true) => Self::Some,
            (false, false) => Self::Nothing,
        }
    }
}

/// The looks of one member at its group.
#[derive(Debug)]
pub(crate) struct Vacancy {
    group: String,
    topic: String,
    /// What the brokers' names of this member begin with.
    prefix: String,
    look_at: Instant,
    looking: Query<Option<Look>>,
    /// Partitions that no one has, and since when.
    vacant: Option<(Instant, BTreeSet<i32>)>,
    /// It left; no earlier than this it joins again.
    joins_at: Option<Instant>,
}

/// What the brokers told of a group and its topic.
#[derive(Debug)]
struct Look {
    /// Names and assignments; nothing of a group that is not at rest.
    members: Option<Vec<(String, Vec<u8>)>>,
    partitions: i32,
}

/// What was seen of a group at rest.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    vacant: BTreeSet<i32>,
    /// How many members act before this one.
    before: u32,
}

impl Vacancy {
    /// Nothing for a member that needs none.
    pub(crate) fn of(
        protocol: GroupProtocol,
        instance: Option<&str>,
        group: &str,
        topic: &str,
    ) -> Option<Self> {
        let instance = instance.filter(|_| protocol == GroupProtocol::Classic)?;
        Some(Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            prefix: format!("{instance}-"),
            look_at: Instant::now() + LOOK,
            looking: Query::default(),
            vacant: None,
            joins_at: None,
        })
    }

    /// Looks now and then. Leaves the group if a partition is no one's, and then joins it again, once
    /// nothing is left here. To be called again and again; returns the partitions that no one has when it leaves.
    pub(crate) fn go_on(
        &mut self,
        consumer: &Arc<BaseConsumer<Heard>>,
        holds: Holds,
    ) -> Option<BTreeSet<i32>> {
        let (now, looked) = (Instant::now(), self.looking.answer());
        if let Some(at) = &mut self.joins_at {
            if holds != Holds::Nothing {
                *at = now + LEAVES;
            } else if now >= *at {
                // Without a subscription it would have nothing for good: a failure is tried again.
                let joins = consumer.subscribe(&[&self.topic]);
                self.joins_at = joins.err().map(|_| now + LEAVES);
            }
            return None;
        }
        // What was seen before partitions moved tells nothing.
        if holds == Holds::Moving {
            return None;
        }
        if let Some(look) = looked {
            let seen = look.and_then(|look| self.see(look));
            let left = self.judge(seen, now)?;
            consumer.unsubscribe();
            self.joins_at = Some(now + LEAVES);
            return Some(left);
        }
        if now >= self.look_at && !self.looking.is_asking() {
            let (group, topic) = (self.group.clone(), self.topic.clone());
            let look = move |consumer: &BaseConsumer<Heard>| look(consumer, &group, &topic);
            self.looking.ask(consumer, look);
        }
        None
    }

    /// Waits until a look needs the consumer no more.
    pub(crate) fn end(&mut self) {
        self.looking.end();
    }

    /// What is to be seen in members and their assignments; nothing if one cannot be read.
    fn see(
        &self,
        Look {
            members,
            partitions,
        }: Look,
    ) -> Option<Seen> {
        let Some(members) = members else {
            return Some(Seen::default());
        };
        let mut vacant: BTreeSet<i32> = (0..partitions).collect();
        for (_, assignment) in &members {
            for partition in assigned(assignment, &self.topic)? {
                vacant.remove(&partition);
            }
        }
        let this = &members.iter().find(|(id, _)| self.is_this(id))?.0;
        let before = members.iter().filter(|(id, _)| id < this).count();
        let before = u32::try_from(before).ok()?;
        Some(Seen { vacant, before })
    }

    /// Whether the brokers call this member so: its name, and a UUID.
    fn is_this(&self, id: &str) -> bool {
        let rest = id.strip_prefix(&self.prefix);
        rest.is_some_and(|rest| rest.len() == UUID)
    }

    fn judge(&mut self, seen: Option<Seen>, now: Instant) -> Option<BTreeSet<i32>> {
        let known = self.vacant.take();
        let Some(seen) = seen else {
            self.look_at = now + LATER;
            return None;
        };
        if seen.vacant.is_empty() {
            self.look_at = now + LOOK;
            return None;
        }
        let still = known.and_then(|(since, known)| {
            let both: BTreeSet<i32> = known.intersection(&seen.vacant).copied().collect();
            (!both.is_empty()).then_some((since, both))
        });
        let (since, vacant) = still.unwrap_or((now, seen.vacant));
        if now.saturating_duration_since(since) >= MOVES + TURN * seen.before {
            self.look_at = now + LOOK;
            return Some(vacant);
        }
        self.vacant = Some((since, vacant));
        self.look_at = now + AGAIN;
        None
    }
}

/// Asks the brokers; nothing if they do not tell.
fn look(consumer: &BaseConsumer<Heard>, group: &str, topic: &str) -> Option<Look> {
    let client = consumer.client();
    let groups = client.fetch_group_list(Some(group), ANSWER).ok()?;
    let mut groups = groups.groups().iter();
    let group = groups.find(|of| of.name() == group)?;
    let at_rest = group.state() == "Stable";
    let topics = client.fetch_metadata(Some(topic), ANSWER).ok()?;
    let mut topics = topics.topics().iter();
    let topic = topics.find(|of| of.name() == topic)?;
    Some(Look {
        members: at_rest.then(|| members(group)),
        partitions: i32::try_from(topic.partitions().len()).ok()?,
    })
}

fn members(group: &GroupInfo) -> Vec<(String, Vec<u8>)> {
    let members = group.members().iter().map(|member| {
        let assignment = member.assignment().unwrap_or_default();
        (member.id().to_owned(), assignment.to_vec())
    });
    members.collect()
}

/// The partitions of `topic` in an assignment (`ConsumerProtocolAssignment` of Kafka's protocol); nothing
/// if it is none.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut partitions = Vec::new();
    if bytes.is_empty() {
        return Some(partitions);
    }
    bytes.try_get_u16().ok()?;
    for _ in 0..bytes.try_get_i32().ok()? {
        let length = usize::from(bytes.try_get_u16().ok()?);
        let name = bytes.split_off(..length)?;
        for _ in 0..bytes.try_get_i32().ok()? {
            let partition = bytes.try_get_i32().ok()?;
            if name == topic.as_bytes() {
                partitions.push(partition);
            }
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vacancy() -> Vacancy {
        Vacancy::of(GroupProtocol::Classic, Some("b"), "group", "topic").unwrap()
    }

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            partitions
                .iter()
                .for_each(|of| bytes.extend(of.to_be_bytes()));
        }
        bytes.extend([255; 4]);
        bytes
    }

    fn seen(vacant: &[i32], before: u32) -> Seen {
        let vacant = vacant.iter().copied().collect();
        Seen { vacant, before }
    }

    #[test]
    fn only_static_members_of_the_classic_protocol_look() {
        let of = |protocol, instance| Vacancy::of(protocol, instance, "group", "topic").is_some();
        assert!(of(GroupProtocol::Classic, Some("a")));
        assert!(!of(GroupProtocol::Classic, None));
        assert!(!of(GroupProtocol::Consumer, Some("a")));
    }

    #[test]
    fn a_partition_that_no_assignment_names_is_vacant() {
        let (one, two) = (
            assignment(&[("topic", &[0, 3])]),
            assignment(&[("other", &[1]), ("topic", &[2])]),
        );
        let ids = ["c", "b", "b-2", "a"].map(|name| format!("{name}-{}", uuid::Uuid::nil()));
        let [c, b, b2, a] = ids.each_ref().map(String::as_str);
        let look = |members: &[(&str, &[u8])], partitions| {
            let members = members.iter();
            let members = members.map(|(id, assignment)| ((*id).to_owned(), assignment.to_vec()));
            vacancy().see(Look {
                members: Some(members.collect()),
                partitions,
            })
        };
        let members: [(&str, &[u8]); 4] = [(b2, &[]), (c, &one), (b, &two), (a, &[])];
        assert_eq!(look(&members, 5), Some(seen(&[1, 4], 1)));
        assert_eq!(look(&members[..2], 4), None, "it is no member");
        assert_eq!(look(&[(b, &one[..9])], 4), None);
    }

    #[test]
    fn members_act_one_after_the_other_when_a_partition_stays_vacant() {
        let begun = Instant::now();
        for before in [0, 2] {
            let mut vacancy = vacancy();
            let due = MOVES + TURN * before;
            assert_eq!(vacancy.judge(Some(seen(&[1, 2], before)), begun), None);
            assert_eq!(
                vacancy.judge(Some(seen(&[2, 3], before)), begun + due / 2),
                None
            );
            let left = vacancy.judge(Some(seen(&[2], before)), begun + due);
            assert_eq!(left, Some([2].into()));
        }
    }

    #[test]
    fn what_moves_and_what_cannot_be_told_begins_anew() {
        let begun = Instant::now();
        for between in [Some(seen(&[], 0)), Some(seen(&[3], 0)), None] {
            let mut vacancy = vacancy();
            vacancy.judge(Some(seen(&[1], 0)), begun);
            vacancy.judge(between, begun + MOVES / 2);
            assert_eq!(vacancy.judge(Some(seen(&[1], 0)), begun + MOVES), None);
        }
    }
}
