//! The cache under requests that are due at times of their own: latency from those times, and memory.
//!
//! `cargo bench --bench cache -- entities=1000000 rate=10000 seconds=20`. Loading, serving and asking
//! are processes of their own, so that the memory is that of one that serves. Every fourth request is
//! by crosswalk, the others by URI; which entity is asked for is uniform. `writes` are batches of 100
//! records a second that are kept meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails has no result"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use goldwire::event::{Object, Subject, SubjectState};
use goldwire::sink::cache::{Cache, CacheSink};
use goldwire::sink::{Current, Sink as _, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

const TOKEN: &str = "a token of the benchmark";
const CONNECTIONS: usize = 64;
const BATCH: u64 = 1000;
/// How long the pacer sleeps at least.
const TICK: Duration = Duration::from_micros(100);
/// For the connections to be made.
const AHEAD: Duration = Duration::from_millis(300);
const START: i64 = 1_767_225_600_000;

/// What was asked for, `key=value` each.
struct Asked(BTreeMap<String, String>);

impl Asked {
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str, or: u32) -> u32 {
        self.0.get(key).map_or(or, |text| text.parse().unwrap())
    }

    fn entities(&self) -> u64 {
        self.number("entities", 1_000_000).into()
    }

    fn size(&self) -> usize {
        usize::try_from(self.number("size", 1000)).unwrap()
    }
}

/// Spread over the key space, as Reltio's ids are.
fn id(number: u64) -> String {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{spread:016x}")
}

fn write(number: u64, version: i64, size: usize) -> Write {
    let id = id(number);
    let mut object = format!(
        r#"{{"uri":"entities/{id}","type":"configuration/entityTypes/Individual","crosswalks":[{{"type":"configuration/sources/SFDC","value":"C{id}"}}],"attributes":{{"Note":[{{"value":""#
    );
    // No two records alike, as nothing that packs them may find.
    let mut random = ChaCha8Rng::seed_from_u64(number);
    while object.len() < size.saturating_sub(6) {
        object.push(char::from(random.random_range(b'a'..=b'z')));
    }
    object.push_str("\"}]}}");
    let object = Object::parse(object.as_bytes()).unwrap();
    Write {
        subject: Subject::new("acme", &format!("entities/{id}")),
        object_type: "Individual".into(),
        current: Some(Current {
            state: SubjectState::Alive(Arc::new(object)),
            content_time: START + version,
            version: Some(version),
            fields: None,
            erased: false,
        }),
        changes: Vec::new(),
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

fn cache(dir: &Path) -> Cache {
    let config = json!({ "dir": dir, "address": "127.0.0.1:0", "tokens": [TOKEN] });
    let config: CacheSink = serde_json::from_value(config).unwrap();
    let metrics = Arc::new(Metrics::noop());
    Cache::new("reads", &config, Arc::new(SystemClock), metrics)
}

async fn load(asked: &Asked) {
    let cache = cache(Path::new(asked.text("dir")));
    let (entities, size) = (asked.entities(), asked.size());
    for from in (0..entities).step_by(usize::try_from(BATCH).unwrap()) {
        let to = (from + BATCH).min(entities);
        let batch: Vec<Write> = (from..to).map(|number| write(number, 1, size)).collect();
        for answer in cache.write(&batch).await {
            answer.unwrap();
        }
    }
}

struct Connection(TcpStream, Vec<u8>);

impl Connection {
    /// Asks, and waits for the whole answer, which has to be 200.
    async fn ask(&mut self, number: u64) {
        let Self(stream, answer) = self;
        let id = id(number);
        let path = if number.is_multiple_of(4) {
            format!("?source=SFDC&value=C{id}")
        } else {
            format!("/entities/{id}")
        };
        let request = format!(
            "GET /v1/golden-records{path} HTTP/1.1\r\nhost: goldwire\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        loop {
            stream.read_buf(answer).await.unwrap();
            if let Some(length) = whole(answer) {
                assert!(answer.starts_with(b"HTTP/1.1 200 "));
                assert_eq!(answer.len(), length);
                return;
            }
        }
    }
}

/// The length of the answer, once all of it is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(answer.get(..head)?).unwrap();
    let length = text.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    (answer.len() >= head + length).then_some(head + length)
}

struct Schedule {
    begin: Instant,
    every: Duration,
    requests: u32,
    entities: u64,
    /// One permit for each request that is due.
    due: Semaphore,
    taken: AtomicU32,
}

impl Schedule {
    fn at(&self, number: u32) -> Instant {
        self.begin + self.every * number
    }

    /// Tells what is due, until all of it is. A timer of tokio is no finer than a millisecond.
    fn keep(&self) {
        let mut told = 0;
        while told < self.requests {
            let wait = self.at(told).saturating_duration_since(Instant::now());
            std::thread::sleep(wait.max(TICK));
            let (now, mut more) = (Instant::now(), 0);
            while told < self.requests && self.at(told) <= now {
                told += 1;
                more += 1;
            }
            self.due.add_permits(more);
        }
        self.due.add_permits(CONNECTIONS);
    }

    async fn take(self: Arc<Self>, mut connection: Connection, seed: u64) -> Vec<Duration> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut latencies = Vec::new();
        loop {
            self.due.acquire().await.unwrap().forget();
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return latencies;
            }
            connection.ask(random.random_range(0..self.entities)).await;
            latencies.push(Instant::now() - self.at(number));
        }
    }
}

async fn ask(asked: &Asked) {
    let address: SocketAddr = asked.text("address").parse().unwrap();
    let rate = asked.number("rate", 10_000);
    let schedule = Arc::new(Schedule {
        begin: Instant::now() + AHEAD,
        every: Duration::from_secs(1) / rate,
        requests: rate * asked.number("seconds", 20),
        entities: asked.entities(),
        due: Semaphore::new(0),
        taken: AtomicU32::new(0),
    });
    let mut all = Vec::new();
    for seed in 0..u64::try_from(CONNECTIONS).unwrap() {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connection = Connection(stream, Vec::new());
        all.push(tokio::spawn(Arc::clone(&schedule).take(connection, seed)));
    }
    let pacer = Arc::clone(&schedule);
    let pacer = std::thread::spawn(move || pacer.keep());
    let mut latencies = Vec::new();
    for one in all {
        latencies.extend(one.await.unwrap());
    }
    let took = schedule.begin.elapsed().as_secs_f64();
    pacer.join().unwrap();
    latencies.sort_unstable();
    print!("| {:.0} |", f64::from(schedule.requests) / took);
    for part in [500, 990, 999] {
        let latency = latencies.get(latencies.len() * part / 1000).unwrap();
        print!(" {:.3} |", latency.as_secs_f64() * 1e3);
    }
    println!();
}

/// A line of /proc/self/status, in MiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|at| at.starts_with(line)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib >> 10
}

fn step(step: &str, asked: &Asked, more: &[String]) -> Command {
    let pairs = asked.0.iter().map(|(key, value)| format!("{key}={value}"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(format!("step={step}")).args(pairs).args(more);
    command
}

async fn serve(asked: &Asked) {
    let dir = Path::new(asked.text("dir"));
    let cache = Arc::new(cache(dir));
    // A write opens the table, and answers when it is open.
    cache.write(&[write(0, 1, asked.size())]).await;
    let serving = cache.serve().await.unwrap().unwrap();
    let rate = asked.number("writes", 0);
    let (keeper, size, entities) = (Arc::clone(&cache), asked.size(), asked.entities());
    let writing = tokio::spawn(async move {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for version in 2.. {
            if rate == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1) / rate).await;
            let numbers = (0..100).map(|_| random.random_range(0..entities));
            let batch: Vec<_> = numbers.map(|number| write(number, version, size)).collect();
            keeper.write(&batch).await;
        }
    });
    let address = format!("address={}", serving.address());
    println!("| requests/s | p50 ms | p99 ms | p99.9 ms |\n|---|---|---|---|");
    for _ in 0..3 {
        let mut asking = step("ask", asked, std::slice::from_ref(&address));
        let asked = tokio::task::spawn_blocking(move || asking.status().unwrap());
        assert!(asked.await.unwrap().success());
    }
    writing.abort();
    println!(
        "resident {} MiB, peak {} MiB",
        memory("VmRSS"),
        memory("VmHWM")
    );
    serving.shutdown(Duration::from_secs(1)).await;
}

fn main() {
    let pairs = std::env::args().skip(1);
    let mut asked = Asked(
        pairs
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                Some((key.to_owned(), value.to_owned()))
            })
            .collect(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    match asked.0.remove("step").as_deref() {
        Some("load") => return runtime.block_on(load(&asked)),
        Some("serve") => return runtime.block_on(serve(&asked)),
        Some(_) => return runtime.block_on(ask(&asked)),
        None => {}
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let place = dir.path().display().to_string();
    asked.0.insert("dir".to_owned(), place);
    let began = Instant::now();
    for part in ["load", "serve"] {
        assert!(step(part, &asked, &[]).status().unwrap().success());
        println!("{part}: {} s", began.elapsed().as_secs());
    }
}
