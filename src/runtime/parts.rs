//! What an instance is made of: store, logs, Reltio, sinks; opened in this order, refused with a
//! sentence each.
//!
//! Guarantee: nothing is derived from a log whose identity is not the one that the store's cursors
//! were made against.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::in_kafka::InKafka;
use super::inbox::InboxTopic;
use super::kept::{Kept, inbox_group};
use super::portions::Portions;
use super::refreshes::MakeOffsets;
use super::role::Role;
use super::tell::LogTell;
use super::{Deps, StartError};
use crate::config::ByteSize;
use crate::dead_letter::DeadLetters;
use crate::dir_lock::{create_dirs, is_open_to_others};
use crate::engine::ClockRules;
use crate::engine::checkpoint::{Checkpoint, StoreCheckpoint};
use crate::engine::deliverer::Deliverer;
use crate::engine::gate::Gate;
use crate::engine::retry::RetryPolicy;
use crate::log::journal::{Journal, JournalSettings};
use crate::log::kafka::KafkaLog;
use crate::log::{Log, LogAppender, LogError, LogReader, WholeLog};
use crate::reltio::{self, RecordReader};
use crate::sink::OnFull;
use crate::sink::registry::SinkDeps;
use crate::sink::{Sink, SinkConfig};
use crate::source::Source;
use crate::source::kafka::KafkaSource;
use crate::store::Engine;
use crate::store::{self, Batch, FjallStore, SledStore, Store, Tallied, keys};
use crate::telemetry::Metrics;
use crate::time::{SharedClock, as_millis};
use crate::topology::Config;

/// Rules where there is no Reltio API: nothing is read, and clocks closer than this decide nothing.
const SKEW_WITHOUT_API: i64 = 1000;

/// The shortest time between the starts of two rounds of fsyncs of the event log. A fetch brings the
/// partitions of a source one after the other, and a round syncs a file for each partition of the log.
const GATHER: Duration = Duration::from_millis(5);

/// Where the store is in a data directory.
const STORE: &str = "store";

/// Files of one data directory.
#[derive(Debug, Clone)]
pub struct Files {
    /// Registers, cursors, dead letters.
    pub store: Arc<dyn Store>,
    /// Webhook requests and redriven records.
    pub inbox: Arc<dyn Log>,
    /// Events.
    pub log: Arc<dyn Log>,
}

impl Files {
    /// Whether `dir` is a data directory that was opened before.
    pub fn are_in(dir: &Path) -> bool {
        dir.join(STORE).is_dir()
    }

    /// Why `config` cannot open its data directory, as far as it shows without opening it.
    pub fn unfit(config: &Config) -> Option<String> {
        store::made_otherwise(&config.data_dir.join(STORE), config.store.name())
    }

    /// Opens the data directory of `config`, making it if need be.
    ///
    /// # Errors
    /// If another process holds it, its format is newer, a log is damaged or is not the one that
    /// the cursors were made against.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        make_dir(&config.data_dir)?;
        let partitions = config.log.partitions;
        let log = journal(config, "log", partitions, &config.log.quota, GATHER)?;
        Self::over(config, Arc::new(log))
    }

    /// The same with a journal of so many partitions, whatever the configuration says of the log.
    pub(super) fn with_journal(config: &Config, partitions: u16) -> Result<Self, StartError> {
        let log = journal(config, "log", partitions, &config.log.quota, GATHER)?;
        Self::over(config, Arc::new(log))
    }

    /// The same, with a log that is elsewhere.
    fn over(config: &Config, log: Arc<dyn Log>) -> Result<Self, StartError> {
        let dir = &config.data_dir;
        // A sender waits for its answer: no round of the inbox waits for more.
        let quota = &config.inbox.quota;
        let inbox: Arc<dyn Log> = Arc::new(journal(config, "inbox", 1, quota, Duration::ZERO)?);
        let place = dir.join(STORE);
        let store: Arc<dyn Store> = match config.store {
            Engine::Sled => tallied(SledStore::open(&place)?)?,
            Engine::Fjall => tallied(FjallStore::open(&place)?)?,
        };
        same_log(store.as_ref(), "events", log.as_ref(), dir)?;
        same_log(store.as_ref(), "inbox", inbox.as_ref(), dir)?;
        Ok(Self { store, inbox, log })
    }

    /// As [`Self::open`], and waits for the brokers where the log is in Kafka.
    pub(super) async fn reach(config: &Config) -> Result<(Self, Option<InKafka>), StartError> {
        let Some(kafka) = &config.log.kafka else {
            return Ok((Self::open(config)?, None));
        };
        make_dir(&config.data_dir)?;
        let there = InKafka::open(config, kafka).await?;
        let log: Arc<dyn Log> = Arc::<KafkaLog>::clone(&there.log);
        Ok((Self::over(config, log)?, Some(there)))
    }
}

fn make_dir(dir: &Path) -> Result<(), StartError> {
    create_dirs(dir).map_err(|error| {
        StartError::Refused(format!(
            "data_dir {}: {error}; make it writable",
            dir.display()
        ))
    })?;
    tell_if_open(dir);
    Ok(())
}

fn journal(
    config: &Config,
    name: &str,
    partitions: u16,
    quota: &ByteSize,
    gather: Duration,
) -> Result<Journal, LogError> {
    Journal::open(JournalSettings {
        dir: config.data_dir.join(name),
        partitions,
        quota: quota.get(),
        disk_reserve: config.log.disk_reserve.get(),
        keep: config.log.keep.get(),
        segment: config.log.segment.get(),
        gather,
    })
}

/// An existing directory keeps its mode: a group may be meant to read it, as one that makes copies.
fn tell_if_open(dir: &Path) {
    let inner = ["log", "inbox", STORE].map(|name| dir.join(name));
    if is_open_to_others(dir) && inner.iter().any(|inner| is_open_to_others(inner)) {
        let dir = dir.display();
        tracing::warn!(
            "data_dir {dir}: others than its user may read the golden records in it; \
             chmod -R go= {dir}"
        );
    }
}

/// Dead letters are counted as they come and go.
fn tallied(store: impl Store + 'static) -> Result<Arc<dyn Store>, StartError> {
    Ok(Arc::new(Tallied::over(store, keys::DEAD_LETTERS)?))
}

/// Cursors and registers mean nothing against another log.
fn same_log(store: &dyn Store, name: &str, log: &dyn Log, dir: &Path) -> Result<(), StartError> {
    let identity = log.identity();
    let here = format!("{}/{}", identity.id, identity.partitions);
    let key = keys::log_identity(name);
    match store.get(&key)? {
        Some(known) if known == here.as_bytes() => Ok(()),
        Some(known) => Err(StartError::Refused(format!(
            "{}: the store was made against the {name} log {}, but the directory holds {here}; \
             restore both from the same copy, or start with an empty data_dir",
            dir.display(),
            String::from_utf8_lossy(&known)
        ))),
        None => {
            let mut batch = Batch::default();
            batch.put(key, here.into_bytes());
            Ok(store.commit(batch)?)
        }
    }
}

/// The tenant's clock rules.
pub fn clock_rules(config: &Config) -> ClockRules {
    match &config.reltio {
        Some(api) => ClockRules::new(as_millis(api.settle.get()), as_millis(api.clock_skew.get())),
        None => ClockRules::new(0, SKEW_WITHOUT_API),
    }
}

/// Reltio's API, if the configuration names one.
///
/// # Errors
/// If the client cannot be made.
pub fn reltio(
    config: &Config,
    clock: &SharedClock,
) -> Result<Option<Arc<dyn RecordReader>>, StartError> {
    shared_reltio(config, clock, &Portions::default())
}

/// The same, whose quota is divided as the sinks' partitions are: by the mean of their portions.
fn shared_reltio(
    config: &Config,
    clock: &SharedClock,
    portions: &Portions,
) -> Result<Option<Arc<dyn RecordReader>>, StartError> {
    let Some(api) = &config.reltio else {
        return Ok(None);
    };
    let client = reltio::Client::new(api, Arc::clone(clock)).map_err(StartError::Refused)?;
    Ok(Some(Arc::new(client.sharing(api, portions.all()))))
}

/// What sinks are made with.
#[derive(Debug, Clone)]
pub struct SinkParts {
    /// Reltio, if there is an API.
    pub reltio: Option<Arc<dyn RecordReader>>,
    /// The event log, for reconcile records.
    pub log: Arc<dyn LogAppender>,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// What part of its target's quota each sink has.
    pub portions: Portions,
}

/// A sink of the configuration.
///
/// # Errors
/// If it cannot be made as configured. An unreachable target is no error here.
pub fn sink(
    name: &str,
    sink: &SinkConfig,
    config: &Config,
    parts: &SinkParts,
) -> Result<Arc<dyn Sink>, StartError> {
    let Some((_, kind)) = sink.kind() else {
        let why = format!("sinks.{name}: names no kind of sink");
        return Err(StartError::Refused(why));
    };
    let settle = config.reltio.as_ref().map(|api| api.settle.get());
    let deps = SinkDeps {
        tenant: config.tenant.clone(),
        reltio: parts.reltio.clone(),
        tell: Arc::new(LogTell {
            log: Arc::clone(&parts.log),
            sink: name.to_owned(),
            clock: Arc::clone(&parts.clock),
        }),
        settle: settle.unwrap_or_default(),
        clock: Arc::clone(&parts.clock),
        metrics: Arc::clone(&parts.metrics),
        portion: parts.portions.get(name),
    };
    kind.open(name, deps).map_err(StartError::Refused)
}

/// How to deliver to a sink.
pub(super) fn deliverer(sink: Arc<dyn Sink>, config: &Config, with: &Deps) -> Deliverer {
    Deliverer {
        gate: Arc::new(Gate::before(&sink)),
        sink,
        retry: RetryPolicy::new(&config.delivery.retry),
        clock: Arc::clone(&with.clock),
        metrics: Arc::clone(&with.metrics),
        pieces: None,
        jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(with.seed))),
    }
}

/// How a task's commits are made, given the commits to the store and the epoch of its partition's
/// assignment.
pub type MakeCheckpoint = Arc<dyn Fn(StoreCheckpoint, u64) -> Arc<dyn Checkpoint> + Send + Sync>;

/// How a consumer group, by its name, reads the event log.
pub type MakeReader = Arc<dyn Fn(&str) -> Box<dyn LogReader> + Send + Sync>;

/// Every group reads all of `log`.
fn whole(log: &Arc<dyn Log>) -> MakeReader {
    let log = Arc::clone(log);
    Arc::new(move |_| Box::new(WholeLog::of(&log)))
}

/// Sources, with the groups that their positions are kept for.
pub type Sources = Vec<(Box<dyn Source>, String)>;

/// What an instance is put together from.
pub struct Parts {
    /// Its files.
    pub files: Files,
    /// Reltio, if there is an API.
    pub reltio: Option<Arc<dyn RecordReader>>,
    /// The sinks, and what happens when one holds the log back.
    pub sinks: Vec<(Arc<dyn Sink>, OnFull)>,
    /// The sources besides the journal of the inbox, with their groups.
    pub sources: Sources,
    /// How the sinks' groups read the event log.
    pub readers: MakeReader,
    /// How commits are made.
    pub commit: MakeCheckpoint,
    /// Where dead letters are kept.
    pub letters: Arc<dyn DeadLetters>,
    /// Where webhooks and redriven records go.
    pub inbox: Arc<dyn LogAppender>,
    /// The inbox topic, if there is one.
    pub topic: Option<InboxTopic>,
    /// Where groups stand whose partitions others have, too; nothing if no one else has any.
    pub offsets: Option<MakeOffsets>,
    /// What part of its target's quota each sink has: those that the sinks were made with.
    pub portions: Portions,
    /// What of the configuration this is.
    pub role: Role,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// Over files, without sources or sinks: every group reads all of the log, and commits to the
    /// store, where the dead letters are too.
    pub fn over(files: Files) -> Self {
        Self::of_kept(Kept::in_files(files))
    }

    fn of_kept(kept: Kept) -> Self {
        let Kept {
            files,
            inbox,
            topic,
            letters,
        } = kept;
        Self {
            reltio: None,
            sinks: Vec::new(),
            sources: Vec::new(),
            readers: whole(&files.log),
            commit: Arc::new(|to_store, _| Arc::new(to_store)),
            letters,
            inbox,
            topic,
            offsets: None,
            portions: Portions::default(),
            role: Role::default(),
            files,
        }
    }

    /// The parts that `config` names, and `role` wants. Sources begin to connect.
    pub(super) async fn of(config: &Config, with: &Deps, role: Role) -> Result<Self, StartError> {
        let (files, in_kafka) = Files::reach(config).await?;
        let portions = Portions::of(config.sinks.keys());
        let reltio = shared_reltio(config, &with.clock, &portions)?;
        let parts = SinkParts {
            reltio: reltio.clone(),
            log: Arc::<dyn Log>::clone(&files.log),
            clock: Arc::clone(&with.clock),
            metrics: Arc::clone(&with.metrics),
            portions: portions.clone(),
        };
        let mut sinks = Vec::new();
        for (name, named) in &config.sinks {
            if !role.runs(name) {
                // Others have all of its quota.
                portions.get(name).set(0, 1);
                continue;
            }
            let made = sink(name, named, config, &parts)?;
            let made = with
                .wrap
                .as_ref()
                .map_or_else(|| Arc::clone(&made), |wrap| wrap(Arc::clone(&made)));
            sinks.push((made, named.on_full));
        }
        let store = Arc::clone(&files.store);
        let sources = if role.ingests() {
            kafka_sources(config, &with.clock, &store)?
        } else {
            Sources::new()
        };
        let kept = Kept::over(config, files, in_kafka.as_ref(), &with.clock).await?;
        let mut parts = Self {
            reltio,
            sinks,
            sources,
            portions,
            role,
            ..Self::of_kept(kept)
        };
        if let Some(there) = in_kafka {
            if parts.role.ingests() {
                let group = inbox_group(config);
                let inbox = there.inbox_source(config, &group, &with.clock)?;
                parts.sources.push((inbox, group));
            }
            let names = parts.sinks.iter().map(|(sink, _)| sink.name());
            parts.offsets = Some(there.offsets());
            (parts.readers, parts.commit) = there.join(config, names, &store, &with.clock)?;
        }
        Ok(parts)
    }
}

fn kafka_sources(
    config: &Config,
    clock: &SharedClock,
    store: &Arc<dyn Store>,
) -> Result<Sources, StartError> {
    let mut sources = Sources::new();
    for (name, source) in &config.sources {
        let Some(kafka) = &source.kafka else { continue };
        let made = KafkaSource::connect(
            name,
            kafka,
            &config.tenant,
            Arc::clone(clock),
            config.delivery.drain_timeout.get(),
            Arc::clone(store),
        );
        let made = made.map_err(|why| StartError::Refused(format!("sources.{name}: {why}")))?;
        let group = made.group().to_owned();
        sources.push((Box::new(made), group));
    }
    Ok(sources)
}
