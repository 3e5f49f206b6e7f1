//! The engine: read → look up → fence → write → commit, a batch at a time.
//!
//! Guarantee (G2, G3): sink acknowledged → registers and position durable, together. Nothing
//! is remembered as done before the sink said so, and no position passes a record without an
//! outcome.

pub mod breaker;
pub mod checkpoint;
mod commits;
mod completion;
mod config;
mod decide;
pub mod deliverer;
mod early;
mod ending;
pub mod fence;
pub mod gate;
mod in_flight;
mod input;
mod isolation;
pub mod landing;
pub mod lane;
mod left_behind;
mod letters;
mod lookup;
mod outbox;
mod outcome;
mod prepared;
mod progress;
mod reach;
mod read_budget;
mod reading;
mod reassert;
mod reassertion;
mod rehearsal;
pub mod retry;
mod rows;
mod scheduler;
mod sending;
mod status;
mod stored;
mod subject_letters;
mod task;
pub mod tracker;
mod uncommitted;
mod witness;
mod work;

pub use config::{Delivery, Retry};
pub(crate) use config::{check, drain_timeout};
pub use isolation::Isolation;
pub use lane::ClockRules;
pub use outcome::Outcome;
pub(crate) use read_budget::{Answered, ReadBudget};
pub(crate) use reading::{read_label, state_of};
pub use rehearsal::{Next, Rehearsal, rehearse};
pub use status::{TaskEnd, TaskStatus};
pub use task::{Context, SinkTask, TaskError, TaskSettings};
