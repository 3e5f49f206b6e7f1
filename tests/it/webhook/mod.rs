//! The webhook listener over real sockets.

mod answers;
mod authentication;
mod backed;
mod bench;
mod certificates;
mod limits;
mod pressure;
mod refusals;
mod transport;
