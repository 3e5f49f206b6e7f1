//! The lake sink alone: rows gathered, compressed and put on a disk, on one processor, and the memory
//! that this takes.
//!
//! `taskset -c 0 cargo bench --bench lake -- rows=500000 memory=96MiB partitions=1 format=parquet`.
//! It says nothing of a goldwire around it: the record is not read, decoded or remembered here.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]
#![expect(clippy::print_stdout, reason = "its result is a line")]

use std::collections::HashMap;
use std::sync::Arc;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::sink::lake::{Lake, LakeSink};
use goldwire::sink::pieces::{Landed, Pieces, Place};
use goldwire::sink::{Change, Sink as _, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::time::Instant;

/// Writes that are gathered at once.
const BATCH: usize = 1000;
/// Different rows; they come again and again.
const KINDS: usize = 20_000;

fn argument(name: &str, default: &str) -> String {
    let named: HashMap<String, String> = std::env::args()
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    named
        .get(name)
        .cloned()
        .unwrap_or_else(|| default.to_owned())
}

/// A snapshot of about 1.5 kB, with names and numbers that do not repeat.
fn object(random: &mut ChaCha8Rng, uri: &str) -> String {
    let mut word = |letters: usize| -> String {
        let letter = |_| char::from(random.random_range(b'a'..=b'z'));
        (0..letters).map(letter).collect()
    };
    let attribute = |name: &str, value: String| {
        json!([{ "uri": format!("{uri}/attributes/{name}/1"), "ov": true, "value": value,
                 "type": format!("configuration/entityTypes/Individual/attributes/{name}") }])
    };
    json!({
        "uri": uri, "type": "configuration/entityTypes/Individual", "label": word(20),
        "createdTime": 1_700_000_000_000_i64, "updatedTime": 1_700_000_000_000_i64,
        "attributes": {
            "FirstName": attribute("FirstName", word(8)), "LastName": attribute("LastName", word(12)),
            "Email": attribute("Email", format!("{}@example.com", word(14))),
            "Phone": attribute("Phone", word(12)), "City": attribute("City", word(10)),
        },
        "crosswalks": [{ "type": "configuration/sources/CRM", "value": word(18) },
                       { "type": "configuration/sources/ERP", "value": word(18) }],
    })
    .to_string()
}

fn write(random: &mut ChaCha8Rng, number: usize) -> Write {
    let uri = format!("entities/{number:07x}");
    let object = Object::parse(object(random, &uri).as_bytes()).unwrap();
    let version = i64::try_from(number).unwrap();
    Write {
        subject: Subject::new("acme", &uri),
        object_type: "Individual".into(),
        current: None,
        changes: vec![Change {
            id: format!("{number:032x}").into(),
            kind: Kind::Changed,
            version,
            commit_time: 1_700_000_000_000 + version,
            received_time: 1_700_000_000_500 + version,
            state: SubjectState::Alive(Arc::new(object)),
            observed: false,
        }],
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

fn megabytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows: usize = argument("rows", "500000").parse().unwrap();
    let partitions: u16 = argument("partitions", "1").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = json!({
        "url": dir.path(), "keeps_erased_records": true, "memory": argument("memory", "96MiB"),
        "format": argument("format", "parquet"),
    });
    let config: LakeSink = serde_json::from_value(config).unwrap();
    let metrics = Arc::new(Metrics::noop());
    let lake = Lake::open("lake", &config, Arc::new(SystemClock), metrics).unwrap();
    let pieces: Vec<Arc<dyn Pieces>> = (0..partitions)
        .map(|partition| {
            let place = Place {
                partition,
                log: "bench".to_owned(),
                partitions,
            };
            lake.pieces(&place).unwrap()
        })
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let writes: Vec<Write> = (0..KINDS)
        .map(|number| write(&mut random, number))
        .collect();
    let bytes: usize = writes.iter().flat_map(|it| &it.changes).map(size).sum();
    let before = megabytes("VmRSS");
    let (began, mut files) = (Instant::now(), 0_u32);
    let batches = writes.chunks(BATCH).cycle().take(rows / BATCH);
    for (batch, of) in batches.zip(pieces.iter().cycle()) {
        of.gather(batch).await;
        if of.gathered().is_due(&of.limits()) {
            files += land(of.as_ref()).await;
        }
    }
    for of in &pieces {
        files += land(of.as_ref()).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(rows).unwrap()) / seconds;
    let most = megabytes("VmHWM") - before;
    println!(
        "{rate:.0} rows/s of {} bytes in {files} files; {most:.0} MiB more at most than before",
        bytes / KINDS
    );
}

fn size(change: &Change) -> usize {
    match &change.state {
        SubjectState::Alive(object) => object.text().len(),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => 0,
    }
}

async fn land(pieces: &dyn Pieces) -> u32 {
    let Some(seal) = pieces.seal(0) else { return 0 };
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    1
}
