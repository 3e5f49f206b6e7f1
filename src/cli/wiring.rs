//! Where commands meet the parts of the system: each part is called from one function.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::CliError;
use super::sign::{self, SignArgs};
use crate::dead_letter::Redrive;
use crate::log::{Log, MemoryLog};
use crate::refresh::{self, Dashboard};
use crate::reltio::{RecordReader, ReltioError};
use crate::runtime::parts::{self, SinkParts};
use crate::runtime::{Files, Kept, Portions, in_kafka};
use crate::schema_registry;
use crate::sink::Sink;
use crate::source::kafka::KafkaSettings;
use crate::source::kafka::config::KafkaSource;
use crate::telemetry::Metrics;
use crate::time::{SharedClock, SystemClock};
use crate::topology::Config;

/// How long a broker may take to describe a topic, and Reltio to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// An entity that there is not: the tenant says so only to who may read it.
const NOBODY: &str = "entities/goldwire-check";
const UNREACHED: &str = "see that reltio.url and reltio.auth_url can be reached from here";

/// The dead letters of `config`.
pub(super) fn redrive(config: &Config, kept: &Kept, clock: &SharedClock) -> Redrive {
    Redrive {
        letters: Arc::clone(&kept.letters),
        inbox: Arc::clone(&kept.inbox),
        log: Arc::<dyn Log>::clone(&kept.files.log),
        sinks: config.sinks.keys().cloned().collect(),
        clock: Arc::clone(clock),
    }
}

/// Opens the data directory for the dead-letter commands. Refused while `goldwire run` has it, and
/// where it never ran: a mistyped directory would be made, and hold no letters.
pub(super) async fn open(config: &Config) -> Result<Redrive, String> {
    let dir = &config.data_dir;
    if !Files::are_in(dir) {
        let dir = super::absolute(dir);
        return Err(format!(
            "data_dir {dir}: goldwire has never run there; start `goldwire run` first, or correct \
             data_dir"
        ));
    }
    let clock: SharedClock = Arc::new(SystemClock);
    let opened = tokio::time::timeout(PATIENCE, Kept::open(config, &clock)).await;
    let away = |_| "log.kafka: the brokers do not answer; a running instance shows what it knows";
    let kept = opened.map_err(away)?.map_err(|error| error.to_string())?;
    // What is not here yet would neither be shown nor redriven.
    let all = tokio::time::timeout(PATIENCE, kept.letters.catch_up()).await;
    let slow = |_| "the topic of dead letters is not read in time; try again".to_owned();
    all.map_err(slow)?.map_err(|error| error.to_string())?;
    Ok(redrive(config, &kept, &clock))
}

/// What a configuration is made into before anything is connected.
pub(super) struct Made {
    reltio: Option<Arc<dyn RecordReader>>,
    sinks: Vec<(String, Arc<dyn Sink>)>,
    refreshes: Vec<(String, Arc<dyn Dashboard>)>,
}

/// Makes the clients of Reltio, of every sink and of every dashboard, as a start does.
///
/// # Errors
/// A line a client that cannot be made as configured.
pub(super) fn make(config: &Config) -> Result<Made, CliError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let (reltio, mut problems) = match parts::reltio(config, &clock) {
        Ok(reltio) => (reltio, Vec::new()),
        Err(error) => (None, vec![error.to_string()]),
    };
    let with = SinkParts {
        reltio: reltio.clone(),
        // Nothing is delivered, so nothing is told.
        log: Arc::new(MemoryLog::new(1)),
        clock: Arc::clone(&clock),
        metrics: Arc::new(Metrics::noop()),
        portions: Portions::default(),
    };
    let mut sinks = Vec::new();
    for (name, sink) in &config.sinks {
        let reads = sink.kind().is_some_and(|(_, kind)| kind.reads_reltio());
        if reads && reltio.is_none() && config.reltio.is_some() {
            // It lacks what was refused above.
            continue;
        }
        match parts::sink(name, sink, config, &with) {
            Ok(made) => sinks.push((name.clone(), made)),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let mut refreshes = Vec::new();
    for (name, config) in &config.refreshes {
        match refresh::open(name, config, &clock) {
            Ok(made) => refreshes.push((name.clone(), made)),
            Err(why) => problems.push(why),
        }
    }
    if problems.is_empty() {
        Ok(Made {
            reltio,
            sinks,
            refreshes,
        })
    } else {
        Err(CliError::Usage(problems.join("\n")))
    }
}

impl Made {
    /// Asks Reltio, every sink and dashboard, and the topic and the schema registry of every Kafka source: a
    /// sentence per problem.
    ///
    /// # Errors
    /// None of an outside system: each is a sentence.
    pub(super) async fn probe(&self, config: &Config) -> Result<Vec<String>, CliError> {
        let mut problems = Vec::new();
        if let Some(reltio) = &self.reltio {
            problems.extend(api(reltio.as_ref()).await);
        }
        for (name, sink) in &self.sinks {
            let found = sink.probe().await.into_iter();
            problems.extend(found.map(|problem| format!("sinks.{name}: {problem}")));
        }
        for (name, dashboard) in &self.refreshes {
            let found = dashboard.probe().await.into_iter();
            problems.extend(found.map(|problem| format!("refreshes.{name}: {problem}")));
        }
        if let Some(kafka) = &config.log.kafka {
            let found = in_kafka::probe(config, kafka).await.into_iter();
            problems.extend(found.map(|problem| format!("log.kafka: {problem}")));
        }
        for (name, source) in &config.sources {
            let Some(kafka) = source.kafka.clone() else {
                continue;
            };
            if let Some(registry) = &kafka.schema_registry {
                let found = schema_registry::probe(registry).await;
                let at = format!("sources.{name}.schema_registry");
                problems.extend(found.map(|problem| format!("{at}: {problem}")));
            }
            let tenant = config.tenant.clone();
            let asked = tokio::task::spawn_blocking(move || topic(&kafka, &tenant)).await;
            let found = asked.map_err(|error| CliError::Internal(error.to_string()))?;
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("sources.{name}: {problem}")),
            );
        }
        Ok(problems)
    }
}

/// Whether Reltio gives a token and answers for the tenant.
async fn api(reltio: &dyn RecordReader) -> Option<String> {
    let asked = tokio::time::timeout(PATIENCE, reltio.read(NOBODY)).await;
    match asked {
        Ok(Ok(_)) => None,
        Ok(Err(error @ ReltioError::Refused { .. })) => Some(format!("reltio: {error}")),
        Ok(Err(error @ ReltioError::Rejected { .. })) => Some(format!(
            "reltio: {error}; see that reltio.url ends with the tenant's id"
        )),
        Ok(Err(error @ ReltioError::Unavailable { .. })) => {
            Some(format!("reltio: {error}; {UNREACHED}"))
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Some(format!("reltio: no answer in {seconds} s; {UNREACHED}"))
        }
    }
}

/// Whether the broker can be reached and has the topic.
fn topic(kafka: &KafkaSource, tenant: &str) -> Vec<String> {
    let settings = match KafkaSettings::resolve(kafka, tenant) {
        Ok(settings) => settings,
        Err(unfit) => return unfit.iter().map(ToString::to_string).collect(),
    };
    let consumer: BaseConsumer = match settings.client().create() {
        Ok(consumer) => consumer,
        Err(error) => return vec![format!("properties: {}", settings.complaint(&error))],
    };
    let described = consumer.fetch_metadata(Some(&settings.topic), PATIENCE);
    match described {
        Err(error) => vec![format!(
            "the broker does not answer: {error}; check address, TLS and password"
        )],
        Ok(metadata) => {
            let topics = metadata.topics();
            let there = topics.iter().any(|topic| !topic.partitions().is_empty());
            if there {
                Vec::new()
            } else {
                vec![format!(
                    "there is no topic {}; create it, or correct `topic`",
                    settings.topic
                )]
            }
        }
    }
}

/// Try out a webhook endpoint.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  goldwire webhook sign --scheme reltio --secret-env HOOK_SECRET event.json"
)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    verb: WebhookVerb,
}

#[derive(Debug, Subcommand)]
enum WebhookVerb {
    /// Print the headers that sign a body, as a sender would sign it now
    #[command(
        after_help = "Examples:\n  goldwire webhook sign --scheme reltio --secret-env HOOK_SECRET event.json\n  \
        goldwire webhook sign --scheme standard --secret-file secret \\\n    \
        --url https://example.com/reltio-webhook event.json | sh"
    )]
    Sign(SignArgs),
}

/// Runs a webhook verb.
pub(super) fn webhook(args: &WebhookArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let WebhookVerb::Sign(args) = &args.verb;
    let clock: SharedClock = Arc::new(SystemClock);
    sign::sign(args, &clock, out).map_err(CliError::Usage)?;
    Ok(ExitCode::SUCCESS)
}
