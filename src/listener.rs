//! Connections: how many there are, and how long one may be quiet.
//!
//! Guarantee (G8): no more connections than configured are open; the next ones wait in the
//! system's queue. A connection on which nothing moves is closed, and so is one that takes longer
//! over the head of a request than the whole request may take.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::http::Version;
use axum_server::{AddrListener, Address, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// How long a connection may be quiet: longer than senders and proxies commonly keep one, so that
/// they close first and no request meets a connection on its way out.
const IDLE: Duration = Duration::from_secs(90);
/// Bytes of a request's head.
const HEAD: usize = 64 << 10;
/// HTTP/2: requests at once on one connection.
const STREAMS: u32 = 128;
/// HTTP/2: bytes of bodies that one connection may send ahead.
const WINDOW: u32 = 256 << 10;

/// Where a connection stands between two requests.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing has come since the last answer.
    Idle,
    /// The head of a request has been coming since then.
    Head(Instant),
    /// A request is being worked on.
    Busy,
    /// HTTP/2: several requests at once, whose heads come whole.
    Multiplexed,
}

/// The other end of a connection, and where the connection stands.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    address: SocketAddr,
    stage: Arc<Mutex<Stage>>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stage: Arc::new(Mutex::new(Stage::Idle)),
        }
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When the first byte of the request came whose head has just been read.
    pub(crate) fn head_read(&self, version: Version) -> Instant {
        let now = Instant::now();
        self.change(|stage| {
            let began = if let Stage::Head(began) = *stage {
                began
            } else {
                now
            };
            if version < Version::HTTP_2 {
                *stage = Stage::Busy;
                began
            } else {
                *stage = Stage::Multiplexed;
                now
            }
        })
    }

    /// The TLS handshake is over: its bytes were no request's.
    pub(crate) fn greeted(&self) {
        self.change(|stage| *stage = Stage::Idle);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stage) -> T) -> T {
        change(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn bytes_read(&self, now: Instant) {
        self.change(|stage| {
            if matches!(stage, Stage::Idle) {
                *stage = Stage::Head(now);
            }
        });
    }

    fn bytes_written(&self) {
        self.change(|stage| {
            if !matches!(stage, Stage::Multiplexed) {
                *stage = Stage::Idle;
            }
        });
    }
}

impl Connected<Peer> for Peer {
    fn connect_info(peer: Peer) -> Self {
        peer
    }
}

impl Address for Peer {
    type Stream = Wire;
    type Listener = Door;
}

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Door {
    socket: TcpListener,
    places: Arc<Semaphore>,
    head: Duration,
    closing: CancellationToken,
}

impl Door {
    /// Lets `connections` in at once, with so long for the head of a request, until `closing`.
    pub(crate) fn new(
        socket: TcpListener,
        connections: u32,
        head: Duration,
        closing: CancellationToken,
    ) -> Self {
        let places = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            socket,
            places: Arc::new(Semaphore::new(places)),
            head,
            closing,
        }
    }

    async fn next(&self) -> io::Result<(Wire, Peer)> {
        // The place first: what has none stays in the system's queue.
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, address) = self.socket.accept().await?;
        // A peer that is gone already is no reason to pause at the door.
        stream.set_nodelay(true).ok();
        let peer = Peer::new(address);
        let quiet = Box::pin(tokio::time::sleep(IDLE));
        let moved = Instant::now();
        let wire = Wire {
            stream,
            peer: peer.clone(),
            head: self.head,
            moved,
            quiet,
            _place: place,
        };
        Ok((wire, peer))
    }
}

impl AddrListener<Wire, Peer> for Door {
    async fn bind_to(_: Peer) -> io::Result<Self> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    async fn accept_stream(&self) -> io::Result<(Wire, Peer)> {
        // The server looks for the next connection before it looks whether it is to stop: under
        // steady traffic it would never see it.
        tokio::select! {
            biased;
            () = self.closing.cancelled() => std::future::pending().await,
            next = self.next() => next,
        }
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.socket.local_addr().map(Peer::new)
    }
}

/// A server behind the door, with bounded heads and streams.
pub(crate) fn server(door: Door) -> Server<Peer> {
    let mut server = Server::<Peer>::from_listener(door);
    // No timers of hyper's: those of `Wire` and the deadline of a request are in their place.
    let http = server.http_builder();
    http.http1().max_buf_size(HEAD);
    http.http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(16 << 10)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    server
}

/// A connection's stream, which ends when nothing moves on it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    peer: Peer,
    head: Duration,
    moved: Instant,
    quiet: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Wire {
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Ready with an error when the connection has been quiet, or at one head, for too long.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let until = match self.peer.change(|stage| *stage) {
            Stage::Head(began) => began + self.head,
            Stage::Idle | Stage::Busy | Stage::Multiplexed => self.moved + IDLE,
        };
        // Set for later only when it has rung: most of the time a connection moves on before, and to
        // set a timer takes a lock that all connections share.
        if self.quiet.deadline() > until {
            self.quiet.as_mut().reset(until);
        }
        loop {
            ready!(self.quiet.as_mut().poll(cx));
            if Instant::now() >= until {
                return Poll::Ready(io::Error::from(io::ErrorKind::TimedOut));
            }
            self.quiet.as_mut().reset(until);
        }
    }

    fn or_quiet<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            self.poll_quiet(cx).map(Err)
        } else {
            polled
        }
    }

    fn wrote(&mut self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(1..))) {
            self.moved = Instant::now();
            self.peer.bytes_written();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.moved = Instant::now();
            self.peer.bytes_read(self.moved);
        }
        self.or_quiet(polled, cx)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&polled);
        self.or_quiet(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(&polled);
        self.or_quiet(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
