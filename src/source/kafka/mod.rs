//! A Kafka topic as a source.
//!
//! Guarantee (G1, G2): offsets are committed only where the task says so, and only while the
//! partition is ours; they are never reset by default; a group without a committed offset begins
//! where `start` says or not at all; one whose offset vanished does not begin. Whatever the broker
//! does, the reader goes on trying and says what is wrong; what only a person can decide halts it
//! with one sentence.
//!
//! A thread of its own speaks with librdkafka. Every partition has its queue; back-pressure is not
//! reading it. With `start: latest`, a partition that the topic got after the group began is read
//! from its beginning, so that nothing written before it was discovered is skipped.

mod commits;
pub mod config;
mod group;
mod joining;
mod marks;
mod positions;
mod queue;
mod reader;
mod record;
mod rules;
mod settings;
mod shared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use rules::check;
pub use settings::{KafkaSettings, StartAt};

use self::commits::Commits;
use self::marks::Marks;
use self::reader::{Command, Reader};
use self::record::Form;
use self::shared::Shared;
use super::{Committing, Reached, Room, Source, SourceError, SourceEvent};
use crate::kafka::{Complaints, Heard, Query, Rejoin, Share, Unfit, Vacancy};
use crate::log::kafka::KafkaCluster;
use crate::store::{MemoryStore, Store};
use crate::time::SharedClock;

/// A fetch is answered with so many bytes, or after so many ms. With a byte, which is Kafka's default,
/// some thousand events a second come one by one, and the threads of broker and goldwire do little
/// but wake each other (docs/performance.md).
const FETCHES: [(&str, &str); 2] = [("fetch.min.bytes", "32768"), ("fetch.wait.max.ms", "10")];

/// A commit without an answer by then is tried again with the next one.
const COMMIT: Duration = Duration::from_secs(10);
/// The inbox topic's name as a source.
const INBOX: &str = "inbox_topic";
/// How long a drop waits for the group to be left; the group's session ends by itself otherwise.
const LEAVE: Duration = Duration::from_secs(5);

/// A Kafka topic, read by one member of a consumer group.
pub struct KafkaSource {
    name: String,
    group: String,
    shared: Arc<Shared>,
    commands: Sender<Command>,
    ended: Receiver<()>,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, group, .. } = self;
        f.debug_struct("KafkaSource")
            .field("name", name)
            .field("group", group)
            .finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// A reader of what `config` names. A broker that is away is no error here, and is waited for
    /// a second at most. Partitions that go to somebody else are drained for `drain` at most. `store`
    /// remembers where the group had an offset.
    ///
    /// # Errors
    /// One sentence: what is wrong with the configuration, or what librdkafka does not accept.
    pub fn connect(
        name: &str,
        config: &config::KafkaSource,
        tenant: &str,
        clock: SharedClock,
        drain: Duration,
        store: Arc<dyn Store>,
    ) -> Result<Self, String> {
        let settings =
            KafkaSettings::resolve(config, tenant).map_err(|problems| in_one_line(&problems))?;
        Self::open(name, settings, Form::Events, clock, drain, store)
    }

    /// A reader of the inbox topic of a log: its records are those of other sources, and came when
    /// they say.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn inbox(
        cluster: &KafkaCluster,
        group: &str,
        clock: SharedClock,
        drain: Duration,
    ) -> Result<Self, String> {
        let (log, topic) = (cluster.config(), cluster.inbox().name);
        let settings = KafkaSettings::inbox(log, &topic, group, cluster.largest());
        // What is still there was not read, so that a group whose offset vanished begins at the
        // beginning, like a new one: nothing has to be remembered.
        let marks = Arc::new(MemoryStore::new());
        Self::open(INBOX, settings, Form::Inbox, clock, drain, marks)
    }

    fn open(
        name: &str,
        settings: KafkaSettings,
        form: Form,
        clock: SharedClock,
        drain: Duration,
        store: Arc<dyn Store>,
    ) -> Result<Self, String> {
        if let Some(unfit) = settings.polls_too_seldom(drain) {
            return Err(unfit.to_string());
        }
        let shared = Arc::new(Shared::default());
        let consumer = Arc::new(consumer(&settings, &shared)?);
        let commits =
            Commits::start(&consumer, &settings.topic).map_err(|error| no_thread(&error))?;
        let (commands, received) = channel();
        let group = settings.group.clone();
        let marks = Marks::new(store, name, &group, &settings.topic);
        let (protocol, instance) = (
            settings.member.protocol,
            settings.member.instance.as_deref(),
        );
        let vacancy = Vacancy::of(protocol, instance, &group, &settings.topic);
        let reader = Reader {
            name: name.into(),
            topic: settings.topic.as_str().into(),
            settings,
            form,
            drain,
            clock,
            consumer,
            shared: Arc::clone(&shared),
            commands: received,
            queues: BTreeMap::new(),
            arriving: None,
            leaving: None,
            commits,
            marks,
            complaints: Complaints::default(),
            rejoin: Rejoin::default(),
            vacancy,
            halted: false,
            ends: Query::default(),
            ends_asked: Instant::now(),
        };
        let ended = spawn(name, reader)?;
        Ok(Self {
            name: name.to_owned(),
            group,
            shared,
            commands,
            ended,
        })
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }
}

fn in_one_line(problems: &[Unfit]) -> String {
    let sentences: Vec<_> = problems.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

fn consumer(settings: &KafkaSettings, shared: &Arc<Shared>) -> Result<BaseConsumer<Heard>, String> {
    let mut client = settings.client();
    Share::of(settings.queue, queue::partitions(settings)).set(&mut client);
    for (name, value) in FETCHES {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    let made: Result<BaseConsumer<Heard>, _> = client.create_with_context(Heard::default());
    let mut consumer = made.map_err(|error| settings.complaint(&error))?;
    let shared = Arc::clone(shared);
    consumer.set_nonempty_callback(move || shared.wake());
    consumer
        .subscribe(&[&settings.topic])
        .map_err(|_| format!("topic: `{}` is not a topic's name", settings.topic))?;
    Ok(consumer)
}

/// Runs the reader; what is returned is disconnected when it has ended.
fn spawn(name: &str, reader: Reader) -> Result<Receiver<()>, String> {
    let (alive, ended) = channel();
    let watch = Watch {
        shared: Arc::clone(&reader.shared),
        _alive: alive,
    };
    let thread = thread::Builder::new().name(format!("kafka-{name}"));
    let spawned = thread.spawn(move || {
        let _watch = watch;
        reader.run();
    });
    spawned.map_err(|error| no_thread(&error))?;
    Ok(ended)
}

fn no_thread(error: &io::Error) -> String {
    format!("no thread for the source: {error}; allow the process more of them")
}

/// Says so if the thread dies: a source never stops in silence.
struct Watch {
    shared: Arc<Shared>,
    _alive: Sender<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            let sentence = "the reader of the topic died, which is a defect; start goldwire again";
            self.shared.tell(SourceEvent::Halted(sentence.to_owned()));
        }
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        self.shared.next(room).await
    }

    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing {
        let signed = |(of, position): &(i32, u64)| Some((*of, i64::try_from(*position).ok()?));
        let signed: Vec<(i32, i64)> = positions.iter().filter_map(signed).collect();
        if signed.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let (reply, answer) = oneshot::channel();
        let asked = self.commands.send(Command::Commit {
            positions: signed,
            reply,
        });
        self.shared.wake();
        let (shared, positions) = (Arc::clone(&self.shared), positions.to_vec());
        Box::pin(async move {
            let gone = || SourceError::Fenced("the reader of the topic has ended".to_owned());
            asked.map_err(|_| gone())?;
            let answered = tokio::time::timeout(COMMIT, answer).await.map_err(|_| {
                SourceError::Retryable(format!("no answer within {} s", COMMIT.as_secs()))
            })?;
            answered.map_err(|_| gone())??;
            for (partition, position) in positions {
                shared.committed(partition, position);
            }
            Ok(())
        })
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        self.shared.lag()
    }

    fn reached(&self) -> Vec<Reached> {
        self.shared.standings()
    }

    fn is_unreachable(&self) -> bool {
        self.shared.is_unreachable()
    }
}

impl Drop for KafkaSource {
    /// Leaves the group, so that the next member does not wait for this one's session to end.
    fn drop(&mut self) {
        if self.commands.send(Command::Stop).is_ok() {
            self.shared.wake();
            // An error is the good end: the thread is gone.
            if self
                .ended
                .recv_timeout(LEAVE)
                .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                tracing::warn!(source = self.name, "the group could not be left in time");
            }
        }
    }
}
