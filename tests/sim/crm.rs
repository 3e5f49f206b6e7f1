//! The CRM: records that many lanes write, under the product's own Salesforce sink.
//!
//! External ids are unique, and the guard refuses a lower value only while the same entity's lane
//! keeps the record, as the validation rule does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind as EventKind, Subject};
use goldwire::log::Log;
use goldwire::pace::Portion;
use goldwire::reltio::RecordReader;
use goldwire::runtime::tell::LogTell;
use goldwire::sink::salesforce::{
    Deps, Org, Record, RecordWrite, Salesforce, Sought, Table, Written, ids,
};
use goldwire::sink::{Ack, Capabilities, Sink, SinkError, Write, each};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SharedClock};
use goldwire::topology::Config;
use rand::RngExt as _;

use super::fault::Fault;
use super::host::Host;
use super::plan::{Kind, LONGEST};
use super::script::{Script, Truth, contacts_of};
use super::sink::retryable;
use super::world::{Dropped, HostClock, State, World};

/// What the CRM holds.
#[derive(Debug, Default)]
pub(crate) struct Crm {
    pub(crate) records: BTreeMap<String, Record>,
    created: usize,
    late: Vec<(Millis, RecordWrite)>,
    poison: BTreeSet<(String, Millis)>,
}

impl Crm {
    pub(crate) fn new(script: &Script) -> Self {
        let records = script.contacts.iter().map(|id| {
            let id = ids::canonical(id).unwrap();
            let record = Record {
                id: id.clone(),
                ..Record::default()
            };
            (id, record)
        });
        Self {
            records: records.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn last_late(&self) -> Option<Millis> {
        self.late.iter().map(|(due, _)| *due).max()
    }

    fn write(&mut self, write: &RecordWrite, guarded: bool) -> Written {
        let held = write.id.as_ref().and_then(|id| self.records.get(id));
        let held = held.cloned().unwrap_or_default();
        let same = held.mark.as_ref() == Some(&write.mark);
        if guarded && same && write.guard < held.guard {
            return Written::Stale;
        }
        let wanted = write.ext.clone().flatten();
        let taken = |it: &Record| it.ext == wanted && Some(&it.id) != write.id.as_ref();
        if wanted.is_some() && self.records.values().any(taken) {
            return Written::Moved("DUPLICATE_VALUE".to_owned());
        }
        let id = write.id.clone().unwrap_or_else(|| {
            self.created += 1;
            ids::canonical(&format!("003C{:011}", self.created)).unwrap()
        });
        let record = self.records.entry(id.clone()).or_insert_with(|| Record {
            id: id.clone(),
            home: write.home.clone(),
            ..Record::default()
        });
        if let Some(ext) = &write.ext {
            record.ext.clone_from(ext);
        }
        if let Some((archived, into)) = &write.archived {
            record.archived = *archived;
            record.merged_into.clone_from(into);
        }
        record.mark = Some(write.mark.clone());
        record.guard = write.guard;
        record.content.extend(write.content.clone());
        Written::Done(id)
    }
}

/// Lands what is due.
pub(crate) fn land(state: &mut State, guarded: bool) {
    let now = state.now();
    let mut due: Vec<_> = state
        .crm
        .late
        .extract_if(.., |(due, _)| *due <= now)
        .collect();
    due.sort_by_key(|(due, _)| *due);
    for (_, write) in due {
        let written = state.crm.write(&write, guarded);
        state.note(|| format!("crm lands late: {write:?}: {written:?}"));
    }
}

/// A write that no one waits for any more: it lands within the longest request, or never.
pub(crate) fn may_land(state: &mut State, write: RecordWrite, sent: Millis) {
    if state.rng.random_bool(0.6) {
        let due = sent + state.rng.random_range(0..LONGEST);
        state.crm.late.push((due, write));
    }
}

/// A write on the wire.
struct OnWire<'a> {
    host: &'a Host,
    sent: Millis,
    write: Option<RecordWrite>,
}

impl Drop for OnWire<'_> {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            let sent = self.sent;
            self.host.drops(Dropped::Contact { write, sent });
        }
    }
}

/// The org's API.
#[derive(Debug)]
pub(crate) struct SimOrg(pub(crate) Arc<Host>);

impl SimOrg {
    fn fails(&self) -> Result<(), SinkError> {
        let world = &self.0;
        let first = world.plan.sinks.first() == Some(&Kind::Crm);
        if first && world.hits(Fault::Outage) || world.hits(Fault::Unreachable) {
            return Err(retryable("unreachable", false, true));
        }
        Ok(())
    }
}

#[async_trait]
impl Org for SimOrg {
    async fn find(&self, _: &Table, sought: Sought) -> Result<Vec<Record>, SinkError> {
        let world = &self.0;
        world.pause(world.plan.slow).await;
        self.fails()?;
        let found: Vec<Record> = {
            let mut state = world.lock();
            land(&mut state, world.plan.guarded);
            let records = state.crm.records.values();
            records
                .filter(|record| sought.finds(record))
                .cloned()
                .collect()
        };
        world.pause(world.plan.slow).await;
        Ok(found)
    }

    async fn write(&self, _: &Table, write: RecordWrite) -> Result<Written, SinkError> {
        let world = &self.0;
        world.pause(world.plan.slow).await;
        self.fails()?;
        if world.hits(Fault::RowBusy) {
            return Err(retryable("UNABLE_TO_LOCK_ROW", false, false));
        }
        let key = (write.mark.clone(), write.guard);
        let poisoned = {
            let state = world.lock();
            !state.calm && state.crm.poison.contains(&key)
        };
        if poisoned || world.hits(Fault::Poison) {
            world.lock().crm.poison.insert(key);
            return Err(SinkError::Rejected {
                code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
                fields: Vec::new(),
                action: write.action,
            });
        }
        if world.hits(Fault::Timeout) {
            let sent = world.now();
            may_land(&mut world.lock(), write, sent);
            world.pause(LONGEST / 2).await;
            return Err(retryable("timeout", true, true));
        }
        let mut wire = OnWire {
            host: world,
            sent: world.now(),
            write: Some(write),
        };
        world.wire(world.plan.slow).await;
        let written = {
            let write = wire.write.take().unwrap();
            let mut state = world.lock();
            land(&mut state, world.plan.guarded);
            let written = state.crm.write(&write, world.plan.guarded);
            state.note(|| {
                format!(
                    "crm {} {:?} mark {} ext {:?} guard {} {:?}: {written:?}",
                    write.action, write.id, write.mark, write.ext, write.guard, write.archived
                )
            });
            written
        };
        world.pause(world.plan.slow).await;
        if world.hits(Fault::AnswerLost) {
            return Err(retryable("reset", true, true));
        }
        Ok(written)
    }
}

/// The product's sink over the org.
#[derive(Debug)]
pub(crate) struct CrmSink {
    host: Arc<Host>,
    inner: Salesforce,
}

impl CrmSink {
    pub(crate) fn new(
        host: &Arc<Host>,
        config: &Config,
        reltio: &Arc<dyn RecordReader>,
        log: &Arc<dyn Log>,
    ) -> Self {
        let clock: SharedClock = Arc::new(HostClock(Arc::clone(&host.world)));
        let deps = Deps {
            reltio: Arc::clone(reltio),
            tell: Arc::new(LogTell {
                log: Arc::<dyn Log>::clone(log),
                sink: "crm".to_owned(),
                clock: Arc::clone(&clock),
            }),
            settle: Duration::from_millis(3200),
            clock,
            metrics: Arc::new(Metrics::noop()),
            portion: Portion::whole(),
        };
        let salesforce = config.sinks["crm"].salesforce.as_ref().unwrap();
        let org = Arc::new(SimOrg(Arc::clone(host)));
        Self {
            host: Arc::clone(host),
            inner: Salesforce::over(org, "crm", salesforce, deps).unwrap(),
        }
    }
}

#[async_trait]
impl Sink for CrmSink {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: EventKind) -> bool {
        self.inner.accepts(subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let _sending = self.host.sends(Kind::Crm, batch);
        each(batch, |write| self.one(write)).await
    }

    async fn probe(&self) -> Vec<String> {
        self.inner.probe().await
    }
}

impl CrmSink {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        let delivered = self.inner.write_one(delivery).await?;
        let mut row = self.host.row_of(delivery);
        self.host.acknowledge(Kind::Crm, &row, delivered.effect);
        if let Some(read) = delivered.read {
            row.content_time = read.max(row.content_time);
            self.host.acknowledge(Kind::Crm, &row, delivered.effect);
        }
        Ok(delivered)
    }
}

/// What is wrong with the CRM's records in the end.
pub(crate) fn differs(world: &World, state: &State) -> Option<String> {
    let records = &state.crm.records;
    let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
    for (uri, past) in &world.script.past {
        let Some(Truth::Alive(object)) = past.last().map(|moment| &moment.truth) else {
            continue;
        };
        if uri.starts_with("relations/") {
            continue;
        }
        let live = records
            .values()
            .filter(|it| it.ext.as_ref() == Some(uri) && !it.archived);
        let live: Vec<_> = live.collect();
        let [one] = live[..] else {
            return Some(format!("{uri} has {} live contacts", live.len()));
        };
        if let Some(named) = contacts_of(object).first()
            && ids::canonical(named).as_ref() != Some(&one.id)
        {
            return Some(format!(
                "{uri} is {}, and its earliest crosswalk names {named}",
                one.id
            ));
        }
        let truth = object.json().pointer("/attributes/FirstName/0/value");
        if one.content.get("FirstName") != truth {
            return Some(format!(
                "{uri} is {:?}, not {truth:?}",
                one.content.get("FirstName")
            ));
        }
        chosen.insert(uri, &one.id);
    }
    records
        .values()
        .find_map(|record| wrong(world, record, &chosen))
}

fn wrong(world: &World, record: &Record, chosen: &BTreeMap<&str, &str>) -> Option<String> {
    let mut reborn = false;
    let owner = match &record.home {
        Some(home) => {
            let (chain, moment) = world.script.survivor(home, Millis::MAX);
            // Nothing of the new life of a survivor tells of those that its first one absorbed.
            reborn = chain
                .iter()
                .any(|uri| uri != home && world.script.has_died(uri));
            moment.map(|_| chain.last().unwrap_or(home).clone())
        }
        None => world
            .script
            .named(&record.id, Millis::MAX)
            .map(|(uri, _)| uri.to_owned()),
    };
    let Some(owner) = owner else {
        let live = record.mark.is_some() && !record.archived;
        return live.then(|| format!("{} of the dead is live: {record:?}", record.id));
    };
    let one = chosen.get(owner.as_str()).copied()?;
    let into = (record.id != one).then(|| one.to_owned());
    let right = record.archived == into.is_some() && record.merged_into == into;
    let right = right || reborn && record.archived && record.merged_into.is_none();
    (!right).then(|| {
        format!(
            "{} is {owner}'s, whose contact is {one}: {record:?}",
            record.id
        )
    })
}
