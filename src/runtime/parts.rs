//! What an instance is made of: store, logs, Reltio, sinks; opened in this order, refused with a
//! sentence each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::files::Files;
use super::inbox::InboxTopic;
use super::kept::{Kept, inbox_group};
use super::tell::LogTell;
use super::{Deps, StartError};
use crate::config::ByteSize;
use crate::dead_letter::DeadLetters;
use crate::decode::DecodeSettings;
use crate::engine::ClockRules;
use crate::engine::checkpoint::{Checkpoint, StoreCheckpoint};
use crate::engine::deliverer::Deliverer;
use crate::engine::gate::Gate;
use crate::engine::retry::RetryPolicy;
use crate::event::Filter;
use crate::ingest::SourceRules;
use crate::log::{Log, LogAppender, LogReader, WholeLog};
use crate::reltio::{self, RecordReader};
use crate::schema_registry::SchemaRegistry;
use crate::sink::OnFull;
use crate::sink::registry::SinkDeps;
use crate::sink::{Sink, SinkConfig};
use crate::source::Source;
use crate::source::kafka::{self, KafkaSource};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::time::{SharedClock, as_millis};
use crate::topology::Config;

/// Rules where there is no Reltio API: nothing is read, and clocks closer than this decide nothing.
const SKEW_WITHOUT_API: i64 = 1000;

/// Where the answers of schema registries are.
const SCHEMAS: &str = "schemas";

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
    let Some(api) = &config.reltio else {
        return Ok(None);
    };
    let client = reltio::Client::new(api, Arc::clone(clock));
    Ok(Some(Arc::new(client.map_err(StartError::Refused)?)))
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
            files,
        }
    }

    /// The parts that `config` names. Sources begin to connect.
    pub(super) async fn of(config: &Config, with: &Deps) -> Result<Self, StartError> {
        let (files, in_kafka) = Files::reach(config).await?;
        let reltio = reltio(config, &with.clock)?;
        let parts = SinkParts {
            reltio: reltio.clone(),
            log: Arc::<dyn Log>::clone(&files.log),
            clock: Arc::clone(&with.clock),
            metrics: Arc::clone(&with.metrics),
        };
        let mut sinks = Vec::new();
        for (name, named) in &config.sinks {
            let made = sink(name, named, config, &parts)?;
            let made = with
                .wrap
                .as_ref()
                .map_or_else(|| Arc::clone(&made), |wrap| wrap(Arc::clone(&made)));
            sinks.push((made, named.on_full));
        }
        let store = Arc::clone(&files.store);
        let sources = kafka_sources(config, &with.clock, &store)?;
        let kept = Kept::over(config, files, in_kafka.as_ref(), &with.clock).await?;
        let mut parts = Self {
            reltio,
            sinks,
            sources,
            ..Self::of_kept(kept)
        };
        if let Some(there) = in_kafka {
            let group = inbox_group(config);
            let inbox = there.inbox_source(config, &group, &with.clock)?;
            parts.sources.push((inbox, group));
            let names = parts.sinks.iter().map(|(sink, _)| sink.name());
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

/// Rules for the records of every source, by its name.
///
/// # Errors
/// If the client of a schema registry cannot be made.
pub fn source_rules(config: &Config) -> Result<HashMap<String, SourceRules>, StartError> {
    let tenant = &config.tenant;
    let mut rules = HashMap::new();
    for (name, source) in &config.sources {
        if let Some(kafka) = &source.kafka {
            let filter = match &kafka.subscription {
                Some(of) => Filter::new(
                    Some(&of.entity_types),
                    Some(&of.event_types),
                    of.include_relationships,
                ),
                None => Filter::new(
                    kafka.entity_types.as_deref(),
                    kafka.event_types.as_deref(),
                    kafka.include_relationships,
                ),
            };
            let decode = DecodeSettings {
                tenant: tenant.clone(),
                completeness: kafka.completeness.clone(),
                max_bytes: bytes(&kafka.max_body),
            };
            let of_kafka = SourceRules {
                decode,
                filter,
                schemas: schemas(name, kafka, config)?,
            };
            rules.insert(name.clone(), of_kafka);
        }
        if let Some(hook) = &source.webhook {
            let filter = Filter::new(
                hook.entity_types.as_deref(),
                hook.event_types.as_deref(),
                hook.include_relationships,
            );
            let decode = DecodeSettings {
                tenant: tenant.clone(),
                completeness: hook.completeness.clone(),
                max_bytes: bytes(&hook.max_body),
            };
            let of_hook = SourceRules {
                decode,
                filter,
                schemas: None,
            };
            rules.insert(name.clone(), of_hook);
        }
    }
    Ok(rules)
}

/// The schema registry of a Kafka source, if it has one.
fn schemas(
    name: &str,
    source: &kafka::config::KafkaSource,
    config: &Config,
) -> Result<Option<Arc<SchemaRegistry>>, StartError> {
    let Some(registry) = &source.schema_registry else {
        return Ok(None);
    };
    let made = SchemaRegistry::connect(name, registry, &config.data_dir.join(SCHEMAS));
    let at = format!("sources.{name}.kafka.schema_registry");
    let made = made.map_err(|why| StartError::Refused(format!("{at}: {why}")))?;
    Ok(Some(Arc::new(made)))
}

fn bytes(size: &ByteSize) -> usize {
    usize::try_from(size.get()).unwrap_or(usize::MAX)
}
