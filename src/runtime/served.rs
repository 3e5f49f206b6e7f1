//! The listeners of sinks that answer others.

use std::net::SocketAddr;

use super::{Instance, Parts, StartError};
use crate::sink::Serving;

/// Starts them.
///
/// # Errors
/// If a port is not to be had; nothing is left running.
pub(super) async fn serve(parts: &Parts) -> Result<Vec<Serving>, StartError> {
    let mut served = Vec::new();
    for (sink, _) in &parts.sinks {
        served.extend(sink.serve().await.map_err(StartError::Refused)?);
    }
    Ok(served)
}

impl Instance {
    /// Where sinks answer others.
    pub fn served(&self) -> impl Iterator<Item = SocketAddr> {
        self.served.iter().map(Serving::address)
    }
}
