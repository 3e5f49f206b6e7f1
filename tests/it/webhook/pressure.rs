//! Many at once, a disk that hangs, a disk that is full: an answer within INT-004's five seconds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bench::{Bench, listener, reltio, until};

const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// Sends so many bodies at once; the codes that came, each within five seconds by our clock.
async fn storm(
    bench: &Bench,
    requests: usize,
    body: impl Fn(usize) -> Vec<u8>,
) -> Vec<(usize, u16)> {
    let mut clients = JoinSet::new();
    for number in 0..requests {
        let request = bench.lawful(body(number));
        clients.spawn(async move {
            let began = Instant::now();
            let code = request.send().await.unwrap().status().as_u16();
            let took = began.elapsed();
            assert!(took < FIVE_SECONDS, "answered {code} after {took:?}");
            (number, code)
        });
    }
    clients.join_all().await
}

/// G1, and INT-004 section 3.2: "return 200 within 5 seconds".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_are_answered_in_time_and_what_got_200_is_in_the_inbox() {
    let bench = Bench::with(reltio()).await;
    let codes = storm(&bench, 1000, |number| format!(r#"{{"n":{number}}}"#).into()).await;
    assert!(codes.iter().all(|(_, code)| *code == 200), "{codes:?}");
    let mut kept: Vec<_> = bench
        .records()
        .await
        .into_iter()
        .map(|record| record.body)
        .collect();
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_hangs_every_answer_is_503_in_time_and_after_it_200() {
    let bench = Bench::with(reltio()).await;
    bench.inbox.stalled.send_replace(true);
    let codes = storm(&bench, 100, |_| b"{}".to_vec()).await;
    assert!(codes.iter().all(|(_, code)| *code == 503), "{codes:?}");
    assert!(bench.records().await.is_empty());
    bench.inbox.stalled.send_replace(false);
    // What was on its way goes in by itself; sent again, it has one effect downstream.
    until("the appends under way", || bench.inbox.range_end() == 100).await;
    assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 200);
}

/// G8: what hangs is bounded, and beyond it the answer does not wait for the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_hanging_disk_is_bounded_in_memory() {
    let mut source = reltio();
    source.max_body = "8MiB".into();
    let bench = Bench::with(source).await;
    bench.inbox.stalled.send_replace(true);
    let codes = storm(&bench, 16, |_| vec![b'x'; 8 << 20]).await;
    assert!(codes.iter().all(|(_, code)| *code == 503), "{codes:?}");
    let begun = bench.inbox.begun.load(Ordering::SeqCst);
    assert!((1..8).contains(&begun), "{begun} of 16 bodies are held");
    bench.inbox.stalled.send_replace(false);
    until("the memory is given back", || {
        bench.inbox.range_end() == bench.inbox.begun.load(Ordering::SeqCst) as u64
    })
    .await;
    assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_full_inbox_is_answered_503_until_there_is_room() {
    let bench = Bench::with(reltio()).await;
    bench.inbox.full.store(true, Ordering::SeqCst);
    let signs = bench.handle.signs();
    assert_eq!(signs.trouble(), None);
    let answer = bench.lawful("{}").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "5");
    assert!(signs.trouble().unwrap().contains("the log is full"));
    bench.inbox.full.store(false, Ordering::SeqCst);
    assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 200);
    assert_eq!(signs.trouble(), None);
    assert_eq!(bench.records().await.len(), 1);
}

/// The sender goes away before its answer: the append is not cut off half-way.
#[tokio::test]
async fn an_append_outlives_its_request() {
    let mut listener = listener();
    listener.deadline = "200ms".into();
    let bench = Bench::start(&listener, vec![("crm".to_owned(), reltio())])
        .await
        .unwrap();
    bench.inbox.stalled.send_replace(true);
    assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 503);
    bench.inbox.stalled.send_replace(false);
    until("the append", || bench.inbox.range_end() == 1).await;
}
