//! A fake's server on a free port of loopback.

use std::future::IntoFuture as _;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A port that no one answers at yet.
pub(crate) struct Bound {
    listener: TcpListener,
    /// Its address.
    pub(crate) address: SocketAddr,
}

/// A running server; dropped, it stops.
#[derive(Debug)]
pub(crate) struct Served {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Bound {
    /// A free port.
    pub(crate) async fn any() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Answers there from now on.
    pub(crate) fn serve(self, app: Router) -> Served {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(self.listener, app).with_graceful_shutdown(stopped);
        tokio::spawn(server.into_future());
        Served {
            address: self.address,
            stop,
        }
    }
}

impl Served {
    /// What a client's base URL must be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
