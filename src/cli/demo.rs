//! `goldwire demo`: the whole system against faithful servers of its own.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::run::{admin_state, stop_signal};
use super::{CliError, load, print};
use crate::admin;
use crate::demo::{Demo, DemoSettings, Sabotage};
use crate::telemetry;
use crate::time::{SharedClock, SystemClock};

/// Show it at work: a tenant, a CRM and a warehouse in this process, and a check of what they hold.
///
/// Needs no configuration and no network. Ends with 0 if every sink holds what the tenant says,
/// with 1 if not; told to stop before that, with 130 (Ctrl-C) or 143 (SIGTERM). The embedded broker keeps about 5 MB a partition, so the topic gets as many
/// partitions as the script needs to stay well below.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  goldwire demo\n  goldwire demo --events 20000 --rate 2000\n  \
    goldwire demo --sabotage lose      see that the check finds a lost write\n  \
    goldwire demo --serve              look at /metrics, /topology, /dlq afterwards"
)]
pub struct DemoArgs {
    /// How many events happen; copies, late ones and malformed ones come on top
    #[arg(long, default_value_t = 3000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub events: u32,
    /// How many a second
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// What happens, exactly: the same seed is the same history
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Stay up after the end, with the admin listener and the webhooks, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// Work in this directory, which must be empty, and leave it there, instead of in one that goes away
    #[arg(long, value_name = "DIRECTORY")]
    pub keep: Option<PathBuf>,
    /// Break a guarantee on purpose, to see that the check finds it
    #[arg(long, value_enum)]
    pub sabotage: Option<Sabotage>,
}

/// Runs it.
pub(super) async fn run(args: DemoArgs) -> Result<ExitCode, CliError> {
    let unavailable = |error: std::io::Error| CliError::Unavailable(error.to_string());
    let passing = tempfile::tempdir().map_err(unavailable)?;
    let dir = args
        .keep
        .clone()
        .unwrap_or_else(|| passing.path().to_owned());
    std::fs::create_dir_all(&dir).map_err(unavailable)?;
    if std::fs::read_dir(&dir)
        .map_err(unavailable)?
        .next()
        .is_some()
    {
        return Err(CliError::Usage(format!(
            "--keep {}: holds files already, which would be compared with this run; name a directory \
             that is empty or not there yet",
            dir.display()
        )));
    }
    let settings = DemoSettings {
        events: usize::try_from(args.events).unwrap_or(usize::MAX),
        rate: args.rate,
        seed: args.seed,
        dir: std::path::absolute(&dir).map_err(unavailable)?,
        sabotage: args.sabotage,
    };
    let (metrics, registry) = telemetry::instruments().map_err(CliError::Internal)?;
    let mut told = pin!(stop_signal()?);
    let mut out = std::io::stdout();
    let demo = Demo::start(&settings, metrics).await;
    let demo = demo.map_err(CliError::Unavailable)?;
    let played = tokio::select! {
        played = demo.play(&registry, &mut out) => played,
        code = &mut told => {
            tracing::info!("stopping before the end");
            demo.stop().await;
            return Ok(ExitCode::from(code));
        }
    };
    let differences = match played {
        Ok(differences) => differences,
        Err(why) => {
            demo.stop().await;
            return Err(CliError::Unavailable(why));
        }
    };
    if args.serve {
        let clock: SharedClock = Arc::new(SystemClock);
        let config = load(&settings.dir.join("goldwire.yaml"))?;
        let state = admin_state(&config, &demo.instance, registry, &clock);
        let admin = admin::serve(&config.admin, state)
            .await
            .map_err(CliError::Unavailable)?;
        let told = stop_signal()?;
        print(&mut out, urls(&demo, &admin.address().to_string()))?;
        told.await;
        admin.shutdown(config.delivery.drain_timeout.get()).await;
    }
    demo.stop().await;
    if args.keep.is_some() {
        print(
            &mut out,
            format!(
                "  left in {}: warehouse.db, lake/, snowflake.ndjson\n",
                dir.display()
            ),
        )?;
    }
    Ok(if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn urls(demo: &Demo, admin: &str) -> String {
    let webhooks = demo.instance.webhook_address();
    let webhooks = webhooks.map_or_else(String::new, |address| {
        let paths = Demo::webhook_paths().join(" ");
        format!("  webhooks    https://{address}{paths} (signed, self-signed certificate)\n")
    });
    let cache = demo.cache_example();
    let cache = cache.map_or_else(String::new, |line| format!("  cache       {line}\n"));
    format!(
        "  admin       http://{admin}/livez /readyz /metrics /topology /dlq\n{webhooks}{cache}  \
         Ctrl-C ends it\n"
    )
}
