//! The whole program with a lake sink, killed again and again.

use std::collections::BTreeMap;
use std::path::Path;

use super::{files, number, rows, text};
use crate::process::{each_change_gets_one_row, folder_for, killed_while_webhooks_come};

const SINK: &str =
    "events:\n    lake: { url: lake, keeps_erased_records: true, roll: { rows: 10, age: 1s } }";

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
    let dir = folder_for(SINK, "commit_interval: 50ms");
    let lake = dir.path().join("lake");
    let (taken, _) = killed_while_webhooks_come(dir.path(), 6, || ()).await;
    each_change_gets_one_row(dir.path(), &taken, || changes(&lake)).await;
    assert!(files(&lake).len() > 3);
}
