//! Salesforce: one living record for each living golden record, the others archived into it.
//!
//! Guarantee (G9): the rules are those of `procedure`, and `tests/it/crm_oracle` runs them against a
//! model of everything that can go wrong. Under both guards a lane is asserted once more after an
//! ambiguous write and after anything archived: the guard refuses late writes only while one
//! entity's lane keeps the record, and another's mark may have come between.
//!
//! Erasure (GDPR): records that no one owns any more are archived, and every mapped field gets what
//! the mapping makes of a golden record without values: nothing, the default, or the constant. They
//! are not deleted: a write on its way could bring a deleted record's content back as a new one.

mod assertion;
mod automation;
mod codes;
mod config;
mod content;
mod decimal;
mod describe;
mod doubts;
mod duplicate;
mod halving;
pub mod ids;
mod jwt;
mod org;
mod plan;
mod preview;
mod probe;
mod procedure;
mod rest;
mod rows;
mod rules;
mod schema;
mod session;
mod share;
mod soql;
mod stored;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use assertion::{Assertion, Snapshot};
pub use codes::GUARD_MESSAGE;
pub use config::{
    AttributeField, Declared, DuplicateRules, Ended, FieldSource, Jwt, OnDuplicate, OnEmpty,
    SalesforceObject, SalesforceSink,
};
pub use org::{Org, Record, RecordWrite, Sought, Table, Values, Written};
pub use plan::Mapping;
pub use procedure::{HOPS, Tools};
pub use schema::schema_text;
pub use stored::{FieldType, FieldTypes};

pub use codes::row as answer;
pub use rows::{record, row};
pub use soql::plan as queries;

use self::plan::tables;
use self::rest::RestOrg;
use self::share::Share;
use self::wire::{SharedWire, Wire};
use crate::event::{Filter, Kind, Subject, SubjectState};
use crate::pace::Portion;
use crate::reltio::RecordReader;
use crate::sink::{
    Ack, Capabilities, Current, Effect, Mode, SILENCE, Sink, SinkError, Tell, Write, each,
};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// What the sink works with besides its configuration.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Reltio, for owners of records.
    pub reltio: Arc<dyn RecordReader>,
    /// Other entities' lanes.
    pub tell: Arc<dyn Tell>,
    /// How long after a change a read of Reltio is sure to see it.
    pub settle: Duration,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// What part of the org's quota is this process's.
    pub portion: Portion,
}

/// The Salesforce sink.
#[derive(Debug)]
pub struct Salesforce {
    name: String,
    mapping: Mapping,
    tables: BTreeMap<Table, BTreeSet<String>>,
    filter: Filter,
    longest_request: Duration,
    /// Nothing over an org that is there already.
    wire: Option<SharedWire>,
    /// Subjects whose turn failed after it had archived something: their next success asks for
    /// the second look. Lost with the process, after which every lane is asserted again anyway.
    owed: Mutex<HashSet<Subject>>,
}

impl Salesforce {
    /// The sink `name`. Nothing is connected yet.
    ///
    /// # Errors
    /// If the configuration cannot work: with the key and the remedy.
    pub fn new(name: &str, config: &SalesforceSink, deps: Deps) -> Result<Self, String> {
        let at = |problem: String| format!("sinks.{name}.{problem}");
        let (portion, metrics) = (deps.portion.clone(), Arc::clone(&deps.metrics));
        let share = Share::new(name, config.daily_share, portion.clone(), metrics);
        let wire = Wire::new(config, share, portion, Arc::clone(&deps.clock));
        let wire: SharedWire = Arc::new(wire.map_err(at)?);
        let tables = tables(&config.objects).map_err(at)?;
        let org = Arc::new(RestOrg::new(&wire, config, &tables));
        let mut made = Self::over(org, name, config, deps)?;
        made.wire = Some(wire);
        Ok(made)
    }

    /// The sink over an org that is there already: what a simulation runs. It probes nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn over(
        org: Arc<dyn Org>,
        name: &str,
        config: &SalesforceSink,
        deps: Deps,
    ) -> Result<Self, String> {
        let at = |problem: String| format!("sinks.{name}.{problem}");
        let tables = tables(&config.objects).map_err(at)?;
        let tools = Tools {
            org,
            reltio: deps.reltio,
            tell: deps.tell,
            source: config.crosswalk_source.clone(),
            settle: deps.settle,
            guarded: config.guard == Declared::Version,
            links: config.on_duplicate == OnDuplicate::Link,
            clock: deps.clock,
            metrics: deps.metrics,
        };
        Ok(Self {
            name: name.to_owned(),
            mapping: Mapping::new(name, config.objects.clone(), tools),
            tables,
            filter: config.filter(),
            longest_request: config.longest_request.get(),
            wire: None,
            owed: Mutex::default(),
        })
    }

    fn owes(&self, subject: &Subject, owes: bool) -> bool {
        let mut list = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owes {
            list.insert(subject.clone())
        } else {
            list.remove(subject)
        }
    }
}

/// Whether records like this are asserted: of entities whose type is mapped, or not known.
fn takes(
    filter: &Filter,
    objects: &BTreeMap<String, SalesforceObject>,
    subject: &Subject,
    object_type: &str,
    kind: Kind,
) -> bool {
    !subject.is_relation()
        && (object_type.is_empty() || objects.contains_key(object_type))
        && filter.passes_kind(kind, false)
}

#[async_trait]
impl Sink for Salesforce {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.wire
            .as_ref()
            .map(|wire| wire.place())
            .unwrap_or_default()
    }

    fn silence(&self) -> Duration {
        // A write may wait for Reltio's read, which is not due before.
        SILENCE.saturating_add(self.mapping.tools.settle)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reassert_after: Some(self.longest_request),
            dated: true,
            in_steps: true,
            ..Capabilities::new(Mode::Latest)
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(
            &self.filter,
            &self.mapping.objects,
            subject,
            object_type,
            kind,
        )
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        each(batch, |write| self.one(write)).await
    }

    async fn probe(&self) -> Vec<String> {
        match &self.wire {
            Some(wire) => {
                let mut problems = probe::probe(wire, &self.mapping.objects, &self.tables).await;
                problems.extend(probe::tenant(&self.mapping).await);
                problems
            }
            None => Vec::new(),
        }
    }
}

impl Salesforce {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        if delivery.subject.is_relation() {
            return Ok(Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            });
        }
        if let Some(Current {
            state: SubjectState::Alive(object),
            ..
        }) = &delivery.current
            && !object.is_tree()
        {
            return Err(SinkError::Rejected {
                code: "no_tree".to_owned(),
                fields: Vec::new(),
                action: "map",
            });
        }
        if let Some(wire) = &self.wire {
            wire.share().admit()?;
        }
        let archived = AtomicBool::new(false);
        let result = self.mapping.assert(delivery, &archived).await;
        let archived = archived.load(Ordering::Relaxed);
        match result {
            Ok(delivered) => {
                let owed = self.owes(&delivery.subject, false);
                Ok(Ack {
                    second_look: archived || owed,
                    ..delivered
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
}
