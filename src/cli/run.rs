//! `goldwire run`: keeps the sinks in step until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use prometheus::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::TOLD_TWICE;
use super::{CliError, ConfigArg, absolute, wiring};
use crate::admin::{self, AdminState};
use crate::runtime::{Deps, Instance, Role};
use crate::telemetry;
use crate::time::{SharedClock, SystemClock};
use crate::topology::Config;
use crate::topology::Topology;

/// Keep the sinks in step until SIGTERM or SIGINT, then drain and stop.
///
/// Sources stop first, then the inbox is drained, then the sinks. What is not finished within
/// `delivery.drain_timeout` is read again at the next start. A second signal ends it at once.
/// The directories of data and files, and the tables of a warehouse, are made if they are not there.
/// Log lines go to the standard output, problems at the start to the standard error.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire run\n  goldwire run --config /etc/goldwire.yaml --log-format json"
)]
pub struct RunArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Sinks that run in this instance, with commas between; others run the rest (log in Kafka)
    #[arg(
        long,
        value_name = "SINK,…",
        value_delimiter = ',',
        conflicts_with = "ingest_only"
    )]
    pub only: Vec<String>,
    /// Reads no source and takes no webhook: an instance that delivers (log in Kafka)
    #[arg(long, conflicts_with = "ingest_only")]
    pub no_ingest: bool,
    /// Runs no sink: an instance that reads sources and takes webhooks (log in Kafka)
    #[arg(long)]
    pub ingest_only: bool,
}

impl RunArgs {
    /// What of `config` runs here.
    fn role(&self, config: &Config) -> Result<Role, CliError> {
        let some = self.ingest_only || !self.only.is_empty();
        let role = Role::of(config, some.then_some(&self.only[..]), !self.no_ingest);
        role.map_err(CliError::Usage)
    }
}

/// 128 and the signal, as shells have it.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Runs it.
pub(super) async fn run(args: RunArgs) -> Result<ExitCode, CliError> {
    let config = args.config.load_to_serve()?;
    let role = args.role(&config)?;
    wiring::make(&config)?;
    let (metrics, registry) = telemetry::instruments().map_err(CliError::Internal)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let with = Deps {
        clock: Arc::clone(&clock),
        metrics,
        seed: clock.now().unsigned_abs(),
        wrap: None,
    };
    let told = stop_signal()?;
    // The smaller thing first: with its port taken, no webhook is accepted and no file opened.
    let admin = admin::bind(&config.admin)
        .await
        .map_err(CliError::Unavailable)?;
    tokio::pin!(told);
    let instance = tokio::select! {
        biased;
        _ = &mut told => {
            // It may have waited for brokers; nothing was taken in yet.
            tracing::info!("told to stop before it had started");
            return Ok(ExitCode::SUCCESS);
        }
        started = Instance::start_as(&config, &with, role) => {
            started.map_err(|error| CliError::Unavailable(error.to_string()))?
        }
    };
    let admin = admin.serve(admin_state(&config, &instance, registry, &clock));
    announce(&args.config, &config, &instance, &admin);
    told.await;
    let drain = config.delivery.drain_timeout.get();
    let deadline = Instant::now() + drain;
    tracing::info!("stopping; what is in flight has {drain:?}");
    instance.stop().await;
    admin
        .shutdown(deadline.saturating_duration_since(Instant::now()))
        .await;
    Ok(ExitCode::SUCCESS)
}

fn announce(file: &ConfigArg, config: &Config, instance: &Instance, admin: &admin::Handle) {
    let here = |name: &String| instance.sinks().iter().any(|sink| sink.name == *name);
    let sinks = Topology::of(config).sinks.into_iter();
    for sink in sinks.filter(|sink| here(&sink.name)) {
        tracing::info!(sink = sink.name, "writes to {} {}", sink.kind, sink.target);
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = absolute(&file.config),
        data_dir = absolute(&config.data_dir),
        admin = %admin.address(),
        webhooks = instance.webhook_address().map(tracing::field::display),
        "goldwire runs"
    );
}

/// What the admin listener tells of an instance.
pub(super) fn admin_state(
    config: &Config,
    instance: &Instance,
    registry: Registry,
    clock: &SharedClock,
) -> AdminState {
    // Its keys are texts, so that it can always be written as JSON.
    let topology = serde_json::to_value(Topology::of(config)).unwrap_or_default();
    AdminState {
        redrive: wiring::redrive(config, instance.kept(), clock),
        topology: Arc::new(topology),
        registry,
        health: instance.health(),
        control: instance.control(clock),
    }
}

/// Ends when the process is told to stop, with the exit code of one that a signal ended. Told a
/// second time, the process ends at once, also if it was still starting.
pub(super) fn stop_signal() -> Result<impl Future<Output = u8>, CliError> {
    let failed = |error: std::io::Error| CliError::Internal(format!("signals: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        // Whoever does not wait any more is ending already.
        tell.send(either(&mut term, &mut int).await).ok();
        either(&mut term, &mut int).await;
        tracing::warn!("told to stop a second time; what was in flight is read again");
        end_at_once();
    });
    Ok(async move { told.await.unwrap_or(TERMINATED) })
}

async fn either(term: &mut Signal, int: &mut Signal) -> u8 {
    tokio::select! {
        _ = term.recv() => TERMINATED,
        _ = int.recv() => INTERRUPTED,
    }
}

#[expect(clippy::exit, reason = "what hangs cannot be waited for")]
fn end_at_once() {
    std::process::exit(TOLD_TWICE.into());
}
