//! A member of a consumer group that reads the log.
//!
//! Guarantee (G2): what is given back is first drained, then out of every transaction, and only then
//! unassigned, so that no one has it before; what is lost is told before anything else is answered.
//! A partition is told as assigned once it is known where it ends.
//!
//! An assignment is answered once it is known where its partitions end, and read from there, which is
//! to say not at all: a restore that takes minutes does not hold the group's rebalance. Its reader then seeks to where its task
//! begins.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::cluster::KafkaCluster;
use super::keeper::Seen;
use super::member::Thread;
use super::offsets;
use super::ranges::Ranges;
use super::split::Splits;
use crate::kafka::{self, Heard, Properties, Share, Vacancy, pulse};
use crate::log::{LogReader, ReaderEvent};

/// Bytes that one group reads ahead, over all partitions.
const AHEAD: u64 = 16 << 20;
/// How long a drop waits for the group to be left; the member's session ends by itself otherwise.
const LEAVE: Duration = Duration::from_secs(5);

/// Who in this process has which partition of a group: asked before anything of it is committed.
pub trait Owners: fmt::Debug + Send + Sync {
    /// A partition was assigned: the epoch of that.
    fn take(&self, partition: u16) -> u64;
    /// Partitions are somebody else's already.
    fn lose(&self, partitions: &[u16]);
    /// Partitions are given back. False while something of one is being committed: ask again.
    fn give_back(&self, partitions: &[u16]) -> bool;
}

/// What a group's reader and its changelog share: the consumer.
pub struct Member {
    pub(super) topic: String,
    pub(super) partitions: u16,
    consumer: RwLock<Arc<BaseConsumer<Heard>>>,
    pub(super) ranges: Arc<Ranges>,
    /// For single records.
    pub(super) seen: Arc<Seen>,
    pub(super) splits: Splits,
    /// How long this process may stand still without a doubt, where there is one.
    silence: Option<Duration>,
    /// When the consumer was made.
    since: Mutex<Instant>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// The member itself, for what is asked of its group.
    pub(crate) fn consumer(&self) -> Arc<BaseConsumer<Heard>> {
        let consumer = self.consumer.read();
        Arc::clone(&consumer.unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with another client, which has no partitions. Returns the one before.
    pub(super) fn replace(&self, consumer: BaseConsumer<Heard>) -> Arc<BaseConsumer<Heard>> {
        let mut at = self
            .consumer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.splits.clear();
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        std::mem::replace(&mut *at, Arc::new(consumer))
    }

    /// Whether the group may have given this member up without its being told: librdkafka 2.12 keeps
    /// what a static member of the classic protocol had when the group no longer knows it at a join,
    /// and joins as a new member that has all of it still.
    pub(crate) fn may_be_given_up(&self) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.silence
            .is_some_and(|longest| pulse().longest_since(since) >= longest)
    }

    /// What partitions of a topic hold, as [`offsets::ranges`] says.
    pub(crate) fn ranges(
        &self,
        topic: &str,
        partitions: &[u16],
        patience: Duration,
    ) -> Result<Vec<(u16, u64, u64)>, KafkaError> {
        offsets::ranges(self.seen.consumer(), topic, partitions, patience)
    }
}

/// One consumer group's reader of the log.
pub struct KafkaGroup {
    member: Arc<Member>,
    events: UnboundedReceiver<ReaderEvent>,
    bell: Arc<Bell>,
    ended: Receiver<()>,
}

impl fmt::Debug for KafkaGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaGroup")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

/// What a group is, and who reads it.
#[derive(Debug, Clone)]
pub struct GroupOf {
    /// The sink, for what is logged.
    pub sink: String,
    /// The group's name.
    pub group: String,
    /// Who is told of partitions that come and go.
    pub owners: Arc<dyn Owners>,
    /// How long a partition that is given back is drained.
    pub drain: Duration,
}

impl KafkaGroup {
    /// Joins the group.
    ///
    /// # Errors
    /// Why librdkafka makes no consumer of the configuration.
    pub(super) fn join(
        cluster: &Arc<KafkaCluster>,
        ranges: &Arc<Ranges>,
        seen: &Arc<Seen>,
        of: GroupOf,
    ) -> Result<Self, String> {
        let (config, topic) = (&cluster.config, seen.topic.as_str());
        let partitions = config.partitions;
        let mut client = config.member(&of.group, cluster.largest);
        Share::of(AHEAD, u64::from(partitions)).set(&mut client);
        let joins = Joins {
            client,
            properties: config.properties.clone(),
            bell: Arc::new(Bell::default()),
        };
        let bell = Arc::clone(&joins.bell);
        let consumer = joins.join(topic)?;
        let member = Arc::new(Member {
            topic: topic.to_owned(),
            partitions,
            consumer: RwLock::new(Arc::new(consumer)),
            ranges: Arc::clone(ranges),
            seen: Arc::clone(seen),
            splits: Splits::default(),
            silence: config.longest_silence(),
            since: Mutex::new(Instant::now()),
        });
        pulse();
        let (told, events) = unbounded_channel();
        let bootstrap = config.bootstrap_servers.clone();
        let (protocol, instance) = (config.group_protocol, config.instance.as_deref());
        let vacancy = Vacancy::of(protocol, instance, &of.group, topic);
        let thread = Thread::new(Arc::clone(&member), of, bootstrap, joins, told, vacancy);
        let ended = spawn(thread)?;
        Ok(Self {
            member,
            events,
            bell,
            ended,
        })
    }

    /// The member that it is.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }
}

#[async_trait]
impl LogReader for KafkaGroup {
    async fn next(&mut self) -> ReaderEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => ReaderEvent::Halted(
                "the reader of the log died, which is a defect; start goldwire again".to_owned(),
            ),
        }
    }
}

impl Drop for KafkaGroup {
    /// Leaves the group, so that others do not wait for this member's session to end.
    fn drop(&mut self) {
        self.bell.stop();
        // An error is the good end: the thread is gone.
        let left = self.ended.recv_timeout(LEAVE);
        if left.is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(
                topic = self.member.topic,
                "the group could not be left in time"
            );
        }
    }
}

/// What a member is made of.
pub(super) struct Joins {
    client: ClientConfig,
    properties: Properties,
    pub(super) bell: Arc<Bell>,
}

impl Joins {
    /// A client that joins the group.
    pub(super) fn join(&self, topic: &str) -> Result<BaseConsumer<Heard>, String> {
        let made = self.client.create_with_context(Heard::default());
        let mut consumer: BaseConsumer<Heard> =
            made.map_err(|error| kafka::complaint(&self.properties, &error))?;
        let rings = Arc::clone(&self.bell);
        consumer.set_nonempty_callback(move || rings.ring());
        consumer
            .subscribe(&[topic])
            .map_err(|_| format!("topic {topic}: not a topic's name"))?;
        Ok(consumer)
    }
}

/// Runs the thread; what is returned is disconnected when it has ended.
fn spawn(thread: Thread) -> Result<Receiver<()>, String> {
    let (alive, ended): (Sender<()>, _) = channel();
    let builder = thread::Builder::new().name(format!("group-{}", thread.sink()));
    let spawned = builder.spawn(move || {
        let _alive = alive;
        thread.run();
    });
    spawned.map_err(|error| {
        format!("no thread for the group: {error}; allow the process more of them")
    })?;
    Ok(ended)
}

/// Wakes the thread.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    bell: std::sync::Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    rung: bool,
    stopped: bool,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .rung = true;
        self.bell.notify_one();
    }

    fn stop(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stopped = true;
        self.bell.notify_one();
    }

    /// Waits until rung, no longer than `longest`. False once it is to stop.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |state: &mut Rung| !state.rung && !state.stopped;
        let waited = self.bell.wait_timeout_while(state, longest, quiet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        !state.stopped
    }
}
