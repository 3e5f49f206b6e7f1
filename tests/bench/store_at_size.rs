//! The store at size: load, check + record, disk, memory, reopen, per engine and access.
//!
//! `taskset -c 0 cargo bench --bench store_at_size -- subjects=1000000 engine=fjall access=zipf`.
//! Each step runs in a process of its own, so that memory is that of one engine; after `work` one
//! more is killed (SIGKILL) in the middle of its commits. `seconds` bounds a load, and the work on
//! what was loaded until then: a row takes three times as long at most.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]
#![expect(clippy::print_stdout, reason = "its result is a table")]
#![expect(clippy::print_stderr, reason = "how far it is, beside the table")]
#![expect(clippy::indexing_slicing, reason = "its own arguments and digits")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use goldwire::event::Subject;
use goldwire::store::{Batch, FjallStore, Register, SledStore, Store, keys};
use prost::Message as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};
use tokio::time::Instant;

/// A commit at the latest after so many records, or so long.
const RECORDS: u64 = 1000;
const INTERVAL: Duration = Duration::from_millis(50);
const PARTITIONS: u64 = 8;
const EXPONENT: f64 = 0.99;
const START: i64 = 1_700_000_000_000;

/// Subjects' keys are spread over the key space, as Reltio's ids are: seven digits to the base 62.
fn key(number: u64) -> Vec<u8> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut left = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & ((1 << 41) - 1);
    let mut id = String::from("entities/");
    for _ in 0..7 {
        id.push(char::from(DIGITS[usize::try_from(left % 62).unwrap()]));
        left /= 62;
    }
    let partition = u16::try_from(number % PARTITIONS).unwrap();
    keys::register("salesforce", partition, &Subject::new("abc123XYZ", &id))
}

/// A register as a delivered record leaves it.
fn register(version: i64) -> Vec<u8> {
    let time = START + version * 1000;
    Register {
        version: Some(version),
        commit_time: Some(time),
        maybe_seen_until: time,
        content_time: time,
        newest: time,
        ..Register::default()
    }
    .encode_to_vec()
}

/// What was asked for, `key=value` each.
struct Asked(BTreeMap<String, String>);

impl Asked {
    fn text<'a>(&'a self, key: &str, or: &'a str) -> &'a str {
        self.0.get(key).map_or(or, String::as_str)
    }

    fn number(&self, key: &str, or: u64) -> u64 {
        self.0.get(key).map_or(or, |text| text.parse().unwrap())
    }
}

fn open(engine: &str, dir: &Path) -> Box<dyn Store> {
    match engine {
        "sled" => Box::new(SledStore::open(dir).unwrap()),
        "fjall" => Box::new(FjallStore::open(dir).unwrap()),
        other => unreachable!("no engine {other}"),
    }
}

/// The first record of every subject. It is checked, too: sled frees the pages that it evicts only
/// as often as it is asked something, and without that its memory grows by gigabytes. Returns how
/// many there are when the time is up.
fn load(store: &dyn Store, subjects: u64, time: Duration) -> u64 {
    let begun = Instant::now();
    let mut number = 0;
    while number < subjects && begun.elapsed() < time {
        let end = (number + RECORDS).min(subjects);
        let mut batch = Batch::default();
        for number in number..end {
            let key = key(number);
            assert_eq!(store.get(&key).unwrap(), None);
            batch.put(key, register(1));
        }
        store.commit(batch).unwrap();
        number = end;
    }
    number
}

/// Subjects in the order in which they are asked for.
fn order(subjects: u64, operations: u64, access: &str, seed: u64) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = u32::try_from(subjects).unwrap();
    let zipf = Zipf::new(f64::from(count), EXPONENT).unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "a rank"
    )]
    let mut next = || match access {
        "zipf" => zipf.sample(&mut random) as u32 - 1,
        _ => random.random_range(0..count),
    };
    (0..operations).map(|_| next()).collect()
}

/// Check + record, for each of `order` until the time is up; how many, and the longest commit.
fn work(store: &dyn Store, order: &[u32], time: Duration) -> (u32, Duration) {
    let from = Instant::now();
    let mut batch = Batch::default();
    let (mut last, mut worst) = (Instant::now(), Duration::ZERO);
    let (mut records, mut position) = (0, 0_u32);
    for number in order {
        let key = key(u64::from(*number));
        let known = Register::decode(store.get(&key).unwrap().unwrap().as_slice()).unwrap();
        batch.put(key, register(known.version.unwrap() + 1));
        records += 1;
        position += 1;
        let due = records % 16 == 0 && last.elapsed() >= INTERVAL;
        if records == RECORDS || due {
            let cursor = keys::cursor("goldwire.salesforce", 0);
            batch.put(cursor, position.to_be_bytes().to_vec());
            let begun = Instant::now();
            store.commit(std::mem::take(&mut batch)).unwrap();
            last = Instant::now();
            worst = worst.max(last - begun);
            records = 0;
            if last - from >= time {
                break;
            }
        }
    }
    store.commit(batch).unwrap();
    (position, worst)
}

/// A line of /proc/self/status, in MiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|at| at.starts_with(line)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib >> 10
}

/// CPU seconds of this process, or of this thread alone.
fn cpu(of: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).unwrap();
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u32 = ticks
        .skip(11)
        .take(2)
        .map(|t| t.parse::<u32>().unwrap())
        .sum();
    f64::from(ticks) / 100.0
}

/// Bytes on disk: what is allocated, not how long a file says it is.
fn disk(dir: &Path) -> u64 {
    let mut bytes = 0;
    // A file may go while the engine merges.
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else {
            continue;
        };
        bytes += if about.is_dir() {
            disk(&entry.path())
        } else {
            about.blocks() * 512
        };
    }
    bytes
}

/// Waits until the engine leaves its files alone.
fn settle(dir: &Path) {
    let (mut before, mut same) = (0, 0);
    for _ in 0..120 {
        std::thread::sleep(Duration::from_millis(500));
        let now = disk(dir);
        same = if now == before { same + 1 } else { 0 };
        if same == 6 {
            return;
        }
        before = now;
    }
}

/// Drops the files from the system's cache.
fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
        } else {
            let file = std::fs::File::open(path).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}

/// A step, in a process of its own. What it finds is said as `name=value`.
fn step(step: &str, asked: &Asked) {
    let (engine, dir) = (asked.text("engine", ""), Path::new(asked.text("dir", "")));
    let (subjects, operations) = (asked.number("subjects", 0), asked.number("operations", 0));
    let (access, time) = (asked.text("access", ""), asked.number("seconds", 0));
    let (time, half) = (Duration::from_secs(time), Duration::from_secs(time / 2));
    let begun = Instant::now();
    let store = open(engine, dir);
    println!("open={:.3}", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    match step {
        "load" => {
            println!("subjects={}", load(store.as_ref(), subjects, time));
            println!("load={:.0}", begun.elapsed().as_secs_f64());
            settle(dir);
        }
        "work" => {
            let before = order(subjects, operations / 2, access, 1);
            work(store.as_ref(), &before, half);
            let order = order(subjects, operations, access, 2);
            let (begun, used, own) = (Instant::now(), cpu("self"), cpu("thread-self"));
            let (operations, worst) = work(store.as_ref(), &order, time);
            let operations = f64::from(operations);
            println!("rate={:.0}", operations / begun.elapsed().as_secs_f64());
            println!("cpu={:.1}", (cpu("self") - used) * 1e6 / operations);
            println!("own={:.1}", (cpu("thread-self") - own) * 1e6 / operations);
            println!("worst={}", worst.as_millis());
            println!("resident={}", memory("VmRSS"));
            println!("peak={}", memory("VmHWM"));
            settle(dir);
        }
        "killed" => {
            let order = order(subjects, operations / 4, access, 3);
            work(store.as_ref(), &order, half);
            println!("kill=1");
            loop {
                work(store.as_ref(), &order, half);
            }
        }
        _ => drop(store.get(&key(0)).unwrap().unwrap()),
    }
    drop(store);
}

fn start(step: &str, asked: &Asked) -> (Child, impl Iterator<Item = (String, String)> + use<>) {
    let pairs = asked.0.iter().map(|(key, value)| format!("{key}={value}"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(format!("step={step}"))
        .args(pairs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map(|line| {
        let line = line.unwrap();
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (child, said)
}

fn run(step: &str, asked: &Asked) -> BTreeMap<String, String> {
    let (mut child, said) = start(step, asked);
    let said = said.collect();
    assert!(child.wait().unwrap().success(), "{step} failed");
    said
}

fn row(asked: &mut Asked, engine: &str, access: &str, dir: &Path) {
    asked.0.insert("access".to_owned(), access.to_owned());
    let mut said = run("work", asked);
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "small")]
    let each = disk(dir) as f64 / asked.number("subjects", 0) as f64;
    forget(dir);
    let clean = run("reopen", asked)["open"].clone();
    let (mut child, mut lines) = start("killed", asked);
    assert!(lines.any(|(name, _)| name == "kill"));
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    forget(dir);
    let killed = run("reopen", asked)["open"].clone();
    let mut take = |name: &str| said.remove(name).unwrap();
    println!(
        "| {} | {engine} | {access} | {} | {} / {} | {} | {} | {each:.0} | {clean} | {killed} | {} |",
        asked.text("subjects", ""),
        take("rate"),
        take("own"),
        take("cpu"),
        take("resident"),
        take("peak"),
        take("worst"),
    );
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
    if let Some(name) = asked.0.remove("step") {
        return step(&name, &asked);
    }
    for (key, default) in [("operations", "2000000"), ("seconds", "600")] {
        let text = asked.text(key, default).to_owned();
        asked.0.insert(key.to_owned(), text);
    }
    let sizes = asked.text("subjects", "10000000").to_owned();
    let engines = asked.text("engine", "sled,fjall").to_owned();
    let accesses = asked.text("access", "zipf,uniform").to_owned();
    println!(
        "| subjects | engine | access | events/s | CPU µs an event, caller / all threads | resident MiB | peak MiB | disk bytes a \
         subject | reopen clean s | after kill -9 s | worst commit ms |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    );
    for size in sizes.split(',') {
        for engine in engines.split(',') {
            asked.0.insert("subjects".to_owned(), size.to_owned());
            rows(&mut asked, engine, &accesses);
        }
    }
}

/// An engine at one size.
fn rows(asked: &mut Asked, engine: &str, accesses: &str) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    asked.0.insert("engine".to_owned(), engine.to_owned());
    let place = dir.path().display().to_string();
    asked.0.insert("dir".to_owned(), place);
    let mut loaded = run("load", asked);
    let subjects = loaded.remove("subjects").unwrap();
    eprintln!("{engine}: {subjects} subjects in {} s", loaded["load"]);
    asked.0.insert("subjects".to_owned(), subjects);
    for access in accesses.split(',') {
        row(asked, engine, access, dir.path());
    }
}
