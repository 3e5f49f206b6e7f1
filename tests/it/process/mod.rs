//! The whole program as a process, with everything that can happen to one.

mod admin;
mod bad_input;
mod demo;
mod ends;
mod modes;
mod newcomer;
mod refusals;
pub(crate) mod running;
pub(crate) mod sender;
mod tmpfs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;
use tokio::time::Instant;

use running::Running;
use sender::{SECRET, Sender, Stream, event};

/// No condition in these tests is waited for longer.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// Waits until `holds`.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts the program, sends webhooks and kills it, so many times; something may happen to its files
/// `between` the lives. What was answered, and what of the last life was not.
pub(crate) async fn killed_while_webhooks_come(
    dir: &Path,
    rounds: usize,
    mut between: impl FnMut(),
) -> (BTreeSet<(String, i64)>, BTreeSet<(String, i64)>) {
    let stream = Arc::new(Stream::default());
    let (mut taken, mut again) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=rounds {
        let running = Running::start(dir).await;
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
        between();
    }
    (taken, again)
}

/// Starts the program again after it was killed: each change that was answered gets one row at the
/// target, where `rows` counts them by subject and version; and a copy of it none (G5).
pub(crate) async fn each_change_gets_one_row(
    dir: &Path,
    taken: &BTreeSet<(String, i64)>,
    rows: impl Fn() -> BTreeMap<(String, i64), usize>,
) {
    let running = Running::start(dir).await;
    until("everything has its row", async || {
        running.lag("goldwire.events").await == 0
            && running.lag("goldwire.inbox").await == 0
            && taken.iter().all(|change| rows().contains_key(change))
    })
    .await;
    running.stop().await;
    let before = rows();
    let twice: Vec<_> = before.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");

    let running = Running::start(dir).await;
    let sender = Sender::to(running.webhooks);
    for (uri, version) in taken {
        let body = event(uri, *version, "Ada").to_string();
        assert_eq!(sender.send(body).await, Some(200));
    }
    running.stop().await;
    assert_eq!(rows(), before, "copies are no rows");
}

/// A folder with a configuration: one webhook source, one warehouse at `url`.
fn folder_with(url: &str) -> TempDir {
    folder_for(
        &format!("lake:\n    warehouse: {{ url: \"{url}\" }}"),
        "drain_timeout: 20s, retry: { attempts: 2, first: 10ms, longest: 50ms }",
    )
}

/// A folder with a configuration: one webhook source, one sink, and what is said of delivery.
pub(crate) fn folder_for(sink: &str, delivery: &str) -> TempDir {
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
  {sink}
log: {{ partitions: 2, disk_reserve: 1MiB }}
delivery: {{ {delivery} }}
admin: {{ address: 127.0.0.1:0 }}
"
    );
    std::fs::write(dir.path().join("goldwire.yaml"), config).unwrap();
    dir
}

fn folder() -> TempDir {
    folder_with("sqlite:lake.db")
}

/// As [`folder`], with the store in this engine.
fn folder_on(store: &str) -> TempDir {
    let dir = folder();
    let path = dir.path().join("goldwire.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("store: {store}\n{text}")).unwrap();
    dir
}

/// Subjects and versions in the history of the warehouse, sorted; empty without one.
async fn history(dir: &Path) -> Vec<(String, i64)> {
    let file = dir.join("lake.db");
    if !file.exists() {
        return Vec::new();
    }
    let sql = "SELECT subject, version FROM golden_record_history ORDER BY 1, 2";
    let mut link = connect(&file).await;
    // The tables come with the first delivery.
    let rows = sqlx::query(sql).fetch_all(&mut link).await;
    let pair = |row: &sqlx::sqlite::SqliteRow| (row.get(0), row.get(1));
    rows.unwrap_or_default().iter().map(pair).collect()
}

/// Waits until all of `sent` is in the history, each once.
async fn arrives(dir: &Path, sent: &BTreeSet<(String, i64)>) {
    until("everything is in the warehouse", async || {
        let rows: BTreeSet<_> = history(dir).await.into_iter().collect();
        sent.is_subset(&rows)
    })
    .await;
    all_distinct(&history(dir).await);
}

fn all_distinct(rows: &[(String, i64)]) {
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "{rows:?}");
}

async fn connect(file: &Path) -> SqliteConnection {
    let url = format!("sqlite:{}", file.display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Runs SQL beside the sink.
pub(crate) async fn execute(file: &Path, sql: &str) {
    let mut link = connect(file).await;
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    sql.execute(&mut link).await.unwrap();
}
