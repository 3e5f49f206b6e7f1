//! What a delivery asserts, table by table.
//!
//! Guarantee: no record is created, archived or cleared for want of knowledge. What decides about
//! records (crosswalks, type) is read from Reltio where the delivery does not tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::assertion::{Assertion, Snapshot};
use super::config::{Ended, FieldSource, OnEmpty, SalesforceObject};
use super::content::Content;
use super::doubts::Doubts;
use super::org::{Table, Values};
use super::procedure::{Tools, sink_error};
use super::{content, ids};
use crate::event::{Crosswalk, Object, SubjectState};
use crate::reltio::{Found, ReltioError, late_enough, settle_wait};
use crate::sink::{Ack, Current, Effect, SinkError, Write};
use crate::time::{Millis, as_millis};

/// What a delivery's state is once everything needed of it is known.
pub(super) struct Known {
    pub(super) state: SubjectState,
    pub(super) content_time: Millis,
    pub(super) fields: Option<Vec<String>>,
    /// The date of the answer, if Reltio was read for it.
    pub(super) read: Option<Millis>,
    pub(super) erased: bool,
}

impl Known {
    /// A living entity whose type nothing tells: there is no saying what it becomes.
    pub(super) fn is_untyped(&self, delivery: &Write) -> bool {
        let SubjectState::Alive(object) = &self.state else {
            return false;
        };
        object.object_type().is_none() && delivery.object_type.is_empty()
    }
}

/// What golden records become: a delivery is asserted in the table of its type.
#[derive(Debug)]
pub struct Mapping {
    /// The configured objects, by type.
    pub(super) objects: BTreeMap<String, SalesforceObject>,
    /// The table of each.
    tables: BTreeMap<String, Arc<Table>>,
    /// What the procedure works with.
    pub(super) tools: Tools,
    doubts: Doubts,
}

impl Mapping {
    /// The mapping of sink `sink`: its configured objects, by type, and what the procedure works
    /// with.
    pub fn new(sink: &str, objects: BTreeMap<String, SalesforceObject>, tools: Tools) -> Self {
        let tables = objects.iter();
        let tables = tables.map(|(name, object)| (name.clone(), Arc::new(Table::of(object))));
        Self {
            tables: tables.collect(),
            objects,
            tools,
            doubts: Doubts::new(sink),
        }
    }

    /// Makes the delivery's state true. `archived` is set as soon as a record was archived, also
    /// when the turn fails afterwards.
    ///
    /// # Errors
    /// As [`Sink::deliver`](crate::sink::Sink::deliver).
    pub async fn assert(&self, delivery: &Write, archived: &AtomicBool) -> Result<Ack, SinkError> {
        let mut delivered = Ack {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        };
        // Nothing newer: nothing to assert. A sink of mode latest is not handed such a delivery.
        let Some(current) = &delivery.current else {
            return Ok(delivered);
        };
        let known = self.known(delivery, current).await?;
        if known.is_untyped(delivery) {
            let code = "no_type".to_owned();
            return Err(SinkError::Rejected {
                code,
                fields: Vec::new(),
                action: "map",
            });
        }
        delivered.read = known.read;
        for (table, assertion) in self.assertions(delivery, &known).await? {
            let one = self.tools.assert(&table, &assertion, archived).await?;
            delivered.second_look |= one.second_look;
            if one.effect == Effect::Stale {
                delivered.effect = Effect::Stale;
            }
        }
        Ok(delivered)
    }

    /// What the subject is. Where a record does not tell the crosswalks, or the type, that decide
    /// about records, Reltio is read: no earlier than a read is sure to see the record's change.
    pub(super) async fn known(
        &self,
        delivery: &Write,
        current: &Current,
    ) -> Result<Known, SinkError> {
        let known = Known {
            state: current.state.clone(),
            content_time: current.content_time,
            fields: current.fields.clone(),
            read: None,
            erased: current.erased || current.state == SubjectState::Erased,
        };
        let SubjectState::Alive(object) = &current.state else {
            return Ok(known);
        };
        let typed = object.object_type().is_some() || !delivery.object_type.is_empty();
        let tells = |fields: &Vec<String>| fields.iter().any(|field| field == "crosswalks");
        // Reltio always sends the member: a whole snapshot without it was declared wrongly.
        let told = match &current.fields {
            Some(fields) => tells(fields),
            None => object.crosswalks().is_some(),
        };
        if typed && told {
            return Ok(known);
        }
        let settle = as_millis(self.tools.settle);
        let settled = delivery.newest.saturating_add(settle);
        let now = self.tools.clock.now();
        tokio::time::sleep(settle_wait(now, delivery.newest, self.tools.settle)).await;
        let uri = delivery.subject.uri();
        let answer = late_enough(settled, settle, || self.tools.reltio.read(uri)).await;
        let answer = answer.map_err(|error| sink_error(&error))?;
        let state = match answer.found {
            Found::Alive(object) => SubjectState::Alive(object),
            Found::Survivor(object) => SubjectState::Absorbed {
                by: object.uri().map(ToOwned::to_owned),
            },
            Found::Nothing => SubjectState::Gone,
        };
        Ok(Known {
            state,
            // Never below what the guard has seen, or it would refuse this as stale.
            content_time: answer.date.max(current.content_time),
            fields: None,
            read: Some(answer.date),
            erased: current.erased,
        })
    }

    /// What is to be asserted, table by table: a living entity in the table of its type, a dead
    /// one in its type's, or in every one if nothing tells its type. One that is not active now is
    /// as dead, unless the configuration keeps it; its records stay its own.
    pub(super) async fn assertions(
        &self,
        delivery: &Write,
        known: &Known,
    ) -> Result<Vec<(Arc<Table>, Assertion)>, SinkError> {
        let alive = match &known.state {
            SubjectState::Alive(object) => Some(Arc::clone(object)),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        let of_object = alive.as_ref().and_then(|object| object.object_type());
        let object_type = of_object.unwrap_or(&delivery.object_type);
        let mut objects: BTreeMap<Arc<Table>, Values> = BTreeMap::new();
        let mut snapshot = None;
        let mut targets = delivery.targets.clone();
        for ((name, object), table) in self.objects.iter().zip(self.tables.values()) {
            if object_type.is_empty() && alive.is_none() || name == object_type {
                let blank = objects.entry(Arc::clone(table)).or_default();
                if known.erased {
                    blank.extend(content::erased(&object.fields));
                }
                let Some(alive) = &alive else { continue };
                let now = self.tools.clock.now();
                if object.ended == Ended::Keep || alive.activity().is_active(now) {
                    snapshot = Some(self.snapshot(object_type, object, alive, known).await?);
                } else {
                    // Those that were never written bear nothing by which they are found.
                    let named = naming(alive, &self.tools.source, now);
                    targets.extend(named.iter().filter_map(|it| ids::canonical(&it.value)));
                }
            }
        }
        let assertion = |blank: Values| Assertion {
            subject: delivery.subject.clone(),
            alive: snapshot.clone(),
            content_time: known.content_time,
            newest: delivery.newest,
            targets: targets.clone(),
            hops: delivery.hops,
            blank: known.erased.then_some(blank),
        };
        let asserted = |(table, blank)| (table, assertion(blank));
        Ok(objects.into_iter().map(asserted).collect())
    }

    /// # Errors
    /// If a crosswalk of the org's source names no record: made all the same, a record would be a
    /// second one beside the one that is meant.
    async fn snapshot(
        &self,
        object_type: &str,
        object: &SalesforceObject,
        alive: &Object,
        known: &Known,
    ) -> Result<Snapshot, SinkError> {
        let all = alive.crosswalks().unwrap_or_default();
        let metrics = &self.tools.metrics;
        self.doubts.crosswalks(&self.tools.source, all, metrics)?;
        let crosswalks = naming(alive, &self.tools.source, self.tools.clock.now());
        let named = crosswalks.iter().map(|it| ids::canonical(&it.value));
        let named = named.collect::<Option<_>>().ok_or_else(bad_crosswalk)?;
        let content = content::content(&object.fields, alive, known.fields.as_deref());
        let (content, initial) = self.settled(object_type, object, content).await?;
        Ok(Snapshot {
            named,
            doubtful: crosswalks.iter().any(|it| ids::may_be_folded(&it.value)),
            content,
            initial,
        })
    }

    /// What is to stand in the record, and what a new one gets besides: a field without a value is
    /// emptied, or gets its default, only if nothing forbids it.
    async fn settled(
        &self,
        object_type: &str,
        object: &SalesforceObject,
        content: Content,
    ) -> Result<(Values, Values), SinkError> {
        let Content { mut values, empty } = content;
        self.doubts.have(object_type, values.keys());
        let mut initial = Values::new();
        for (field, instead) in empty {
            let Some(source) = object.fields.get(&field) else {
                continue;
            };
            let (on_empty, sure) = source.on_empty();
            if on_empty == OnEmpty::Keep {
                // A new record has what the org gives it, unless the mapping says what.
                initial.extend((!instead.is_null()).then_some((field, instead)));
            } else if sure || self.may_empty(object_type, &field, source).await? {
                values.insert(field, instead);
            } else {
                initial.insert(field, instead);
            }
        }
        Ok((values, initial))
    }

    /// Whether it is certain that the field's path is right: a golden record had a value there, or
    /// Reltio's configuration has it.
    async fn may_empty(
        &self,
        object_type: &str,
        field: &str,
        source: &FieldSource,
    ) -> Result<bool, SinkError> {
        if self.doubts.had(object_type, field) {
            return Ok(true);
        }
        let why = match (source.path(), source) {
            (Some(path), _) => match self.tools.reltio.model().await {
                Ok(model) => model
                    .attribute(object_type, path)
                    .err()
                    .map(|it| it.to_string()),
                Err(error @ ReltioError::Unavailable { .. }) => return Err(sink_error(&error)),
                Err(ReltioError::Refused { code, .. } | ReltioError::Rejected { code }) => {
                    Some(format!(
                        "path `{path}` is not known to be right, since Reltio does not show its configuration ({code})"
                    ))
                }
            },
            (None, FieldSource::Member(member)) => content::odd_member(member),
            (None, _) => None,
        };
        if let Some(why) = &why {
            self.doubts
                .left(object_type, field, why, &self.tools.metrics);
        }
        Ok(why.is_none())
    }
}

/// The crosswalks of `source` that name records at `now`, the earliest first.
pub(super) fn naming<'a>(alive: &'a Object, source: &str, now: Millis) -> Vec<&'a Crosswalk> {
    let all = alive.crosswalks().unwrap_or_default().iter();
    let naming = all.filter(|crosswalk| crosswalk.source == source && !crosswalk.is_deleted(now));
    let mut naming: Vec<&Crosswalk> = naming.collect();
    naming.sort_by_cached_key(|crosswalk| (created(crosswalk), &crosswalk.value));
    naming
}

/// A crosswalk of the org's source that is no record id, or may be another's: the value itself is
/// not shown (G10).
pub(super) fn bad_crosswalk() -> SinkError {
    SinkError::Rejected {
        code: "bad_crosswalk".to_owned(),
        fields: Vec::new(),
        action: "map",
    }
}

/// When a crosswalk was created; what cannot be read comes last.
fn created(crosswalk: &Crosswalk) -> Millis {
    let time = crosswalk.created.parse::<jiff::Timestamp>();
    time.map_or(Millis::MAX, jiff::Timestamp::as_millisecond)
}

/// The tables of a configuration, with the mapped fields of each.
pub(super) fn tables(
    objects: &BTreeMap<String, SalesforceObject>,
) -> Result<BTreeMap<Table, BTreeSet<String>>, String> {
    let mut tables: BTreeMap<Table, BTreeSet<String>> = BTreeMap::new();
    for (name, object) in objects {
        let table = Table::of(object);
        let own = table.fields();
        let plain = |field: &&str| {
            !field.is_empty()
                && field
                    .bytes()
                    .all(|it| it.is_ascii_alphanumeric() || it == b'_')
        };
        let all = own.into_iter().chain([table.sobject.as_str()]);
        if let Some(odd) = all
            .chain(object.fields.keys().map(String::as_str))
            .find(|it| !plain(it))
        {
            return Err(format!(
                "salesforce.objects.{name}: {odd:?} is no API name; correct it"
            ));
        }
        if own.iter().collect::<BTreeSet<_>>().len() < own.len() {
            return Err(format!(
                "salesforce.objects.{name}: two of goldwire's own fields are the \
                 same one; give each its own"
            ));
        }
        let taken = |field: &&String| own.contains(&field.as_str()) || field.as_str() == "Id";
        if let Some(field) = object.fields.keys().find(taken) {
            return Err(format!(
                "salesforce.objects.{name}.fields.{field}: is written by goldwire \
                 itself; map another field"
            ));
        }
        tables
            .entry(table)
            .or_default()
            .extend(object.fields.keys().cloned());
    }
    Ok(tables)
}
