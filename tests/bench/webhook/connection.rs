//! What the senders send, and over what.

use std::net::SocketAddr;
use std::sync::Arc;

use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use goldwire::webhook::signature::{Key, sign};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{SECRET, SIGNATURE, SIZE};

fn body() -> Vec<u8> {
    let head = r#"{"type":"ENTITY_CHANGED","uri":"entities/1","object":{"uri":"entities/1","x":""#;
    let mut body = head.as_bytes().to_vec();
    body.resize(SIZE - 3, b'x');
    body.extend_from_slice(b"\"}}");
    body
}

/// A signed request.
pub(crate) fn request() -> Arc<Vec<u8>> {
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
    Arc::new(request)
}

/// A connection that sends one request after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Arc<Vec<u8>>,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn new(address: SocketAddr, request: &Arc<Vec<u8>>) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            request: Arc::clone(request),
            answer: Vec::new(),
        }
    }

    /// Sends the request, and waits until it is accepted.
    pub(crate) async fn send(&mut self) {
        let Self {
            stream,
            request,
            answer,
        } = self;
        stream.write_all(request).await.unwrap();
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(answer).await.unwrap() > 0, "closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}
