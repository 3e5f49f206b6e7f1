//! Salesforce: one living record for each living golden record, the others archived into it.
//!
//! Guarantee (G9): the rules are `CRM.md`'s, and `tests/it/crm_oracle.rs` runs them against a model
//! of everything that can go wrong. Under both guards a lane is asserted once more after an
//! ambiguous write and after anything archived: the guard refuses late writes only while one
//! entity's lane keeps the record, and another's mark may have come between.
//!
//! Erasure (GDPR): records that nobody owns any more are archived, and every mapped field gets what
//! the mapping makes of a golden record without values: nothing, the default, or the constant. They
//! are not deleted: a write on its way could bring a deleted record's content back as a new one.

mod assertion;
mod codes;
mod content;
mod filter;
pub mod ids;
mod org;
mod probe;
mod procedure;
mod rest;
mod schema;
mod session;
mod soql;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use assertion::{Assertion, Snapshot};
pub use codes::GUARD_MESSAGE;
pub use org::{Org, Record, Sought, Table, Values, Write, Written};
pub use procedure::{HOPS, Tools};
pub use schema::schema_text;

use self::filter::Filter;
use self::rest::RestOrg;
use self::wire::{SharedWire, Wire};
use crate::config::{Declared, SalesforceObject, SalesforceSink};
use crate::event::{Crosswalk, Kind, Object, Subject, SubjectState};
use crate::reltio::{Found, Golden};
use crate::sink::{Current, Declaration, Delivered, Delivery, Effect, Mode, Sink, SinkError, Tell};
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock, as_millis, until};

/// What the sink works with besides its configuration.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Reltio, for owners of records.
    pub golden: Arc<dyn Golden>,
    /// Other entities' lanes.
    pub tell: Arc<dyn Tell>,
    /// How long after a change a read of Reltio is sure to see it.
    pub settle: Duration,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
}

/// The Salesforce sink.
#[derive(Debug)]
pub struct Salesforce {
    name: String,
    objects: BTreeMap<String, SalesforceObject>,
    tables: BTreeMap<Table, BTreeSet<String>>,
    filter: Filter,
    longest_request: Duration,
    tools: Tools,
    wire: SharedWire,
    /// Subjects whose turn failed after it had archived something: their next success asks for
    /// the second look. Lost with the process, after which every lane is asserted again anyway.
    owed: Mutex<HashSet<Subject>>,
}

/// What a delivery's state is once everything needed of it is known.
struct Known {
    state: SubjectState,
    stands_for: Millis,
    fields: Option<Vec<String>>,
}

impl Known {
    /// A living entity whose type nothing tells: there is no saying what it becomes.
    fn is_untyped(&self, delivery: &Delivery) -> bool {
        let SubjectState::Alive(object) = &self.state else {
            return false;
        };
        object.object_type().is_none() && delivery.object_type.is_empty()
    }
}

impl Salesforce {
    /// The sink `name`. Nothing is connected yet.
    ///
    /// # Errors
    /// If the configuration cannot work: with the key and the remedy.
    pub fn new(name: &str, config: &SalesforceSink, around: Surroundings) -> Result<Self, String> {
        let at = |problem: String| format!("sinks.{name}.{problem}");
        let wire: SharedWire = Arc::new(Wire::new(config).map_err(at)?);
        let tables = tables(&config.objects).map_err(at)?;
        let tools = Tools {
            org: Arc::new(RestOrg::new(&wire, config, &tables)),
            golden: around.golden,
            tell: around.tell,
            source: config.crosswalk_source.clone(),
            settle: around.settle,
            guarded: config.guard == Declared::Version,
            clock: around.clock,
            metrics: around.metrics,
        };
        Ok(Self {
            name: name.to_owned(),
            objects: config.objects.clone(),
            tables,
            filter: Filter::new(None, Some(&config.event_types), false),
            longest_request: config.longest_request.get(),
            tools,
            wire,
            owed: Mutex::default(),
        })
    }

    /// What the subject is. Where a record does not tell the crosswalks, or the type, that decide
    /// about records, Reltio is read: no earlier than a read is sure to see the record's change.
    async fn known(&self, delivery: &Delivery, current: &Current) -> Result<Known, SinkError> {
        let known = Known {
            state: current.state.clone(),
            stands_for: current.stands_for,
            fields: current.fields.clone(),
        };
        let SubjectState::Alive(object) = &current.state else {
            return Ok(known);
        };
        let typed = object.object_type().is_some() || !delivery.object_type.is_empty();
        let tells = |fields: &Vec<String>| fields.iter().any(|field| field == "crosswalks");
        if typed && current.fields.as_ref().is_none_or(tells) {
            return Ok(known);
        }
        let settled = delivery.newest.saturating_add(as_millis(self.tools.settle));
        tokio::time::sleep(until(self.tools.clock.now(), settled)).await;
        let answer = self.tools.golden.read(delivery.subject.uri()).await;
        let answer = answer.map_err(|error| procedure::sink_error(&error))?;
        let state = match answer.found {
            Found::Alive(object) => SubjectState::Alive(object),
            Found::Survivor(object) => SubjectState::Absorbed {
                by: object.uri().map(ToOwned::to_owned),
            },
            Found::Nothing => SubjectState::Gone,
        };
        Ok(Known {
            state,
            stands_for: answer.date,
            fields: None,
        })
    }

    /// What is to be asserted, table by table: a living entity in the table of its type, a dead
    /// one in its type's, or in every one if nothing tells its type.
    fn assertions(&self, delivery: &Delivery, known: &Known) -> Vec<(Table, Assertion)> {
        let alive = match &known.state {
            SubjectState::Alive(object) => Some(Arc::clone(object)),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        let of_object = alive.as_ref().and_then(|object| object.object_type());
        let object_type = of_object.unwrap_or(&delivery.object_type);
        let mut objects: BTreeMap<Table, Values> = BTreeMap::new();
        let mut snapshot = None;
        for (name, object) in &self.objects {
            if object_type.is_empty() && alive.is_none() || name == object_type {
                let blank = objects.entry(Table::of(object)).or_default();
                blank.extend(content::erased(&object.fields));
                snapshot = alive
                    .as_ref()
                    .map(|alive| self.snapshot(object, alive, known));
            }
        }
        let erased = known.state == SubjectState::Erased;
        let assertion = |blank: Values| Assertion {
            subject: delivery.subject.clone(),
            alive: snapshot.clone(),
            stands_for: known.stands_for,
            newest: delivery.newest,
            targets: delivery.targets.clone(),
            hops: delivery.hops,
            blank: erased.then_some(blank),
        };
        objects
            .into_iter()
            .map(|(table, blank)| (table, assertion(blank)))
            .collect()
    }

    fn snapshot(&self, object: &SalesforceObject, alive: &Object, known: &Known) -> Snapshot {
        let mut crosswalks = alive.crosswalks().unwrap_or_default();
        crosswalks.retain(|crosswalk| crosswalk.source == self.tools.source && !crosswalk.deleted);
        crosswalks.sort_by_cached_key(|crosswalk| (created(crosswalk), crosswalk.value.clone()));
        let named = crosswalks
            .iter()
            .filter_map(|crosswalk| ids::canonical(&crosswalk.value));
        Snapshot {
            named: named.collect(),
            content: content::content(&object.fields, alive, known.fields.as_deref()),
        }
    }

    fn owes(&self, subject: &Subject, owes: bool) -> bool {
        let mut list = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owes {
            list.insert(subject.clone())
        } else {
            list.remove(subject)
        }
    }

    async fn assert(
        &self,
        delivery: &Delivery,
        archived: &AtomicBool,
    ) -> Result<Effect, SinkError> {
        // Nothing newer: nothing to assert. A sink of mode latest is not handed such a delivery.
        let Some(current) = &delivery.current else {
            return Ok(Effect::Delivered);
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
        let mut effect = Effect::Delivered;
        for (table, assertion) in self.assertions(delivery, &known) {
            let delivered = self.tools.assert(&table, &assertion, archived).await?;
            if delivered.effect == Effect::Stale {
                effect = Effect::Stale;
            }
        }
        Ok(effect)
    }
}

/// When a crosswalk was created; what cannot be read comes last.
fn created(crosswalk: &Crosswalk) -> Millis {
    let time = crosswalk.created.parse::<jiff::Timestamp>();
    time.map_or(Millis::MAX, jiff::Timestamp::as_millisecond)
}

/// The tables of a configuration, with the mapped fields of each.
fn tables(
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

#[async_trait]
impl Sink for Salesforce {
    fn name(&self) -> &str {
        &self.name
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: Mode::Latest,
            reassert_after: Some(self.longest_request),
        }
    }

    fn wants(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        !subject.is_relation()
            && (object_type.is_empty() || self.objects.contains_key(object_type))
            && self.filter.passes_kind(kind, false)
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Delivered, SinkError> {
        if delivery.subject.is_relation() {
            return Ok(Delivered {
                effect: Effect::Delivered,
                second_look: false,
            });
        }
        let archived = AtomicBool::new(false);
        let result = self.assert(delivery, &archived).await;
        let archived = archived.load(Ordering::Relaxed);
        match result {
            Ok(effect) => {
                let owed = self.owes(&delivery.subject, false);
                Ok(Delivered {
                    effect,
                    second_look: archived || owed,
                })
            }
            Err(error) => {
                if archived {
                    self.owes(&delivery.subject, true);
                }
                Err(error)
            }
        }
    }

    async fn probe(&self) -> Vec<String> {
        probe::probe(&self.wire, &self.objects, &self.tables).await
    }
}
