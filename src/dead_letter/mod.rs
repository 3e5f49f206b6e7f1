//! Dead letters: what could not be delivered, with all that is needed to try it again.
//!
//! Guarantee (G2): a record counts as dead-lettered when its letter is durable, not before.
//! Letters are keyed by event id, sink and round, so writing one twice is writing it once.

mod write;

pub use crate::event::proto::DeadLetter;
pub(crate) use write::write;
