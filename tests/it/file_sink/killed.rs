//! The whole program with a file sink, killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{files, lines};
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
    file: {{ dir: events, keeps_erased_records: true, roll: 8KiB }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
delivery: {{ commit_interval: 50ms }}
admin: {{ address: 127.0.0.1:0 }}
"
    );
    std::fs::write(dir.path().join("goldwire.yaml"), config).unwrap();
    dir
}

/// Changes that are there, with the ids of their lines.
fn changes(dir: &Path) -> BTreeMap<(String, i64), Vec<String>> {
    let mut changes = BTreeMap::<_, Vec<_>>::new();
    for line in lines(dir) {
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        let key = (text("subject"), line["version"].as_i64().unwrap());
        changes.entry(key).or_default().push(text("id"));
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_g5_killed_again_and_again_every_change_is_a_line_and_copies_are_none() {
    let dir = folder();
    let events = dir.path().join("events");
    let stream = Arc::new(Stream::default());
    let (mut taken, mut again) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=4 {
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
        // What a power cut may leave besides, where anything is there already.
        if let Some(newest) = files(&events).last() {
            let mut text = std::fs::read(newest).unwrap();
            text.extend_from_slice(b"{\"id\":\"torn");
            std::fs::write(newest, text).unwrap();
        }
    }
    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    sender.good("entities/last").await;
    until("everything has its line", async || {
        running.lag("goldwire.events").await == 0
            && running.lag("goldwire.inbox").await == 0
            && taken
                .iter()
                .all(|change| changes(&events).contains_key(change))
    })
    .await;
    running.stop().await;
    let before = changes(&events);
    // A line that is there twice was in flight at a kill, and says the same id.
    // Each life writes it once at most.
    for ids in before.values() {
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert!(ids.len() <= 5, "{ids:?}");
    }

    let running = Running::start(dir.path()).await;
    let sender = Sender::to(running.webhooks);
    for (uri, version) in &taken {
        let body = event(uri, *version, "Ada").to_string();
        assert_eq!(sender.send(body).await, Some(200));
    }
    running.stop().await;
    assert_eq!(changes(&events), before, "copies are no lines");
    assert!(files(&events).len() > 3);
}
