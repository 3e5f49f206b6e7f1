//! Clients with a TLS connection of their own, which they keep, as a sender's pool does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{StreamExt as _, iter};
use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use goldwire::webhook::signature::{Key, sign};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::process::sender::{SECRET, event};

/// INT-004 section 3.2: "return 200 within 5 seconds".
const FIVE_SECONDS: Duration = Duration::from_secs(5);
/// Handshakes at once.
const GREETING: usize = 32;

/// An event's subject and what its request was answered, within five seconds by the client's clock.
pub(super) type Answer = (String, u16);

/// A thousand of them, or so.
pub(super) struct Clients {
    address: SocketAddr,
    tls: TlsConnector,
    open: Vec<TlsStream<TcpStream>>,
}

impl Clients {
    pub(super) fn new(address: SocketAddr, trusted: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
            open: Vec::new(),
        }
    }

    /// Opens connections until there are so many. A handshake in a debug build takes milliseconds
    /// of both sides, and has a deadline of its own: no phase is measured with any.
    async fn connect(&mut self, clients: usize) {
        let (address, tls) = (self.address, &self.tls);
        let missing = clients.saturating_sub(self.open.len());
        let greet = iter(0..missing).map(async |_| {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            tls.connect(name, stream).await.unwrap()
        });
        let greeted: Vec<_> = greet.buffer_unordered(GREETING).collect().await;
        self.open.extend(greeted);
    }

    /// So many clients send an event each, all at once.
    pub(super) async fn storm(&mut self, phase: &str, clients: usize) -> Vec<Answer> {
        self.connect(clients).await;
        let mut sending = JoinSet::new();
        for (number, stream) in self.open.drain(..clients).enumerate() {
            let uri = format!("entities/{phase}-{number}");
            let request = request(&uri);
            sending.spawn(async move {
                let began = Instant::now();
                let (code, stream) = exchange(stream, &request).await;
                let took = began.elapsed();
                assert!(took < FIVE_SECONDS, "{code} after {took:?}");
                ((uri, code), stream)
            });
        }
        let mut answers = Vec::new();
        for (answer, stream) in sending.join_all().await {
            answers.push(answer);
            self.open.extend(stream);
        }
        answers
    }
}

fn request(uri: &str) -> Vec<u8> {
    // The name stands in it twice. An event of more than 4 KiB would be refused before the inbox
    // calls itself full.
    let body = event(uri, 1, &"A".repeat(1000)).to_string();
    let scheme = SignatureScheme::Reltio;
    let key = Key::new(scheme, &Secret::new(SECRET)).unwrap();
    let headers = sign(scheme, &key, "", 0, body.as_bytes());
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = lines.collect::<Vec<_>>().concat();
    let length = body.len();
    let head = format!("POST /hook HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n");
    format!("{head}{headers}\r\n{body}").into_bytes()
}

/// Whether an answer is there, with its body.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// Sends a request and reads its answer; the connection, if it may be kept.
async fn exchange(
    mut stream: TlsStream<TcpStream>,
    request: &[u8],
) -> (u16, Option<TlsStream<TcpStream>>) {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    while !is_whole(&answer) {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(
            read > 0,
            "no answer: {:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    let answer = String::from_utf8(answer).unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let keeps = !answer.to_lowercase().contains("connection: close");
    (code, keeps.then_some(stream))
}
