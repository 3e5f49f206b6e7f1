//! Hostile input: one function a surface. Each takes any bytes and panics if what must be true of
//! whatever goldwire makes of them is not.
//!
//! They are a library of the fuzz targets beside it, and a module of the ordinary tests, which
//! call them with every file of `corpus`.

mod config;
mod decode;
mod envelope;
mod journal;
mod message;
mod signature;

pub use config::config;
pub use decode::decode;
pub use envelope::envelope;
pub use journal::journal;
pub use signature::signature;
