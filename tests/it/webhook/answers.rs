//! Slow senders.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::bench::{Bench, listener, read_to_end, reltio};

async fn quick(deadline: &str) -> Bench {
    let mut listener = listener();
    listener.deadline = deadline.into();
    Bench::start(&listener, vec![("crm".to_owned(), reltio())])
        .await
        .unwrap()
}

#[tokio::test]
async fn a_body_that_trickles_in_is_answered_503_at_the_deadline() {
    let bench = quick("300ms").await;
    let mut stream = bench.connect().await;
    let head = "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    loop {
        match timeout(Duration::from_millis(20), stream.read_exact(&mut answer)).await {
            Ok(read) => break assert!(read.is_ok()),
            Err(_) => stream.write_all(b"x").await.unwrap(),
        }
    }
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn a_head_that_trickles_in_ends_the_connection_at_the_deadline() {
    let bench = quick("300ms").await;
    let mut stream = bench.connect().await;
    stream
        .write_all(b"POST /reltio-webhook HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let mut byte = [0; 1];
    let ended = async {
        loop {
            match timeout(Duration::from_millis(20), stream.read(&mut byte)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => {}
                Err(_) => drop(stream.write_all(b"x").await),
            }
        }
    };
    timeout(Duration::from_secs(20), ended)
        .await
        .expect("the connection is cut");
}

/// Two requests whose bodies never end: the one that began first is answered first, although its
/// head was finished last.
#[tokio::test]
async fn the_deadline_counts_from_the_first_byte_of_the_head() {
    let bench = quick("3s").await;
    let (mut slow, mut swift) = (bench.connect().await, bench.connect().await);
    slow.write_all(b"POST /reltio-webhook HTTP/1.1\r\nhost: a\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let head = "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{";
    swift.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    slow.write_all(b"content-length: 2\r\n\r\n{").await.unwrap();
    let (mut first, mut second) = ([0; 12], [0; 12]);
    tokio::select! {
        biased;
        read = slow.read_exact(&mut first) => assert!(read.is_ok()),
        _ = swift.read_exact(&mut second) => panic!("the later one is answered first"),
    }
    assert_eq!(&first, b"HTTP/1.1 503");
}

/// curl asks before it sends a large body.
#[tokio::test]
async fn who_asks_before_sending_is_told_to_go_on_or_why_not() {
    let bench = quick("4s").await;
    let head = |length: usize| {
        format!(
            "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    let refused = bench.raw(head(2 << 20).as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let mut stream = bench.connect().await;
    stream.write_all(head(2).as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    stream.read_exact(&mut answer[..12]).await.unwrap();
    assert_eq!(&answer[..12], b"HTTP/1.1 401");
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let bench = quick("4s").await;
    let mut stream = bench.connect().await;
    for _ in 0..3 {
        let request = "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 2048];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("of this endpoint\n"),
            "{answer}"
        );
    }
    stream.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}
