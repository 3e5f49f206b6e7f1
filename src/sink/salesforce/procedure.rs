//! What a lane does at the CRM, in order: read, look up, free, tell, write, archive.
//!
//! Guarantee (G9): what a record ends as follows from the living entity's present snapshot alone,
//! whatever arrived in whatever order. Merge, unmerge and spawn have no code of their own. Every
//! turn reads first: it may be repeated from the top at any point.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::assertion::Assertion;
use super::duplicate;
use super::ids;
use super::org::{Org, Record, RecordWrite, Table, Written};
use super::plan::bad_crosswalk;
use crate::event::Subject;
use crate::reltio::{Answer, Found, RecordReader, ReltioError, late_enough, settle_wait};
use crate::sink::{Ack, Effect, SinkError, Tell};
use crate::time::{Millis, SharedClock, as_millis};

/// A turn that finds the org changed under it is begun again so often, then left to the retry.
const ROUNDS: u32 = 5;

/// What the procedure works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The org.
    pub org: Arc<dyn Org>,
    /// Reltio, for owners.
    pub reltio: Arc<dyn RecordReader>,
    /// Other entities' lanes.
    pub tell: Arc<dyn Tell>,
    /// Short name of the source whose crosswalks name the org's records.
    pub source: String,
    /// How long after a change a read of Reltio is sure to see it.
    pub settle: Duration,
    /// Whether the org compares the guard.
    pub guarded: bool,
    /// Whether the one record that a duplicate rule names may be taken.
    pub links: bool,
    /// The time.
    pub clock: SharedClock,
    /// What reads of owners came to.
    pub metrics: Arc<crate::telemetry::Metrics>,
}

/// A reconcile is passed on at most so often.
pub const HOPS: u32 = 8;

enum Owner {
    Own,
    Other(String),
    /// Another's, whose lane wrote it last and answers for it: told again, two entities that have
    /// each other's records would go on without end.
    Known,
    Nobody,
}

/// Why a turn ends before its last step.
pub(super) enum Cut {
    /// The guard refused: the record holds something newer.
    Stale,
    /// The org is not as it was read: again, from the top.
    Again(String),
    /// A duplicate rule refused the write because of these records.
    Duplicate(Vec<String>, &'static str),
    /// It failed.
    Failed(SinkError),
}

impl From<SinkError> for Cut {
    fn from(error: SinkError) -> Self {
        Self::Failed(error)
    }
}

/// The records found, by whose they are.
#[derive(Default)]
struct Sorted<'a> {
    mine: Vec<&'a Record>,
    nobodys: Vec<&'a Record>,
    /// Record ids by the entity whose they are.
    others: BTreeMap<String, Vec<String>>,
}

impl Tools {
    /// Makes `assertion` true. `archived` is set as soon as a record was archived, also when the
    /// turn fails afterwards.
    pub async fn assert(
        &self,
        table: &Table,
        assertion: &Assertion,
        archived: &AtomicBool,
    ) -> Result<Ack, SinkError> {
        let mut last = String::new();
        for _ in 0..ROUNDS {
            let effect = match self.round(table, assertion, archived).await {
                Ok(()) => Effect::Delivered,
                Err(Cut::Stale) => Effect::Stale,
                Err(Cut::Again(code)) => {
                    last = code;
                    continue;
                }
                Err(Cut::Duplicate(records, action)) => {
                    return Err(duplicate::refusal(records, action));
                }
                Err(Cut::Failed(error)) => return Err(error),
            };
            let second_look = archived.load(Ordering::Relaxed);
            return Ok(Ack {
                effect,
                second_look,
                read: None,
            });
        }
        Err(SinkError::Retryable {
            code: last,
            ambiguous: false,
            outage: false,
        })
    }

    async fn round(
        &self,
        table: &Table,
        assertion: &Assertion,
        archived: &AtomicBool,
    ) -> Result<(), Cut> {
        let types = self.org.field_types(table).await?;
        let found = self.org.find(table, assertion.sought()).await?;
        let mut sorted = self.sort(assertion, &found).await?;
        for record in sorted.mine.iter().filter(|it| assertion.takes(it)) {
            // It needs another record, and no event of its own tells it so.
            let home = record.home.clone().unwrap_or_default();
            let taken = sorted.others.entry(home).or_default();
            taken.push(record.id.clone());
        }
        let chosen = assertion.choose(&sorted.mine);
        if chosen.is_none() && assertion.alive.as_ref().is_some_and(|it| it.doubtful) {
            return Err(Cut::Failed(bad_crosswalk()));
        }
        // 1: the external id comes off whatever is not the chosen one.
        let entity = Some(assertion.subject.uri());
        let bears = found
            .iter()
            .filter(|record| record.ext.as_deref() == entity);
        for record in bears.filter(|it| chosen.is_none_or(|chosen| chosen.id != it.id)) {
            self.put(table, assertion.free(record)).await?;
        }
        // 2: another's is told to its lane, durably, before this turn completes.
        self.tell_others(assertion, &sorted.others).await?;
        // 3: the chosen one.
        let mut into = chosen.map(|record| record.id.clone());
        if let Some(write) = assertion.chosen_write(chosen, &types, self.guarded) {
            into = Some(match self.put(table, write).await {
                Err(Cut::Duplicate(records, _)) if chosen.is_none() && self.links => {
                    self.link(table, assertion, records, archived).await?
                }
                written => written?,
            });
        }
        // 4: the others.
        let rest = sorted
            .mine
            .into_iter()
            .filter(|it| into.as_ref() != Some(&it.id));
        let rest = rest.map(|record| (record, into.clone(), None));
        let nobodys = sorted
            .nobodys
            .into_iter()
            .map(|it| (it, None, assertion.blank.as_ref()));
        for (record, into, blank) in rest.chain(nobodys) {
            if let Some(write) = assertion.archive(record, into, blank, &types) {
                // Set before the answer: a write whose answer is lost may have archived too.
                let before = archived.swap(true, Ordering::Relaxed);
                let written = self.put(table, write).await;
                if matches!(written, Err(Cut::Stale)) {
                    archived.store(before, Ordering::Relaxed);
                }
                written?;
            }
        }
        Ok(())
    }

    pub(super) async fn put(&self, table: &Table, write: RecordWrite) -> Result<String, Cut> {
        let action = write.action;
        match self.org.write(table, write).await? {
            Written::Done(id) => Ok(id),
            Written::Stale => Err(Cut::Stale),
            Written::Moved(code) => Err(Cut::Again(code)),
            Written::Duplicate(records) => Err(Cut::Duplicate(records, action)),
        }
    }

    async fn sort<'a>(
        &self,
        assertion: &Assertion,
        found: &'a [Record],
    ) -> Result<Sorted<'a>, SinkError> {
        let mut sorted = Sorted::default();
        for record in found {
            match self.owner(assertion, record).await? {
                Owner::Own => sorted.mine.push(record),
                Owner::Known => {}
                Owner::Nobody => sorted.nobodys.push(record),
                Owner::Other(uri) => {
                    sorted
                        .others
                        .entry(uri)
                        .or_default()
                        .push(record.id.clone());
                }
            }
        }
        Ok(sorted)
    }

    async fn tell_others(
        &self,
        assertion: &Assertion,
        others: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), SinkError> {
        let hops = assertion.hops.saturating_add(1);
        if hops > HOPS && !others.is_empty() {
            tracing::warn!(hops, "a reconcile was passed on too often and is dropped");
            self.metrics.reconcile_dropped();
            return Ok(());
        }
        for (owner, records) in others {
            let owner = Subject::new(assertion.subject.tenant(), owner);
            self.tell.tell(&owner, hops, records).await?;
        }
        Ok(())
    }

    /// When a read of Reltio is sure to see what the assertion is about: waits until then.
    pub(super) async fn settled(&self, assertion: &Assertion) -> Millis {
        tokio::time::sleep(settle_wait(self.clock.now(), assertion.newest, self.settle)).await;
        assertion.newest.saturating_add(as_millis(self.settle))
    }

    async fn owner(&self, assertion: &Assertion, record: &Record) -> Result<Owner, SinkError> {
        let entity = assertion.subject.uri();
        let home = assertion.is_home(record);
        if assertion.names(record) || home && assertion.is_undisputed(record) {
            return Ok(Owner::Own);
        }
        let settled = self.settled(assertion).await;
        let namer = self.namer(record, settled).await?;
        if home {
            // Only a crosswalk takes it from the living entity that it was created for.
            return Ok(match namer.filter(|uri| uri != entity) {
                Some(uri) if assertion.knows(record, &uri) => Owner::Known,
                Some(uri) => Owner::Other(uri),
                None => Owner::Own,
            });
        }
        let owner = match namer {
            Some(uri) => Some(uri),
            None => self.survivor(record, settled).await?,
        };
        Ok(match owner {
            // An entity that the snapshot says is dead owns nothing.
            Some(uri) if uri == entity && assertion.alive.is_none() => Owner::Nobody,
            Some(uri) if uri == entity => Owner::Own,
            Some(uri) => Owner::Other(uri),
            None => Owner::Nobody,
        })
    }

    /// The living entity with a crosswalk that names `record`.
    pub(super) async fn namer(
        &self,
        record: &Record,
        due: Millis,
    ) -> Result<Option<String>, SinkError> {
        let settle = as_millis(self.settle);
        // Reltio compares with case, and has the id as the source wrote it.
        for value in ids::spellings(&record.id) {
            let look_up = || self.reltio.by_crosswalk(&self.source, &value);
            let answer = late_enough(due, settle, look_up).await;
            if let Some(uri) = self.living(answer, None)? {
                return Ok(Some(uri));
            }
        }
        Ok(None)
    }

    /// What became of the entity that `record` was created for.
    async fn survivor(&self, record: &Record, due: Millis) -> Result<Option<String>, SinkError> {
        let settle = as_millis(self.settle);
        let Some(home) = &record.home else {
            return Ok(None);
        };
        let answer = late_enough(due, settle, || self.reltio.read(home)).await;
        self.living(answer, Some(home))
    }

    fn living(
        &self,
        answer: Result<Answer, ReltioError>,
        asked: Option<&str>,
    ) -> Result<Option<String>, SinkError> {
        let answer = answer.map_err(|error| {
            let refused = matches!(error, ReltioError::Refused { .. });
            let label = if refused { "refused" } else { "failed" };
            self.metrics.read("owner", label);
            sink_error(&error)
        })?;
        let (label, object) = match answer.found {
            Found::Alive(object) => ("found", Some(object)),
            Found::Survivor(object) => ("survivor", Some(object)),
            Found::Nothing => ("nothing", None),
        };
        self.metrics.read("owner", label);
        Ok(object.and_then(|object| object.uri().or(asked).map(ToOwned::to_owned)))
    }
}

/// What a failed read of Reltio means for the delivery that needs it: it waits, and spends no
/// attempt, unless Reltio cannot answer for this one record.
pub(super) fn sink_error(error: &ReltioError) -> SinkError {
    match error {
        ReltioError::Rejected { code } => SinkError::Rejected {
            code: format!("reltio_{code}"),
            fields: Vec::new(),
            action: "look up",
        },
        ReltioError::Unavailable { code } | ReltioError::Refused { code, .. } => {
            tracing::warn!("{error}; the delivery waits");
            SinkError::Retryable {
                code: format!("reltio_{code}"),
                ambiguous: false,
                outage: true,
            }
        }
    }
}
