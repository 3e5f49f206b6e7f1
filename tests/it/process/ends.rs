//! The end of a process, in order and not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::running::Running;
use super::sender::{Sender, Stream};
use super::{
    all_distinct, arrives, connect, folder, folder_on, history, killed_while_webhooks_come, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_sigterm_drains_and_what_was_answered_is_in_the_warehouse() {
    let dir = folder();
    let running = Running::start(dir.path()).await;
    let (sender, stream) = (Sender::to(running.webhooks), Arc::new(Stream::default()));
    let sending = {
        let stream = Arc::clone(&stream);
        tokio::spawn(async move { stream.run(&sender, 8, BTreeSet::new()).await })
    };
    until("webhooks come in", async || {
        stream.taken.load(Ordering::SeqCst) >= 100
    })
    .await;
    running.terminate();
    let told = Instant::now();
    let (code, said) = running.end().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(told.elapsed() < Duration::from_secs(20), "{said}");
    let (taken, _) = sending.await.unwrap();
    let rows = history(dir.path()).await;
    let missing: Vec<_> = taken.iter().filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{said}");
    all_distinct(&rows);
    assert!(!said.contains("goes on at the next start"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_process_at_once() {
    let dir = folder();
    let config = dir.path().join("goldwire.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("timeout: 20s", "timeout: 4m")).unwrap();
    let running = Running::start(dir.path()).await;
    // The warehouse's file is held by another, so the drain would last.
    let sender = Sender::to(running.webhooks);
    sender.good("entities/before").await;
    arrives(
        dir.path(),
        &BTreeSet::from([("entities/before".to_owned(), 1)]),
    )
    .await;
    let mut link = connect(&dir.path().join("lake.db")).await;
    sqlx::query("BEGIN EXCLUSIVE")
        .execute(&mut link)
        .await
        .unwrap();
    sender.good("entities/held").await;
    running.terminate();
    until("it stops", async || running.said().contains("stopping")).await;
    running.terminate();
    let (code, said) = running.end().await;
    assert_eq!(code, Some(75), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g5_killed_again_and_again_everything_answered_arrives_once_on_sled() {
    arrives_once_though_killed("sled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g5_killed_again_and_again_everything_answered_arrives_once_on_fjall() {
    arrives_once_though_killed("fjall").await;
}

async fn arrives_once_though_killed(store: &str) {
    let dir = folder_on(store);
    let (taken, again) = killed_while_webhooks_come(dir.path(), 4, || ()).await;
    assert!(taken.len() >= 240);
    let running = Running::start(dir.path()).await;
    arrives(dir.path(), &taken).await;
    assert!(running.letters().await.letters.is_empty());
    let said = running.stop().await;
    // What was cut off was not answered, but may have been stored: nothing else is there.
    let rows: BTreeSet<_> = history(dir.path()).await.into_iter().collect();
    assert!(
        rows.difference(&taken).all(|row| again.contains(row)),
        "{said}"
    );
}
