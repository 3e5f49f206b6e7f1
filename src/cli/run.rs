//! `goldwire run`: keeps the sinks in step until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use prometheus::Registry;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, ConfigArg, wiring};
use crate::admin::{self, AdminState};
use crate::config::Config;
use crate::instance::{Instance, Surroundings};
use crate::telemetry;
use crate::time::{SharedClock, SystemClock};
use crate::topology::Topology;

/// Keep the sinks in step until SIGTERM or SIGINT, then drain and stop.
///
/// Sources stop first, then the inbox is drained, then the sinks. What is not finished within
/// `delivery.drain_timeout` is read again at the next start.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire run\n  goldwire run --config /etc/goldwire.yaml --log-format json"
)]
pub struct RunArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArg,
}

/// 128 and the signal, as shells have it.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Runs it.
pub(super) async fn run(args: RunArgs) -> Result<ExitCode, CliError> {
    let config = args.config.load()?;
    let (metrics, registry) = telemetry::instruments().map_err(CliError::Internal)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let with = Surroundings {
        clock: Arc::clone(&clock),
        metrics,
        seed: clock.now().unsigned_abs(),
        wrap: None,
    };
    let told = stop_signal()?;
    let instance = Instance::start(&config, &with)
        .await
        .map_err(|error| CliError::Unavailable(error.to_string()))?;
    let admin = serve_admin(&config, &instance, registry, &clock).await?;
    announce(&instance, &admin);
    told.await;
    let deadline = config.delivery.drain_timeout.get();
    tracing::info!("stopping; what is in flight has {deadline:?}");
    instance.stop().await;
    admin.shutdown(deadline).await;
    Ok(ExitCode::SUCCESS)
}

fn announce(instance: &Instance, admin: &admin::Handle) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        admin = %admin.address(),
        webhooks = instance.webhook_address().map(tracing::field::display),
        "goldwire runs"
    );
}

/// Starts the admin listener of an instance.
pub(super) async fn serve_admin(
    config: &Config,
    instance: &Instance,
    registry: Registry,
    clock: &SharedClock,
) -> Result<admin::Handle, CliError> {
    let state = AdminState {
        redrive: wiring::redrive(config, instance.files(), clock),
        topology: Arc::new(Topology::of(config)),
        registry,
        health: instance.health(clock),
    };
    admin::serve(&config.admin, state)
        .await
        .map_err(CliError::Unavailable)
}

/// Ends when the process is told to stop, with the exit code of one that a signal ended. Told a second time, the process ends at once.
pub(super) fn stop_signal() -> Result<impl Future<Output = u8>, CliError> {
    let failed = |error: std::io::Error| CliError::Internal(format!("signals: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => TERMINATED,
            _ = int.recv() => INTERRUPTED,
        }
    })
}
