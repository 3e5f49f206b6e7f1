//! What can go wrong, and how often it did while work was in flight.

use std::collections::BTreeMap;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// The process is killed; what was on its way to a disk or a target may arrive or not.
    Crash,
    /// The process is stopped in order.
    Stop,
    /// A log append that is not stored.
    AppendLost,
    /// A log append that is stored, and fails.
    AppendStored,
    /// A log read that fails.
    LogRead,
    /// A commit of the store that is not stored.
    StoreLost,
    /// A commit of the store that is stored, and fails.
    StoreStored,
    /// A position that the source does not take.
    SourceCommit,
    /// A position that the source takes, and fails.
    SourceCommitStored,
    /// A request that times out and lands later, or never.
    Timeout,
    /// A write whose answer is lost.
    AnswerLost,
    /// A row that fails while others of its request succeed.
    RowBusy,
    /// A request that the target refuses as a whole.
    Unreachable,
    /// The target asks for a pause.
    Throttled,
    /// A record that the target will not take until it is mended.
    Poison,
    /// A record whose write ends the connection every time.
    Cursed,
    /// A read of the store that fails.
    StoreRead,
    /// A read of Reltio that fails.
    ReadFails,
    /// A read of Reltio that fails for this object alone.
    ReadRejected,
    /// A webhook request whose answer is lost.
    HookAnswerLost,
    /// A sink that refuses everything for a while.
    Outage,
    /// A sink that answers nothing for a while.
    Stuck,
    /// A sink that is wrongly set up for a while.
    Systemic,
    /// Reltio away for a while.
    ReltioOutage,
    /// No room on the disk for a while.
    DiskFull,
    /// The host's clock is set, ahead or back.
    ClockSet,
    /// A record whose write kills the process.
    Kills,
    /// A transaction that the brokers abort.
    TransactionAborted,
    /// A commit whose answer is lost: it was made, or it was not, and neither shows at once.
    TransactionDoubt,
    /// A transaction whose records or offsets take long.
    TransactionSlow,
    /// A question to a changelog that is not answered.
    ChangelogFails,
    /// A record of a changelog that is put, and whose answer is lost.
    PutStored,
    /// A changelog that no one answers for, for a while.
    ChangelogAway,
    /// A changelog whose newest records are not read, for a while.
    ChangelogLags,
    /// An instance stands still.
    Frozen,
    /// A member that was silent for too long is out of its group.
    SessionLost,
    /// A member that gave back too late is out of its group.
    LateDrain,
    /// A partition moves while its store is being restored.
    MovedInRestore,
    /// A write of an instance that has lost the partition.
    ZombieWrite,
    /// A transaction of a member whose generation is over.
    OldGeneration,
    /// An instance that starts with an old disk.
    DiskOld,
    /// An instance that starts with an empty disk.
    DiskLost,
}

impl Fault {
    pub(crate) const BY_CHANCE: [Self; 18] = [
        Self::AppendLost,
        Self::AppendStored,
        Self::LogRead,
        Self::StoreLost,
        Self::StoreStored,
        Self::SourceCommit,
        Self::SourceCommitStored,
        Self::Timeout,
        Self::AnswerLost,
        Self::RowBusy,
        Self::Unreachable,
        Self::Throttled,
        Self::Poison,
        Self::Cursed,
        Self::StoreRead,
        Self::ReadFails,
        Self::ReadRejected,
        Self::HookAnswerLost,
    ];
    pub(crate) const BY_TIME: [Self; 5] = [
        Self::Outage,
        Self::Stuck,
        Self::Systemic,
        Self::ReltioOutage,
        Self::DiskFull,
    ];
    pub(crate) const KAFKA_BY_CHANCE: [Self; 6] = [
        Self::TransactionAborted,
        Self::TransactionDoubt,
        Self::TransactionSlow,
        Self::ChangelogFails,
        Self::PutStored,
        Self::ChangelogLags,
    ];
    pub(crate) const KAFKA_BY_TIME: [Self; 1] = [Self::ChangelogAway];
    /// What there is only among several instances.
    pub(crate) const KAFKA: [Self; 15] = [
        Self::TransactionAborted,
        Self::TransactionDoubt,
        Self::TransactionSlow,
        Self::ChangelogFails,
        Self::PutStored,
        Self::ChangelogAway,
        Self::ChangelogLags,
        Self::Frozen,
        Self::SessionLost,
        Self::LateDrain,
        Self::MovedInRestore,
        Self::ZombieWrite,
        Self::OldGeneration,
        Self::DiskOld,
        Self::DiskLost,
    ];

    /// Every fault of one instance: each must hit while work is in flight, or the run has proved
    /// nothing about it.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Self::Crash, Self::Stop, Self::ClockSet, Self::Kills]
            .into_iter()
            .chain(Self::BY_CHANCE)
            .chain(Self::BY_TIME)
    }
}

/// How often each fault hit: at all, and while work was in flight.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hits(pub(crate) BTreeMap<Fault, (u64, u64)>);

impl Hits {
    pub(crate) fn note(&mut self, fault: Fault, in_flight: bool) {
        let entry = self.0.entry(fault).or_default();
        entry.0 += 1;
        entry.1 += u64::from(in_flight);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (fault, (hits, busy)) in &other.0 {
            let entry = self.0.entry(*fault).or_default();
            entry.0 += hits;
            entry.1 += busy;
        }
    }
}
