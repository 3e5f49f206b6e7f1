//! One partition of a real topic, many subjects: the workload of Parallel Consumer.
//!
//! `cargo bench --bench parallel -- --bootstrap HOST:PORT --topic TOPIC --records 10000`. A whole
//! instance: the source reads the topic, which has one partition, into the event log, and a sink
//! takes 0 to 5 ms for each delivery, 100 records in flight. Nothing is quicker than the sink's time
//! by 100; how much longer this takes is printed. The versions of each subject begin at 1 and have
//! no gaps; their order is asserted. A record that waits while a newer one of its subject comes is
//! not delivered.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

mod slow;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use goldwire::runtime::{Deps, Files, Instance, Parts};
use goldwire::sink::{OnFull, Sink};
use goldwire::source::kafka::KafkaSource;
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use goldwire::topology::Config;
use serde_json::{Value, json};
use tikv_jemallocator::Jemalloc;
use uuid::Uuid;

use slow::{Slow, Took};

/// That of the program, so that memory and CPU are the program's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Calls of the sink at the same time, as Parallel Consumer counts them.
const CALLS: u32 = 100;
/// goldwire counts records that wait for one of their own subject as well.
const IN_FLIGHT: u32 = 120;
const PATIENCE: Duration = Duration::from_mins(10);
const USAGE: &str = "parallel: nothing measured; it needs a broker: \
    cargo bench --bench parallel -- --bootstrap HOST:PORT --topic TOPIC --records 10000";

/// How much of a topic is to be read.
#[derive(Debug, Parser)]
struct Asked {
    /// The broker, `host:port`.
    #[arg(long, requires = "topic")]
    bootstrap: Option<String>,
    /// A topic of one partition, which holds the records and nothing else.
    #[arg(long)]
    topic: Option<String>,
    /// Its records.
    #[arg(long, default_value_t = 10_000)]
    records: u64,
    /// Cargo says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn config(dir: &Path, bootstrap: &str, topic: &str) -> Config {
    let tree = json!({
        "tenant": "acme",
        "data_dir": dir.join("data"),
        "sources": { "topic": { "kafka": {
            "bootstrap_servers": bootstrap,
            "topic": topic,
            "group": format!("goldwire-parallel-{}", Uuid::new_v4()),
            "start": "earliest",
        } } },
        // The sink is put in by hand.
        "sinks": { "slow": { "warehouse": { "url": "sqlite:unused.db" } } },
        "log": { "partitions": 1 },
        "delivery": { "in_flight": IN_FLIGHT },
    });
    let path = dir.join("goldwire.yaml");
    fs::write(&path, tree.to_string()).unwrap();
    goldwire::topology::load(&path, &|_| None).unwrap()
}

fn start(config: &Config, sink: &Arc<Slow>) -> Instance {
    let with = Deps {
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        seed: 7,
        wrap: None,
    };
    let files = Files::open(config).unwrap();
    let source = KafkaSource::connect(
        "topic",
        config.sources.get("topic").unwrap().kafka.as_ref().unwrap(),
        &config.tenant,
        Arc::clone(&with.clock),
        config.delivery.drain_timeout.get(),
        Arc::clone(&files.store),
    );
    let source = source.unwrap();
    let group = source.group().to_owned();
    let sink: Arc<dyn Sink> = Arc::<Slow>::clone(sink);
    let parts = Parts {
        sinks: vec![(sink, OnFull::Stall)],
        sources: vec![(Box::new(source), group)],
        ..Parts::over(files)
    };
    Instance::assemble(config, &with, parts).unwrap()
}

async fn run(bootstrap: &str, topic: &str, records: u64) -> Took {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), bootstrap, topic);
    let sink = Arc::new(Slow::new(7, usize::try_from(CALLS).unwrap()));
    let instance = start(&config, &sink);
    let all = tokio::time::timeout(PATIENCE, sink.has(records));
    assert!(all.await.is_ok(), "after {PATIENCE:?}: {:?}", sink.took());
    instance.stop().await;
    sink.took()
}

/// User and system time of this process in seconds, and its peak of memory in MiB.
fn usage() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks = ticks.skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().unwrap());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    (ticks.sum::<f64>() / 100.0, peak / 1024.0)
}

fn told(records: u64, took: Took) -> Value {
    let allowed = took.sum.as_secs_f64() / f64::from(CALLS);
    let seconds = (took.ended - took.began).as_secs_f64();
    let (cpu, peak) = usage();
    json!({
        "records": records,
        "deliveries": took.deliveries,
        "most_at_once": took.most_at_once,
        "allowed_seconds": allowed,
        "seconds": seconds,
        "ratio": seconds / allowed,
        "cpu_seconds": cpu,
        "peak_mib": peak,
    })
}

fn main() {
    let asked = Asked::parse();
    let mut out = std::io::stdout();
    let (Some(bootstrap), Some(topic)) = (&asked.bootstrap, &asked.topic) else {
        writeln!(out, "{USAGE}").unwrap();
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let took = runtime.block_on(run(bootstrap, topic, asked.records));
    writeln!(out, "{}", told(asked.records, took)).unwrap();
}
