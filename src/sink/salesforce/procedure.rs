//! What a lane does at the CRM, in order (`CRM.md`): read, look up, free, tell, write, archive.
//!
//! Guarantee (G9): what a record ends as follows from the living entity's present snapshot alone,
//! whatever arrived in whatever order. Merge, unmerge and spawn have no code of their own. Every
//! turn reads first: it may be repeated from the top at any point.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::assertion::Assertion;
use super::ids;
use super::org::{Org, Record, Table, Written};
use crate::event::Subject;
use crate::reltio::{Answer, Found, Golden, ReltioError};
use crate::sink::{Delivered, Effect, SinkError, Tell};
use crate::time::{SharedClock, as_millis, until};

/// A turn that finds the org changed under it is begun again so often, then left to the retry.
const ROUNDS: u32 = 5;

/// What the procedure works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The org.
    pub org: Arc<dyn Org>,
    /// Reltio, for owners.
    pub golden: Arc<dyn Golden>,
    /// Other entities' lanes.
    pub tell: Arc<dyn Tell>,
    /// Short name of the source whose crosswalks name the org's records.
    pub source: String,
    /// How long after a change a read of Reltio is sure to see it.
    pub settle: Duration,
    /// Whether the org compares the guard.
    pub guarded: bool,
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
    Nobody,
}

enum Round {
    Over(Effect),
    Again(String),
}

impl Tools {
    /// Makes `assertion` true. `archived` is set as soon as a record was archived, also when the
    /// turn fails afterwards.
    pub async fn assert(
        &self,
        table: &Table,
        assertion: &Assertion,
        archived: &AtomicBool,
    ) -> Result<Delivered, SinkError> {
        let mut last = String::new();
        for _ in 0..ROUNDS {
            match self.round(table, assertion, archived).await? {
                Round::Over(effect) => {
                    let second_look = archived.load(Ordering::Relaxed);
                    return Ok(Delivered {
                        effect,
                        second_look,
                    });
                }
                Round::Again(code) => last = code,
            }
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
    ) -> Result<Round, SinkError> {
        let entity = assertion.subject.uri();
        let found = self.org.find(table, assertion.sought()).await?;
        let (mut mine, mut nobodys, mut told) = (Vec::new(), Vec::new(), BTreeMap::new());
        for record in &found {
            match self.owner(assertion, record).await? {
                Owner::Own => mine.push(record),
                Owner::Nobody => nobodys.push(record),
                Owner::Other(uri) => {
                    let named: &mut Vec<String> = told.entry(uri).or_default();
                    named.push(record.id.clone());
                }
            }
        }
        let chosen = assertion.choose(&mine);
        let is_chosen = |record: &Record| chosen.is_some_and(|chosen| chosen.id == record.id);
        // 1: the external id comes off whatever is not the chosen one.
        for record in found
            .iter()
            .filter(|it| it.ext.as_deref() == Some(entity) && !is_chosen(it))
        {
            match self.org.write(table, assertion.free(record)).await? {
                Written::Done(_) => {}
                Written::Stale => return Ok(Round::Over(Effect::Stale)),
                Written::Moved(code) => return Ok(Round::Again(code)),
            }
        }
        // 2: another's is told to its lane, durably, before this turn completes.
        for (owner, records) in &told {
            let hops = assertion.hops.saturating_add(1);
            if hops > HOPS {
                tracing::warn!(hops, "a reconcile was passed on too often and is dropped");
                continue;
            }
            let owner = Subject::new(assertion.subject.tenant(), owner);
            self.tell.tell(&owner, hops, records).await?;
        }
        // 3: the chosen one.
        let mut into = chosen.map(|record| record.id.clone());
        if let Some(write) = assertion.chosen_write(chosen, self.guarded) {
            match self.org.write(table, write).await? {
                Written::Done(id) => into = Some(id),
                Written::Stale => return Ok(Round::Over(Effect::Stale)),
                Written::Moved(code) => return Ok(Round::Again(code)),
            }
        }
        // 4: the others.
        let rest = mine.into_iter().filter(|it| into.as_ref() != Some(&it.id));
        let rest = rest.map(|record| (record, into.clone(), None));
        let nobodys = nobodys
            .into_iter()
            .map(|it| (it, None, assertion.blank.as_ref()));
        for (record, into, blank) in rest.chain(nobodys) {
            let Some(write) = assertion.archive(record, into, blank) else {
                continue;
            };
            // Set before the answer: a write whose answer is lost may have archived too.
            archived.store(true, Ordering::Relaxed);
            match self.org.write(table, write).await? {
                Written::Done(_) => {}
                Written::Stale => return Ok(Round::Over(Effect::Stale)),
                Written::Moved(code) => return Ok(Round::Again(code)),
            }
        }
        Ok(Round::Over(Effect::Delivered))
    }

    async fn owner(&self, assertion: &Assertion, record: &Record) -> Result<Owner, SinkError> {
        let entity = assertion.subject.uri();
        if let Some(snapshot) = &assertion.alive {
            let home = record.home.as_deref() == Some(entity);
            if home || snapshot.named.contains(&record.id) {
                return Ok(Owner::Own);
            }
        }
        let settled = assertion.newest.saturating_add(as_millis(self.settle));
        tokio::time::sleep(until(self.clock.now(), settled)).await;
        Ok(match self.owner_uri(record).await? {
            // An entity that the snapshot says is dead owns nothing.
            Some(uri) if uri == entity && assertion.alive.is_none() => Owner::Nobody,
            Some(uri) if uri == entity => Owner::Own,
            Some(uri) => Owner::Other(uri),
            None => Owner::Nobody,
        })
    }

    /// The living entity with a crosswalk that names `record`; else what became of its home.
    async fn owner_uri(&self, record: &Record) -> Result<Option<String>, SinkError> {
        for value in [record.id.as_str(), ids::short(&record.id)] {
            let answer = self.golden.by_crosswalk(&self.source, value).await;
            if let Some(uri) = self.living(answer, None)? {
                return Ok(Some(uri));
            }
        }
        let Some(home) = &record.home else {
            return Ok(None);
        };
        self.living(self.golden.read(home).await, Some(home))
    }

    fn living(
        &self,
        answer: Result<Answer, ReltioError>,
        asked: Option<&str>,
    ) -> Result<Option<String>, SinkError> {
        let answer = answer.map_err(|error| {
            self.metrics.read("owner", "failed");
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
