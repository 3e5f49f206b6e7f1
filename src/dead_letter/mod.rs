//! Dead letters: what could not be delivered, with all that is needed to try it again.
//!
//! Guarantee (G2): a record counts as dead-lettered when its letter is durable, not before.
//! Letters are keyed by event id, sink and round, so writing one twice is writing it once.
//! Guarantee (G1): a letter is closed by a redrive only after the record is durable in its log
//! again. A crash between the two appends it twice, which the fence and the keys make one effect.

mod filter;
mod headers;
mod letters;
mod name;
mod redrive;
mod stored;
pub mod topic;
mod view;
mod write;

pub use crate::event::proto::DeadLetter;
pub use filter::Filter;
pub use headers::headers;
pub use letters::{DeadLetters, LARGEST_PAGE, Page, StoredLetters};
pub use name::LetterName;
pub use redrive::{Redrive, RedriveError, Report, Skipped, Work};
pub use stored::{close, put};
pub use view::LetterView;
pub(crate) use write::write;

/// What stands for ingest wherever a person reads or writes a sink's name.
pub const INGEST: &str = "ingest";

/// The reason that is shown for a letter which this version cannot read. Its record's bytes are
/// not known; it can be discarded, or read by the version that wrote it.
pub const UNREADABLE: &str = "unreadable_letter";

/// A sink's name for people: ingest's letters have none.
pub(crate) fn shown_sink(sink: &str) -> &str {
    if sink.is_empty() { INGEST } else { sink }
}

/// The sink of a name that a person wrote.
pub(crate) fn stored_sink(sink: &str) -> &str {
    if sink == INGEST { "" } else { sink }
}
