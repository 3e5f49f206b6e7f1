//! The whole program with a lake sink, killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{files, number, rows, text};
use crate::process::running::Running;
use crate::process::sender::{SECRET, Sender, Stream, event};
use crate::process::until;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "tenant: acme
data_dir: data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook:
    webhook:
      path: /hook
      scheme: reltio
      secrets: [\"{SECRET}\"]
      rate_limit: {{ per_second: 100000, burst: 100000 }}
sinks:
  events:
    lake: {{ url: lake, keeps_erased_records: true, roll: {{ rows: 10, age: 1s }} }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
delivery: {{ commit_interval: 50ms }}
admin: {{ address: 127.0.0.1:0 }}
"
    );
    std::fs::write(dir.path().join("goldwire.yaml"), config).unwrap();
    dir
}

/// Changes that are there, and how often.
fn changes(dir: &Path) -> BTreeMap<(String, i64), usize> {
    let mut changes = BTreeMap::new();
    for row in files(dir).iter().flat_map(|file| rows(file)) {
        let key = (text(&row, "subject"), number(&row, "version"));
        *changes.entry(key).or_default() += 1;
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_g5_killed_again_and_again_every_change_is_one_row() {
    let dir = folder();
    let lake = dir.path().join("lake");
    let stream = Arc::new(Stream::default());
    let (mut taken, mut again) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=6 {
        let running = Running::start(dir.path()).await;
        let sender = Sender::to(running.webhooks);
        let sending = {
            let (stream, again) = (Arc::clone(&stream), std::mem::take(&mut again));
            tokio::spawn(async move { stream.run(&sender, 6, again).await })
        };
        until("webhooks come in", async || {
            stream.taken.load(Ordering::SeqCst) >= round * 60
        })
        .await;
        running.kill().await;
        let (some, not) = sending.await.unwrap();
        taken.extend(some);
        again = not;
    }
    let running = Running::start(dir.path()).await;
    until("everything has its row", async || {
        running.lag("goldwire.events").await == 0
            && running.lag("goldwire.inbox").await == 0
            && taken
                .iter()
                .all(|change| changes(&lake).contains_key(change))
    })
    .await;
    running.stop().await;
    let before = changes(&lake);
    let twice: Vec<_> = before.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");

    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    for (uri, version) in &taken {
        let body = event(uri, *version, "Ada").to_string();
        assert_eq!(sender.send(body).await, Some(200));
    }
    running.stop().await;
    assert_eq!(changes(&lake), before, "copies are no rows");
    assert!(files(&lake).len() > 3);
}
