//! One running instance: opens what the configuration names, starts every task, and stops them in
//! the order of the flow.
//!
//! Guarantee (G1, G6): sources stop before the log, the log before the sinks; what is in flight is
//! drained within its deadline, and what is not is read again at the next start.

mod alone;
mod around;
mod caught_up;
mod control;
pub mod copy;
mod dates;
mod expiry;
mod health;
mod housekeeping;
pub(crate) mod in_kafka;
mod inbox;
mod kept;
mod left_behind;
mod maker;
mod memory;
pub mod parts;
mod portions;
mod refreshes;
pub mod replay;
mod role;
mod served;
mod source_rules;
mod stop;
mod supervisor;
mod tasks;
pub mod tell;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Control, Health};
use crate::engine::checkpoint::StoreCheckpoint;
use crate::engine::gate::Gate;
use crate::engine::{Context, TaskError};
use crate::ingest::{IngestContext, IngestSettings, IngestStatus, IngestTask};
use crate::log::{Log, LogError, PartitionReader};
use crate::mutation::{self, Mutation};
use crate::pace::Portion;
use crate::sink::{Capabilities, OnFull, Serving, Sink};
use crate::source::{Acknowledged, InboxError, InboxSource, Source};
use crate::store::{StoreError, keys};
use crate::telemetry::Metrics;
use crate::time::{SharedClock, TokioClock};
use crate::topology::Config;
use crate::webhook;

pub use inbox::{GroupOffsets, InboxTopic};
pub use kept::Kept;
pub use parts::{Files, MakeCheckpoint, MakeReader, Parts};
pub use portions::Portions;
pub use refreshes::MakeOffsets;
pub use role::Role;
pub use source_rules::source_rules;
pub use tasks::Tasks;

use maker::Maker;
use portions::Owned;
use supervisor::Supervisor;

/// Why an instance does not start: one sentence with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something is not as the configuration says.
    #[error("{0}")]
    Refused(String),
    /// A log.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The inbox.
    #[error("{0}")]
    Inbox(#[from] InboxError),
    /// A sink's task.
    #[error("{0}")]
    Task(#[from] TaskError),
}

/// Puts another sink in front of a sink: how the demo's sabotage and tests get between.
pub type WrapSink = Arc<dyn Fn(Arc<dyn Sink>) -> Arc<dyn Sink> + Send + Sync>;

/// What an instance is given besides its configuration.
#[derive(Clone)]
pub struct Deps {
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// Seeds the jitter of retries.
    pub seed: u64,
    /// Stands before every sink.
    pub wrap: Option<WrapSink>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// A sink and its tasks, seen from outside.
#[derive(Debug, Clone)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// Its consumer group.
    pub group: String,
    /// Its gate.
    pub gate: Arc<Gate>,
    /// Its tasks.
    pub tasks: Tasks,
    /// What happens when it holds the log back.
    pub on_full: OnFull,
    /// How long ids of changes are kept, if it has no unique keys.
    pub dedupe: Option<Duration>,
    /// Whether it is told when a start or an end date has passed.
    pub dated: bool,
}

/// A source's ingest task, seen from outside.
#[derive(Debug, Clone)]
pub struct IngestView {
    /// The source's name.
    pub name: String,
    /// Its consumer group.
    pub group: String,
    /// What it tells.
    pub status: watch::Receiver<IngestStatus>,
}

/// A running instance.
#[derive(Debug)]
pub struct Instance {
    files: Files,
    kept: Kept,
    sinks: Vec<SinkView>,
    ingest: Vec<IngestView>,
    /// The inbox's position, once it is read.
    inbox: Option<Acknowledged>,
    listener: Option<webhook::Handle>,
    /// Of sinks that answer others.
    served: Vec<Serving>,
    stop_ingest: CancellationToken,
    stop_sinks: CancellationToken,
    intake: JoinSet<()>,
    delivery: JoinSet<()>,
    around: JoinSet<()>,
    drain: Duration,
}

impl Instance {
    /// Starts everything that `config` names.
    ///
    /// # Errors
    /// If something cannot be opened or bound; nothing is left running.
    pub async fn start(config: &Config, with: &Deps) -> Result<Self, StartError> {
        Self::start_as(config, with, Role::default()).await
    }

    /// As [`start`](Self::start), what `role` says of it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_as(config: &Config, with: &Deps, role: Role) -> Result<Self, StartError> {
        let ingests = role.ingests();
        let parts = Parts::of(config, with, role).await?;
        let served = served::serve(&parts).await?;
        let mut instance = Self::assemble(config, with, parts)?;
        instance.served = served;
        if ingests {
            instance.start_webhooks(config, with).await?;
        }
        Ok(instance)
    }

    /// Starts every task over parts that are there already, and no listener: what a simulation
    /// runs is what [`start`](Self::start) runs.
    ///
    /// # Errors
    /// If a position is not in its log.
    pub fn assemble(config: &Config, with: &Deps, parts: Parts) -> Result<Self, StartError> {
        let Parts {
            files,
            reltio,
            sinks,
            sources,
            readers,
            commit,
            letters,
            inbox,
            topic,
            offsets,
            portions,
            role,
        } = parts;
        let kept = Kept {
            files: files.clone(),
            inbox,
            topic: topic.clone(),
            letters: Arc::clone(&letters),
        };
        let mut instance = Self {
            files: files.clone(),
            kept,
            sinks: Vec::new(),
            ingest: Vec::new(),
            inbox: None,
            listener: None,
            served: Vec::new(),
            stop_ingest: CancellationToken::new(),
            stop_sinks: CancellationToken::new(),
            intake: JoinSet::new(),
            delivery: JoinSet::new(),
            around: JoinSet::new(),
            drain: config.delivery.drain_timeout.get(),
        };
        let isolation = Arc::default();
        let all: Vec<_> = sinks.iter().map(|(sink, _)| Arc::clone(sink)).collect();
        for (sink, on_full) in sinks {
            let context = Context {
                deliverer: parts::deliverer(sink, config, with),
                reltio: reltio.clone(),
                letters: Arc::clone(&letters),
                log: Arc::<dyn Log>::clone(&files.log),
                rules: parts::clock_rules(config),
                isolation: Arc::clone(&isolation),
            };
            let portion = portions.get(context.deliverer.sink.name());
            instance.start_sink(config, on_full, &context, (&readers, &commit, portion))?;
        }
        let context = IngestContext {
            sources: Arc::new(source_rules(config)?),
            log: Arc::<dyn Log>::clone(&files.log),
            letters: Arc::clone(&letters),
            reltio,
            rules: parts::clock_rules(config),
            clock: Arc::clone(&with.clock),
            metrics: Arc::clone(&with.metrics),
            reads: Arc::default(),
        };
        instance.start_refreshes(config, with, offsets.as_ref())?;
        let inbox = instance.start_ingest(config, sources, &context)?;
        instance.watch_over(config, with, &inbox, (topic, &role), all);
        instance.inbox = Some(inbox);
        Ok(instance)
    }

    fn start_sink(
        &mut self,
        config: &Config,
        on_full: OnFull,
        context: &Context,
        (readers, commit, portion): (&MakeReader, &MakeCheckpoint, Portion),
    ) -> Result<(), StartError> {
        let name = context.deliverer.sink.name().to_owned();
        let group = format!("{}.{name}", config.app);
        let mut context = context.clone();
        if let Some(first) = self.sinks.first()
            && mutation::is(Mutation::GateShared)
        {
            context.deliverer.gate = Arc::clone(&first.gate);
        }
        let gate = Arc::clone(&context.deliverer.gate);
        if self.files.store.get(&keys::held(&name))?.is_some() {
            gate.hold();
            tracing::warn!(
                sink = name,
                "paused by a person before the start; `goldwire sink resume {name}` lets it go on"
            );
        }
        let Capabilities { dedupe, dated, .. } = context.deliverer.sink.capabilities();
        let reader = (readers)(&group);
        let checkpoint = {
            let (store, sink, group) = (Arc::clone(&self.files.store), name.clone(), group.clone());
            let commit = Arc::clone(commit);
            Arc::new(move |of: &Arc<dyn PartitionReader>| {
                let to_store = StoreCheckpoint {
                    store: Arc::clone(&store),
                    sink: sink.clone(),
                    group: group.clone(),
                    partition: of.partition(),
                };
                commit(to_store, of.epoch())
            })
        };
        let partitions = context.log.identity().partitions;
        let maker = Maker {
            owned: Owned::of(portion, partitions),
            context,
            settings: memory::task_settings(config, on_full),
            checkpoint,
            blocks: self.files.store.blocks(),
        };
        let supervisor = Supervisor::start(maker, reader, self.stop_sinks.clone())?;
        let tasks = supervisor.tasks();
        self.delivery.spawn(supervisor.run());
        self.sinks.push(SinkView {
            name,
            group,
            gate,
            tasks,
            on_full,
            dedupe,
            dated,
        });
        Ok(())
    }

    fn start_ingest(
        &mut self,
        config: &Config,
        sources: Vec<(Box<dyn Source>, String)>,
        context: &IngestContext,
    ) -> Result<Acknowledged, StartError> {
        let mut group = kept::inbox_group(config);
        let (inbox, store) = (Arc::clone(&self.files.inbox), Arc::clone(&self.files.store));
        let inbox = InboxSource::new(inbox, store, &group)?;
        let acknowledged = inbox.acknowledged();
        if self.kept.topic.is_some() {
            // The lag of the topic's group is another.
            group.push_str("-journal");
        }
        self.start_source(Box::new(inbox), group, config, context);
        for (source, group) in sources {
            self.start_source(source, group, config, context);
        }
        Ok(acknowledged)
    }

    fn start_source(
        &mut self,
        source: Box<dyn Source>,
        group: String,
        config: &Config,
        context: &IngestContext,
    ) {
        let name = source.name().to_owned();
        let settings = IngestSettings {
            // A record that is hydrated waits for `settle` first.
            in_flight: config.delivery.in_flight.saturating_mul(10),
            in_flight_bytes: memory::part(config),
            commit_interval: config.delivery.commit_interval.get(),
            drain_timeout: stop::last_part(config.delivery.drain_timeout.get()),
        };
        let task = IngestTask::new(source, context.clone(), settings);
        self.ingest.push(IngestView {
            name,
            group,
            status: task.status(),
        });
        self.intake.spawn(task.run(self.stop_ingest.clone()));
    }

    async fn start_webhooks(&mut self, config: &Config, with: &Deps) -> Result<(), StartError> {
        let Some(listener) = &config.webhook else {
            return Ok(());
        };
        let endpoints = config.sources.iter().filter_map(|(name, source)| {
            source
                .webhook
                .as_ref()
                .map(|endpoint| (name.clone(), endpoint.clone()))
        });
        let endpoints: Vec<_> = endpoints.collect();
        for (name, _) in &endpoints {
            with.metrics.expect_endpoint(name);
        }
        let served = webhook::serve(
            listener,
            endpoints,
            Arc::clone(&self.kept.inbox),
            Arc::clone(&with.clock),
            Arc::clone(&with.metrics),
        );
        self.listener = Some(
            served
                .await
                .map_err(|error| StartError::Refused(error.to_string()))?,
        );
        Ok(())
    }

    /// Where webhooks are taken, if they are.
    pub fn webhook_address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(webhook::Handle::address)
    }

    /// Who answers for the health of the parts.
    pub fn health(&self) -> Arc<dyn Health> {
        Arc::new(health::InstanceHealth {
            sinks: self.sinks.clone(),
            ingest: self.ingest.clone(),
            inbox: Arc::clone(&self.kept.inbox),
            listener: self.listener.as_ref().map(webhook::Handle::signs),
            log: Arc::clone(&self.files.log),
            clock: TokioClock::starting_at(0),
            watch: health::InstanceHealth::watch(),
        })
    }

    /// Who holds the sinks.
    pub fn control(&self, clock: &SharedClock) -> Arc<dyn Control> {
        let gates = self.sinks.iter();
        let gates = gates.map(|sink| (sink.name.clone(), Arc::clone(&sink.gate)));
        Arc::new(control::SinkControl {
            store: Arc::clone(&self.files.store),
            gates: gates.collect(),
            clock: Arc::clone(clock),
        })
    }

    /// What it keeps.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The sinks and where their tasks stand.
    pub fn sinks(&self) -> &[SinkView] {
        &self.sinks
    }

    /// The sources and where their ingest stands.
    pub fn ingest(&self) -> &[IngestView] {
        &self.ingest
    }
}
