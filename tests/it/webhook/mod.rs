//! The webhook listener over real sockets.

mod answers;
mod authentication;
mod bench;
mod limits;
mod pressure;
mod transport;
