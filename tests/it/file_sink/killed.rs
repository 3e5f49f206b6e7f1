//! The whole program with a file sink, killed again and again.

use std::collections::BTreeMap;
use std::path::Path;

use super::{files, lines};
use crate::process::running::Running;
use crate::process::sender::{Sender, event};
use crate::process::{folder_for, killed_while_webhooks_come, until};

const SINK: &str = "events:\n    file: { dir: events, keeps_erased_records: true, roll: 8KiB }";

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
    let dir = folder_for(SINK, "commit_interval: 50ms");
    let events = dir.path().join("events");
    let between = || {
        // What a power cut may leave besides, where anything is there already.
        if let Some(newest) = files(&events).last() {
            let mut text = std::fs::read(newest).unwrap();
            text.extend_from_slice(b"{\"id\":\"torn");
            std::fs::write(newest, text).unwrap();
        }
    };
    let (taken, _) = killed_while_webhooks_come(dir.path(), 4, between).await;
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
