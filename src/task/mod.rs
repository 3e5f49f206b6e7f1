//! The engine: read → route → fence → lane → turn → commit.
//!
//! Guarantee (G2, G3): sink acknowledged → ledger entries and position durable, together. Nothing
//! is remembered as done before the sink said so, and no position passes a record without an
//! outcome.

mod ahead;
mod answers;
pub mod attempt;
pub mod breaker;
mod checkpoint;
pub mod commit;
mod ends;
pub mod fence;
mod fresh;
pub mod gate;
pub mod lane;
mod lanes;
mod letters;
mod load;
mod progress;
pub mod retry;
mod rows;
mod sink_task;
pub mod tracker;
mod turn;
mod unsettled;

pub(crate) use answers::{Answered, Answers};
pub use checkpoint::TaskEnd;
pub(crate) use commit::store_blocking;
pub use lane::ClockRules;
pub use sink_task::{SinkTask, TaskError, TaskSettings, TaskStatus};
pub use turn::Context;
pub(crate) use turn::{read_label, state_of};
