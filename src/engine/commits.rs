//! What a task has to make durable: registers, ids, closed dead letters, reassertions and the
//! position, together.
//!
//! Guarantee (G3): what is committed is what the sink acknowledged, with the position that it
//! belongs to. A commit that failed is carried by the next tick, not sooner.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::checkpoint::{Checkpoint, CommitBatch, CommitError, Reasserts, Sealed};
use super::subject_letters::names_one_of;
use super::uncommitted::Uncommitted;
use super::witness::Witness;
use super::work::{Refusal, Work};
use crate::event::{ChangeId, Record, Subject};
use crate::sink::Pieces;
use crate::store::ids::Noted;
use crate::store::{Cursor, Register};
use crate::time::Millis;

/// A commit under way: its position, its `reached`, and what came of it.
pub(crate) type Committing = BoxFuture<'static, (u64, u64, Result<(), CommitError>)>;

/// What was acknowledged and is not durable yet.
#[derive(Debug)]
pub(crate) struct Commits {
    checkpoint: Arc<dyn Checkpoint>,
    /// What gathers the rows, where a commit waits for its piece.
    pieces: Option<Arc<dyn Pieces>>,
    /// The commit under way only moves `reached`.
    reaching: bool,
    registers: Uncommitted<Subject, Register>,
    /// Changes that a sink without unique keys has.
    ids: Uncommitted<ChangeId, Noted>,
    /// Subjects that have to be asserted once more, or not any more.
    reassertions: Uncommitted<Subject, Reasserts>,
    /// Start and end dates that lie ahead.
    dates: Vec<(Subject, Millis)>,
    dating: usize,
    closed: Vec<String>,
    closing: usize,
    /// Offsets whose notes are not needed any more.
    forgotten: Vec<u64>,
    forgetting: usize,
    /// Refused writes whose letters wait for the commit under way.
    held: Vec<(Work, Refusal)>,
    /// A record below the position, until a commit has it.
    pub(super) witness: Option<Witness>,
    /// The durable position.
    pub(super) position: u64,
    /// The durable `reached`.
    pub(super) reached: u64,
    /// The last commit failed, which was told.
    pub(super) failing: bool,
}

impl Commits {
    pub(crate) fn new(checkpoint: Arc<dyn Checkpoint>, position: u64) -> Self {
        Self {
            pieces: checkpoint.pieces(),
            reaching: false,
            checkpoint,
            registers: Uncommitted::default(),
            ids: Uncommitted::default(),
            reassertions: Uncommitted::default(),
            dates: Vec::new(),
            dating: 0,
            closed: Vec::new(),
            closing: 0,
            forgotten: Vec::new(),
            forgetting: 0,
            held: Vec::new(),
            witness: None,
            position,
            reached: 0,
            failing: false,
        }
    }

    pub(crate) fn register(&self, subject: &Subject) -> Option<&Register> {
        self.registers.get(subject)
    }

    pub(crate) fn id(&self, id: &ChangeId) -> Option<Noted> {
        self.ids.get(id).copied()
    }

    /// The sink has this of the subject.
    pub(crate) fn put(&mut self, subject: &Subject, register: Register) {
        self.registers.put(subject.clone(), register);
    }

    /// The sink has this change.
    pub(crate) fn put_id(&mut self, id: ChangeId, noted: Noted) {
        self.ids.put(id, noted);
    }

    /// The subject has to be asserted once more, by `record` where Reltio cannot be read.
    pub(crate) fn reassert(&mut self, subject: &Subject, record: Option<Record>) {
        let reasserts = record.map_or(Reasserts::ByRead, |it| Reasserts::By(Box::new(it)));
        self.reassertions.put(subject.clone(), reasserts);
    }

    /// What is not durable yet of that.
    pub(crate) fn reasserts(&self, subject: &Subject) -> Option<&Reasserts> {
        self.reassertions.get(subject)
    }

    /// It has not, any more.
    pub(crate) fn settled(&mut self, subject: &Subject) {
        self.reassertions.put(subject.clone(), Reasserts::Settled);
    }

    /// The subject is something else from `time` on.
    pub(crate) fn put_date(&mut self, subject: &Subject, time: Millis) {
        self.dates.push((subject.clone(), time));
    }

    /// The store is being read: what is committed meanwhile stays visible until [`Self::release`].
    pub(crate) fn hold_visible(&mut self) {
        self.registers.hold();
        self.ids.hold();
    }

    /// A lane of the subject ended, and this was its register. A record that is being looked up
    /// needs it: no register is read from the store for a subject that has a lane.
    pub(crate) fn keep_visible(&mut self, subject: Subject, register: Register) {
        self.registers.keep(subject, register);
    }

    /// What was read from the store is where it belongs.
    pub(crate) fn release(&mut self) {
        self.registers.release();
        self.ids.release();
    }

    /// Notes of what was sent are not needed any more.
    pub(crate) fn forget(&mut self, offsets: impl IntoIterator<Item = u64>) {
        self.forgotten.extend(offsets);
    }

    pub(crate) fn close(&mut self, letters: Vec<String>) {
        self.closed.extend(letters);
    }

    /// Letters that will be written again after they were closed: the next commit leaves them.
    pub(crate) fn reopen(&mut self, letters: &[String]) {
        let later = self.closed.split_off(self.closing.min(self.closed.len()));
        let later = later.into_iter().filter(|one| !names_one_of(one, letters));
        self.closed.extend(later);
    }

    /// Whether the commit under way removes one of `letters`.
    pub(crate) fn is_closing(&self, letters: &[String]) -> bool {
        let mut closing = self.closed.iter().take(self.closing);
        closing.any(|one| names_one_of(one, letters))
    }

    /// A refused write waits for the commit under way.
    pub(crate) fn hold(&mut self, work: Work, refusal: Refusal) {
        self.held.push((work, refusal));
    }

    /// Whether a refused write of the subject waits for the commit under way.
    pub(crate) fn holds(&self, subject: &Subject) -> bool {
        self.held.iter().any(|(work, _)| work.subject == *subject)
    }

    /// Those that waited for the commit that is over.
    pub(crate) fn take_held(&mut self) -> Vec<(Work, Refusal)> {
        std::mem::take(&mut self.held)
    }

    /// Subjects of what is not durable.
    pub(crate) fn unsaved(&self) -> impl Iterator<Item = &Subject> {
        self.registers.keys().chain(self.reassertions.keys())
    }

    /// Entries that wait to be committed.
    pub(crate) fn len(&self) -> usize {
        self.registers.len() + self.ids.len() + self.reassertions.len() + self.dates.len()
    }

    /// Everything that is to be committed now; it stays visible until [`Self::ended`].
    pub(crate) fn batch(&mut self, cursor: Cursor) -> CommitBatch {
        self.closing = self.closed.len();
        self.dating = self.dates.len();
        self.forgetting = self.forgotten.len();
        CommitBatch {
            registers: self.registers.begin(),
            ids: self.ids.begin(),
            reassertions: self.reassertions.begin(),
            dates: self.dates.clone(),
            closed: self.closed.clone(),
            forgotten: self.forgotten.clone(),
            piece: self.seal(cursor.position),
            cursor,
            witness: self.witness,
        }
    }

    fn seal(&self, position: u64) -> Option<Sealed> {
        let seal = self.pieces.as_ref()?.seal(position)?;
        Some(Sealed {
            seal,
            from: self.position,
        })
    }

    /// Starts a commit that moves `reached` and nothing else: what was acknowledged is in a piece
    /// that takes more rows.
    pub(crate) fn reach(&mut self, cursor: Cursor) -> Committing {
        self.reaching = true;
        let (position, reached) = (self.position, cursor.reached);
        let batch = CommitBatch {
            cursor: Cursor { position, ..cursor },
            ..CommitBatch::default()
        };
        let checkpoint = self.checkpoint();
        Box::pin(async move { (position, reached, checkpoint.commit(batch).await) })
    }

    /// Starts a commit.
    pub(crate) fn begin(&mut self, cursor: Cursor) -> Committing {
        let (position, reached) = (cursor.position, cursor.reached);
        let batch = self.batch(cursor);
        let checkpoint = self.checkpoint();
        Box::pin(async move { (position, reached, checkpoint.commit(batch).await) })
    }

    /// A commit ended. After a failure nothing may be taken as stored.
    pub(crate) fn ended(&mut self, position: u64, reached: u64, result: &Result<(), CommitError>) {
        let closing = std::mem::take(&mut self.closing);
        if std::mem::take(&mut self.reaching) {
            self.reached = if result.is_ok() {
                reached
            } else {
                self.reached
            };
        } else if result.is_ok() {
            self.registers.committed();
            self.ids.committed();
            self.reassertions.committed();
            self.closed.drain(..closing.min(self.closed.len()));
            self.dates.drain(..self.dating.min(self.dates.len()));
            let forgetting = self.forgetting.min(self.forgotten.len());
            self.forgotten.drain(..forgetting);
            self.witness = None;
            (self.position, self.reached) = (position, reached);
        }
    }

    /// Where all of it is kept.
    pub(crate) fn checkpoint(&self) -> Arc<dyn Checkpoint> {
        Arc::clone(&self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::StoreCheckpoint;
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn g4_what_is_committed_while_the_store_is_being_read_stays_visible_until_that_is_over() {
        let subject = Subject::new("t", "entities/a");
        let checkpoint = StoreCheckpoint {
            store: Arc::new(MemoryStore::new()),
            sink: "s".to_owned(),
            group: "g".to_owned(),
            partition: 0,
        };
        let mut commits = Commits::new(Arc::new(checkpoint), 0);
        let register = |newest| Register {
            newest,
            ..Register::default()
        };
        let newest = |commits: &Commits| commits.register(&subject).map(|known| known.newest);
        commits.put(&subject, register(1));
        commits.hold_visible();
        commits.batch(Cursor::default());
        commits.ended(0, 0, &Ok(()));
        assert_eq!((newest(&commits), commits.len()), (Some(1), 0));
        commits.put(&subject, register(2));
        assert_eq!(newest(&commits), Some(2));
        commits.batch(Cursor::default());
        commits.ended(0, 0, &Ok(()));
        assert_eq!(newest(&commits), Some(2));
        commits.release();
        assert_eq!(newest(&commits), None);
    }
}
