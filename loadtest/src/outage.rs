//! A sink that is away for minutes while webhooks come at full rate (G6, G8).
//!
//! Intake goes on until the event log is at its quota, then until the inbox is; from there on
//! requests are answered 503. Meanwhile memory stays flat, the logs within their quotas, and
//! `/livez` answers 200.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::Failed;
use super::instance::{self, Instance};
use super::sender::{SECRET, Sender, client};
use super::usage::Usage;

const MIB: u64 = 1 << 20;
/// This part of the time is for the logs and the caches to fill.
const WARM_UP: usize = 6;
/// What memory may grow by besides a tenth.
const ALLOWANCE: u64 = 16 * MIB;

/// One sink is away while webhooks come as fast as they are answered.
#[derive(Debug, Args)]
pub(crate) struct OutageArgs {
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    minutes: u64,
    /// Connections that send.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: u16,
    /// Quota of the inbox and of the event log, MiB each.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(64..))]
    quota: u64,
}

/// What was seen in one second: bytes, and what `/livez` answered, 0 for nothing.
#[derive(Debug)]
struct Sample {
    resident: u64,
    log: u64,
    inbox: u64,
    store: u64,
    livez: u16,
}

/// Starts a goldwire, sends, looks at it every second, prints what was seen, and judges it.
pub(crate) async fn run(args: &OutageArgs) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let config = config(SECRET, &format!("{}MiB", args.quota))?;
    let instance = Instance::start(&instance::beside()?, dir.path(), &config).await?;
    let end = Instant::now() + Duration::from_secs(args.minutes * 60);
    let sender = Arc::new(Sender::to(instance.webhooks)?);
    let mut senders = JoinSet::new();
    for _ in 0..args.connections {
        senders.spawn(Arc::clone(&sender).run(end));
    }
    let samples = watch(&instance, end).await?;
    senders.join_all().await;
    let mut lines = answers(&sender, args);
    let (table, problems) = judge(&samples, args.quota * MIB)?;
    lines.extend(table);
    instance.stop().await?;
    writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("; ").into())
    }
}

/// A webhook source, a warehouse that takes everything and one that no one answers for.
fn config(secret: &str, quota: &str) -> Result<String, Failed> {
    // Free a moment ago: no one listens there.
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(format!(
        "tenant: acme
data_dir: data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook:
    webhook:
      path: /hook
      scheme: reltio
      secrets: [\"{secret}\"]
      rate_limit: {{ per_second: 1000000, burst: 1000000 }}
inbox: {{ quota: {quota} }}
log: {{ partitions: 2, quota: {quota}, disk_reserve: 256MiB }}
sinks:
  lake:
    warehouse: {{ url: \"sqlite:lake.db\" }}
  away:
    warehouse: {{ url: \"postgres://goldwire:none@127.0.0.1:{closed}/away?sslmode=disable\" }}
    on_full: stall
admin: {{ address: 127.0.0.1:0 }}
"
    ))
}

/// A look every second, until `end`.
async fn watch(instance: &Instance, end: Instant) -> Result<Vec<Sample>, Failed> {
    let (http, url) = (client()?, format!("http://{}/livez", instance.admin));
    let mut rhythm = tokio::time::interval(Duration::from_secs(1));
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut samples = Vec::new();
    while Instant::now() < end {
        rhythm.tick().await;
        samples.push(Sample {
            resident: u64::from(Usage::of(instance.pid())?.resident_kib) * 1024,
            log: instance.disk("data/log"),
            inbox: instance.disk("data/inbox"),
            store: instance.disk("data/store"),
            livez: livez(&http, &url).await.unwrap_or_default(),
        });
    }
    Ok(samples)
}

async fn livez(http: &Client, url: &str) -> Option<u16> {
    let answer = http.get(url).send().await.ok()?;
    Some(answer.status().as_u16())
}

fn answers(sender: &Sender, args: &OutageArgs) -> Vec<String> {
    let mut lines = vec!["| answer | requests | a second | p50 | p99 | longest |".to_owned()];
    lines.push("|---|---|---|---|---|---|".to_owned());
    for (code, mut micros) in sender.answers() {
        micros.sort_unstable();
        let at = |percent: usize| {
            let at = micros.get(micros.len().saturating_sub(1) * percent / 100);
            Duration::from_micros(at.copied().unwrap_or_default().into())
        };
        let (count, seconds) = (
            micros.len(),
            usize::try_from(args.minutes * 60).unwrap_or(1),
        );
        lines.push(format!(
            "| {code} | {count} | {} | {:.1?} | {:.1?} | {:.1?} |",
            count / seconds,
            at(50),
            at(99),
            at(100)
        ));
    }
    lines
}

/// The least, the median and the greatest resident memory.
fn spread(part: &[Sample]) -> Result<[u64; 3], Failed> {
    let mut sorted: Vec<u64> = part.iter().map(|it| it.resident).collect();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().ok_or("too few samples");
    Ok([
        at(0)?,
        at(sorted.len() / 2)?,
        at(sorted.len().saturating_sub(1))?,
    ])
}

/// The table of what was seen, and what is not as it should be.
fn judge(samples: &[Sample], quota: u64) -> Result<(Vec<String>, Vec<String>), Failed> {
    let (_, warm) = samples.split_at(samples.len() / WARM_UP);
    let mut thirds = warm.chunks(warm.len().div_ceil(3).max(1));
    let (first, last) = (thirds.next(), thirds.nth(1));
    let first = spread(first.unwrap_or_default())?;
    let last = spread(last.unwrap_or_default())?;
    let peak = |of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap_or_default();
    let (log, inbox, store) = (peak(|it| it.log), peak(|it| it.inbox), peak(|it| it.store));
    let failed = samples.iter().filter(|it| it.livez != 200).count();
    let row = |name: &str, [least, median, greatest]: [u64; 3]| {
        format!(
            "| {name} | {} | {} | {} |",
            least / MIB,
            median / MIB,
            greatest / MIB
        )
    };
    let ([_, before, _], [_, after, _]) = (first, last);
    let table = vec![
        "\n| resident memory, MiB | least | median | greatest |".to_owned(),
        "|---|---|---|---|".to_owned(),
        row("first third", first),
        row("last third", last),
        format!(
            "\nmedian, last to first third: {} %",
            after * 100 / before.max(1)
        ),
        format!(
            "`/livez`: {failed} of {} answers were not 200",
            samples.len()
        ),
        format!(
            "disk at most, MiB: event log {}, inbox {}, of {} each; store {}",
            log / MIB,
            inbox / MIB,
            quota / MIB,
            store / MIB
        ),
    ];
    let mut problems = Vec::new();
    if after > before + before / 10 + ALLOWANCE {
        problems.push("memory grows".to_owned());
    }
    if failed > 0 {
        problems.push("/livez failed".to_owned());
    }
    if log.max(inbox) > quota + ALLOWANCE / 16 {
        problems.push("a log is beyond its quota".to_owned());
    }
    Ok((table, problems))
}
