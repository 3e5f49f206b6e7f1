//! Rules that a test can take out, to see that its oracles miss them.
//!
//! Guarantee: without the feature `mutations`, which only this package's own tests switch on, every
//! [`is`] is `false` at compile time, and nothing of a mutation is left in the program.

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The store notes a delivery before the sink acknowledged it.
    RegisterBeforeSink,
    /// The highest offset seen is committed, whatever is still in flight.
    HighestSeenCommitted,
    /// A dead letter that could not be stored counts as written.
    LetterErrorIgnored,
    /// A redriven record does not pass the fence.
    RedriveUnfenced,
    /// A redrive closes the letter of another round than its own.
    OtherRoundClosed,
    /// A webhook is answered 200 before its append.
    AnsweredBeforeAppend,
    /// A row that its target refused counts as delivered, because its request succeeded.
    PartialFailureAcknowledged,
    /// The loser of a merge gets the winner's version.
    LoserInheritsVersion,
    /// A delta is taken for the object.
    DeltaApplied,
    /// The version alone decides.
    OneClockDecides,
    /// Commit times of two nodes are compared as if their clocks were one.
    SkewIgnored,
    /// What a read may have seen already is applied by its clocks.
    SinceIgnored,
    /// Reltio is read at once.
    ReadTooEarly,
    /// Records that wait for a read are completed before it is delivered.
    CoalescedCompletedAlone,
    /// A write that may still land is forgotten.
    LateWriteIgnored,
    /// The change that the sink has is applied again.
    DuplicateApplied,
    /// Records are read whatever is in flight.
    BackPressureIgnored,
    /// All sinks wait behind one gate.
    GateShared,
    /// A source's position passes a record as soon as it is read.
    PositionBeforeAppend,
    /// Any delivery closes every letter of its subject.
    AnyLetterSuperseded,
    /// A newer record of a dead subject is applied without a read.
    DeadLivesAgain,
    /// A death that is older than what lives is stale.
    LateDeathIgnored,
    /// A task goes on after its partition was lost.
    EpochUnchecked,
    /// The store is changed before the transaction is committed.
    StoreAheadOfChangelog,
    /// The group's offset is fetched after the changelog was restored.
    OffsetAfterRestore,
    /// What is left of a partition that was given back enters a later transaction.
    RevokedInTransaction,
    /// What an aborted transaction had is not in the next.
    AbortedNotCarried,
    /// A piece lands before its commit is prepared.
    PieceUnprepared,
    /// Every instance uses all of a target's quota.
    QuotaNotDivided,
}

#[cfg(feature = "mutations")]
mod switch {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static BROKEN: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Breaks one rule on this thread, or none.
    pub fn set(mutation: Option<Mutation>) {
        BROKEN.with(|broken| broken.set(mutation));
    }

    /// Whether the rule is broken on this thread.
    pub(crate) fn is(mutation: Mutation) -> bool {
        BROKEN.with(|broken| broken.get() == Some(mutation))
    }
}

#[cfg(feature = "mutations")]
pub(crate) use switch::is;
#[cfg(feature = "mutations")]
pub use switch::set;

/// Whether the rule is broken: never.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn is(_: Mutation) -> bool {
    false
}
