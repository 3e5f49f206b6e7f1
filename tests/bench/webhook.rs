//! Webhooks beside a bare axum handler that does the same for one sender: it verifies the signature,
//! writes the body and fsyncs in groups before it answers 200. By turns, in one run, over loopback;
//! the senders are a process of their own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that fails has no result"
)]

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use goldwire::config::Secret;
use goldwire::event::CompletenessConfig;
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use goldwire::webhook::signature::{Key, sign};
use goldwire::webhook::{Handle, serve};
use goldwire::webhook::{RateLimit, SignatureScheme, WebhookListener, WebhookSource};
use hmac::{Hmac, KeyInit as _, Mac as _};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

const SECRET: &str = "a secret of the benchmark";
const SIGNATURE: &str = "x-reltio-signature";
const CONNECTIONS: usize = 64;
const SECONDS: u64 = 4;
const ROUNDS: usize = 7;
const SIZE: usize = 1586;

fn body() -> Vec<u8> {
    let head = r#"{"type":"ENTITY_CHANGED","uri":"entities/1","object":{"uri":"entities/1","x":""#;
    let mut body = head.as_bytes().to_vec();
    body.resize(SIZE - 3, b'x');
    body.extend_from_slice(b"\"}}");
    body
}

// The bare handler.

struct Bare {
    key: Hmac<Sha256>,
    queue: mpsc::Sender<(Bytes, oneshot::Sender<()>)>,
}

async fn take(State(bare): State<Arc<Bare>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|text| text.strip_prefix("sha256="));
    let Some(tag) = signature.and_then(|text| hex::decode(text).ok()) else {
        return StatusCode::UNAUTHORIZED;
    };
    let mut mac = bare.key.clone();
    mac.update(&body);
    if mac.verify_slice(&tag).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let (reply, durable) = oneshot::channel();
    if bare.queue.send((body, reply)).is_err() || durable.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

fn write(mut file: File, queue: &mpsc::Receiver<(Bytes, oneshot::Sender<()>)>) {
    while let Ok(first) = queue.recv() {
        let (mut group, mut bytes) = (vec![first], Vec::new());
        group.extend(queue.try_iter());
        for (body, _) in &group {
            bytes.extend_from_slice(body);
        }
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        for (_, reply) in group {
            reply.send(()).ok();
        }
    }
}

async fn bare(dir: &Path) -> SocketAddr {
    let (queue, bodies) = mpsc::channel();
    let file = File::create(dir.join("bare")).unwrap();
    std::thread::spawn(move || write(file, &bodies));
    let key = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
    let app = Router::new().route("/hook", post(take));
    let app = app.with_state(Arc::new(Bare { key, queue }));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(socket, app).await.unwrap() });
    address
}

async fn goldwire(dir: &Path) -> Handle {
    let journal = Journal::open(JournalSettings {
        dir: dir.join("inbox"),
        partitions: 1,
        quota: 100 << 30,
        disk_reserve: 1 << 20,
        keep: Duration::ZERO,
        segment: 16 << 20,
    });
    let listener = WebhookListener {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        trusted_proxy: None,
        insecure_plain_http: true,
        deadline: "5s".into(),
        connections: 1000,
    };
    let source = WebhookSource {
        path: "/hook".to_owned(),
        scheme: SignatureScheme::Reltio,
        secrets: vec![Secret::new(SECRET)],
        bearer: None,
        rate_limit: RateLimit {
            per_second: 1_000_000,
            burst: 1_000_000,
        },
        max_body: "1MiB".into(),
        entity_types: None,
        event_types: None,
        include_relationships: true,
        completeness: CompletenessConfig::Whole,
    };
    let reader = ManualReader::builder().build();
    let metrics = Metrics::exported(SdkMeterProvider::builder().with_reader(reader).build());
    let endpoints = vec![("hook".to_owned(), source)];
    let (inbox, clock) = (Arc::new(journal.unwrap()), Arc::new(SystemClock));
    serve(&listener, endpoints, inbox, clock, Arc::new(metrics))
        .await
        .unwrap()
}

// The senders.

async fn send(address: SocketAddr, request: Arc<Vec<u8>>, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut accepted, mut answer) = (0, Vec::new());
    while Instant::now() < until {
        stream.write_all(&request).await.unwrap();
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        accepted += 1;
    }
    accepted
}

fn senders(address: SocketAddr) {
    let key = Key::new(SignatureScheme::Reltio, &Secret::new(SECRET)).unwrap();
    let body = body();
    let signature = sign(SignatureScheme::Reltio, &key, "", 0, &body);
    let mut request = format!(
        "POST /hook HTTP/1.1\r\nhost: goldwire\r\ncontent-type: application/json\r\n\
         user-agent: reltio\r\n{SIGNATURE}: {}\r\ncontent-length: {}\r\n\r\n",
        signature.first().unwrap().1,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    let request = Arc::new(request);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let until = Instant::now() + Duration::from_secs(SECONDS);
        let all = (0..CONNECTIONS)
            .map(|_| tokio::spawn(send(address, Arc::clone(&request), until)))
            .collect::<Vec<_>>();
        let mut accepted = 0;
        for one in all {
            accepted += one.await.unwrap();
        }
        println!("{accepted}");
    });
}

/// User and system time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

#[derive(Clone, Copy)]
struct Figure {
    rate: f64,
    micros: f64,
}

fn round(address: SocketAddr) -> Figure {
    let (before, began) = (cpu(), Instant::now());
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own)
        .args(["send", &address.to_string()])
        .output()
        .unwrap();
    let (seconds, wall) = (cpu() - before, began.elapsed().as_secs_f64());
    let text = String::from_utf8(output.stdout).unwrap();
    let accepted: f64 = text.trim().parse().unwrap_or_else(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        panic!("the senders failed: {error}")
    });
    Figure {
        rate: accepted / wall,
        micros: seconds * 1e6 / accepted,
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("send") {
        senders(arguments.next().unwrap().parse().unwrap());
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (bare, goldwire) =
        runtime.block_on(async { (bare(dir.path()).await, goldwire(dir.path()).await) });
    println!(
        "{CONNECTIONS} connections, {SIZE} bytes, {SECONDS} s each; accepted/s, server's CPU µs"
    );
    let (mut rounds, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for number in 0..ROUNDS {
        let figures = [bare, goldwire.address()].map(round);
        let [plain, full] = figures;
        println!(
            "round {number}: bare {:>8.0} {:>6.1}   goldwire {:>8.0} {:>6.1}   ratio {:.3}",
            plain.rate,
            plain.micros,
            full.rate,
            full.micros,
            full.rate / plain.rate
        );
        ratios.push(full.rate / plain.rate);
        for (of, figure) in rounds.iter_mut().zip(figures) {
            of.push(figure);
        }
    }
    let medians = rounds.map(|of| {
        let rate = median(of.iter().map(|figure| figure.rate).collect());
        (
            rate,
            median(of.iter().map(|figure| figure.micros).collect()),
        )
    });
    println!("medians: {medians:.1?}, ratio {:.3}", median(ratios));
    runtime.block_on(goldwire.shutdown(Duration::from_secs(2)));
}
