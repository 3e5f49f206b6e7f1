//! A bare axum handler: it verifies the signature, writes the body and fsyncs in groups before it
//! answers 200.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{SECRET, SIGNATURE};

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

/// Serves until the end of the process; its file is in `dir`.
pub(crate) async fn serve(dir: &Path) -> SocketAddr {
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
