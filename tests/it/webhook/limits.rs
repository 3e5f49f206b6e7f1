//! Bounds on bodies, rates and connections (G8).

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use goldwire::config::Networks;
use goldwire::webhook::{RateLimit, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::bench::{Bench, NOW, RELTIO_SECRET, listener, read_to_end, reltio, signed};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_body_over_the_cap_is_answered_413_and_one_at_the_cap_taken() {
    let bench = Bench::with(reltio()).await;
    assert_eq!(
        bench
            .lawful(vec![b'x'; 1 << 20])
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        bench
            .lawful(vec![b'x'; (1 << 20) + 1])
            .send()
            .await
            .unwrap()
            .status(),
        413
    );
    // So much more than socket buffers hold that the sender is in the middle of it.
    assert_eq!(
        bench
            .lawful(vec![b'x'; 24 << 20])
            .send()
            .await
            .unwrap()
            .status(),
        413
    );
    assert_eq!(bench.records().await.len(), 1);
}

#[tokio::test]
async fn a_body_of_unannounced_length_is_cut_at_the_cap() {
    let bench = Bench::with(reltio()).await;
    let mut stream = bench.connect().await;
    let head = "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = [b"40000\r\n".to_vec(), vec![b'x'; 0x40000], b"\r\n".to_vec()].concat();
    for _ in 0..5 {
        stream.write_all(&piece).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_compressed_body_is_stored_as_it_was_before() {
    let bench = Bench::with(reltio()).await;
    let answer = bench
        .lawful(gzip(b"{}"))
        .header("Content-Encoding", "gzip")
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 200);
    let record = bench.records().await.remove(0);
    assert_eq!(record.body, "{}");
    assert!(!record.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn a_gzip_bomb_is_answered_413_and_what_cannot_be_read_415_and_400() {
    let bench = Bench::with(reltio()).await;
    let cases = [
        (gzip(&vec![0; 200 << 20]), "gzip", 413),
        (b"{}".to_vec(), "br", 415),
        (b"{}".to_vec(), "gzip", 400),
    ];
    for (body, encoding, code) in cases {
        let answer = bench
            .lawful(body)
            .header("Content-Encoding", encoding)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), code, "{encoding}");
    }
    assert!(bench.records().await.is_empty());
}

#[tokio::test]
async fn other_methods_and_paths_are_answered_405_and_404() {
    let bench = Bench::with(reltio()).await;
    let got = bench
        .client
        .get(bench.url("/reltio-webhook"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (got.status().as_u16(), &got.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
    let got = bench
        .client
        .post(bench.url("/another"))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), 404);
    // The path is the sender's text: it is no label of a metric.
    let unknown = ("unknown".to_owned(), "false".to_owned(), "404".to_owned());
    assert_eq!(bench.counted()[&unknown], "1");
}

#[tokio::test]
async fn more_than_the_rate_is_answered_429_with_the_time_to_come_again() {
    let mut source = reltio();
    source.rate_limit = RateLimit {
        per_second: 1,
        burst: 2,
    };
    let bench = Bench::with(source).await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = bench.lawful("{}").send().await.unwrap();
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), 200);
    }
    let seconds = refused.expect("a 429").headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_flood_of_strangers_does_not_starve_the_lawful_sender() {
    let mut source = reltio();
    source.rate_limit = RateLimit {
        per_second: 1,
        burst: 5,
    };
    let mut listener = listener();
    listener.trusted_proxy = Some("127.0.0.0/8".into());
    let bench = Bench::start(&listener, vec![("crm".to_owned(), source)])
        .await
        .unwrap();
    let flood = async |from: &str| {
        let mut codes = Vec::new();
        for _ in 0..40 {
            let stranger = bench.client.post(bench.url("/reltio-webhook")).body("{}");
            // Only what the proxy itself appended counts: the rest is the sender's own word.
            let stranger = stranger.header("X-Forwarded-For", format!("192.0.2.9, {from}"));
            codes.push(stranger.send().await.unwrap().status().as_u16());
        }
        codes
    };
    let codes = flood("203.0.113.7").await;
    assert_eq!(codes[0], 401);
    assert!(codes.contains(&429), "{codes:?}");
    let lawful = bench
        .lawful("{}")
        .header("X-Forwarded-For", "192.0.2.9")
        .send()
        .await
        .unwrap();
    assert_eq!(lawful.status(), 200);
    // An address that no one is held off by: behind a proxy that names none.
    let lawful = bench.lawful("{}").send().await.unwrap();
    assert_eq!(lawful.status(), 200);
}

/// Whoever reaches the port can write the header: it is the proxy's word only if the proxy sends it.
#[tokio::test]
async fn what_others_than_the_proxy_say_of_their_address_is_not_believed() {
    let mut source = reltio();
    source.rate_limit = RateLimit {
        per_second: 1,
        burst: 5,
    };
    let mut listener = listener();
    let networks = vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()];
    listener.trusted_proxy = Some(Networks::Several(networks));
    let bench = Bench::start(&listener, vec![("crm".to_owned(), source)])
        .await
        .unwrap();
    let mut codes = Vec::new();
    for number in 0..40 {
        let stranger = bench.client.post(bench.url("/reltio-webhook")).body("{}");
        let stranger = stranger.header("X-Forwarded-For", format!("203.0.113.{number}"));
        codes.push(stranger.send().await.unwrap().status().as_u16());
    }
    assert!(codes.contains(&429), "{codes:?}");
}

#[tokio::test]
async fn the_next_connection_waits_until_one_ends() {
    let mut listener = listener();
    listener.connections = 1;
    let bench = Bench::start(&listener, vec![("crm".to_owned(), reltio())])
        .await
        .unwrap();
    let mut first = bench.connect().await;
    let signature = &signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, b"{}")[0].1;
    let request = format!(
        "POST /reltio-webhook HTTP/1.1\r\nhost: a\r\nx-reltio-signature: {signature}\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    first.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut second = bench.connect().await;
    second.write_all(request.as_bytes()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut answer));
    assert!(
        early.await.is_err(),
        "the second connection is served beside the first"
    );
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
