//! Where commands meet the parts of the system: each part is called from one function.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::CliError;
use super::sign::{self, SignArgs};
use crate::config::{Config, KafkaSource, SalesforceSink, Secret, WarehouseSink};
use crate::dead_letter::{Letters, Redrive};
use crate::instance::{Files, parts};
use crate::log::MemoryLog;
use crate::sink::salesforce;
use crate::sink::warehouse::{self, Dialect};
use crate::source::kafka::KafkaSettings;
use crate::telemetry::Metrics;
use crate::time::{SharedClock, SystemClock};

/// How long a broker may take to describe a topic.
const PATIENCE: Duration = Duration::from_secs(15);

/// Dead letters of the files of `config`.
pub(super) fn redrive(config: &Config, files: &Files, clock: &SharedClock) -> Redrive {
    Redrive {
        letters: Letters::new(Arc::clone(&files.store)),
        inbox: Arc::clone(&files.inbox),
        log: Arc::clone(&files.log),
        sinks: config.sinks.keys().cloned().collect(),
        clock: Arc::clone(clock),
    }
}

/// Opens the data directory for the dead-letter commands. Refused while `goldwire run` has it.
pub(super) fn open(config: &Config) -> Result<Redrive, String> {
    let files = Files::open(config).map_err(|error| error.to_string())?;
    let clock: SharedClock = Arc::new(SystemClock);
    Ok(redrive(config, &files, &clock))
}

/// Asks every sink (`probe()`) and the topic of every Kafka source: a sentence per problem.
pub(super) async fn probe(config: &Config) -> Result<Vec<String>, CliError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let refused = |error: crate::instance::StartError| CliError::Unavailable(error.to_string());
    let with = parts::SinkParts {
        golden: parts::golden(config, &clock).map_err(refused)?,
        // Nothing is delivered, so nothing is told.
        log: Arc::new(MemoryLog::new(1)),
        clock,
        metrics: Arc::new(Metrics::noop()),
    };
    let mut problems = Vec::new();
    for (name, sink) in &config.sinks {
        let made = parts::sink(name, sink, config, &with).map_err(refused)?;
        let found = made.probe().await;
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("sinks.{name}: {problem}")),
        );
    }
    for (name, source) in &config.sources {
        let Some(kafka) = source.kafka.clone() else {
            continue;
        };
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

/// Whether the broker can be reached and has the topic.
fn topic(kafka: &KafkaSource, tenant: &str) -> Vec<String> {
    let settings = match KafkaSettings::resolve(kafka, tenant) {
        Ok(settings) => settings,
        Err(problems) => return problems,
    };
    let consumer: BaseConsumer = match settings.client().create() {
        Ok(consumer) => consumer,
        Err(error) => return vec![format!("{error}; correct `properties`")],
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

/// What a Salesforce org needs.
pub(super) fn salesforce_schema(sink: &SalesforceSink) -> String {
    salesforce::schema_text(sink)
}

/// The tables of a warehouse.
pub(super) fn warehouse_schema(sink: &WarehouseSink) -> String {
    warehouse::schema_text(dialect(&sink.url))
}

fn dialect(url: &Secret) -> Dialect {
    if url.reveal().starts_with("sqlite:") {
        Dialect::Sqlite
    } else {
        Dialect::Postgres
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
    Sign(SignArgs),
}

/// Runs a webhook verb.
pub(super) fn webhook(args: &WebhookArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    let WebhookVerb::Sign(args) = &args.verb;
    let clock: SharedClock = Arc::new(SystemClock);
    sign::sign(args, &clock, out).map_err(CliError::Usage)?;
    Ok(ExitCode::SUCCESS)
}
