//! The org over REST: reads of many lanes in one query, writes of many lanes in one request.
//!
//! Guarantee (G7): a row answers for itself. A request that one row breaks, or that is more than the
//! org's triggers and flows bear, is halved until each row is alone: no row shares another's fate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::codes::{self, Fault};
use super::config::{LARGEST, SalesforceSink};
use super::describe::{Described, describe};
use super::halving::{Halving, Said};
use super::org::{Org, Record, RecordWrite, Sought, Table, Written};
use super::rows::{Rows, found_by, record, row};
use super::soql;
use super::stored::FieldTypes;
use super::wire::{SharedWire, Wire};
use crate::sink::SinkError;
use crate::sink::batch::{Batcher, SendRows, Shape};

/// Lanes whose reads go in one query at most.
const READS: usize = 200;

/// The org over REST.
#[derive(Debug)]
pub(super) struct RestOrg {
    wire: SharedWire,
    desks: BTreeMap<Table, Desk>,
}

/// Reads and writes of one table.
#[derive(Debug)]
struct Desk {
    described: Described,
    reads: Batcher<Sought, Result<Vec<Record>, SinkError>>,
    creates: Batcher<RecordWrite, Result<Written, SinkError>>,
    updates: Batcher<RecordWrite, Result<Written, SinkError>>,
}

impl RestOrg {
    /// The org behind `wire`, with the mapped fields of each table.
    pub(super) fn new(
        wire: &SharedWire,
        config: &SalesforceSink,
        tables: &BTreeMap<Table, BTreeSet<String>>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(config.concurrency.max(1)));
        let shape = |largest| Shape {
            linger: config.linger.get(),
            largest,
        };
        let (reads, writes) = (shape(READS), shape(config.batch.clamp(1, LARGEST)));
        let desk = |(table, columns): (&Table, &BTreeSet<String>)| {
            let part = |part: Part| Sends {
                wire: Arc::clone(wire),
                table: table.clone(),
                columns: columns.clone(),
                part,
                told: AtomicBool::new(false),
            };
            let desk = Desk {
                described: Described::default(),
                reads: Batcher::new(reads, Arc::clone(&permits), part(Part::Find)),
                creates: Batcher::new(writes, Arc::clone(&permits), part(Part::Create)),
                updates: Batcher::new(writes, Arc::clone(&permits), part(Part::Update)),
            };
            (table.clone(), desk)
        };
        Self {
            wire: Arc::clone(wire),
            desks: tables.iter().map(desk).collect(),
        }
    }

    fn desk(&self, table: &Table) -> Result<&Desk, SinkError> {
        self.desks.get(table).ok_or_else(|| SinkError::Systemic {
            code: "unmapped_table".to_owned(),
            remedy: "name the sObject under `objects`".to_owned(),
        })
    }
}

#[async_trait]
impl Org for RestOrg {
    async fn field_types(&self, table: &Table) -> Result<Arc<FieldTypes>, SinkError> {
        let described = &self.desk(table)?.described;
        described.types(&self.wire, &table.sobject).await
    }

    async fn find(&self, table: &Table, sought: Sought) -> Result<Vec<Record>, SinkError> {
        let answer = self
            .desk(table)?
            .reads
            .submit(sought.entity.clone(), sought)
            .await;
        answer.unwrap_or_else(|| Err(unsent()))
    }

    async fn write(&self, table: &Table, write: RecordWrite) -> Result<Written, SinkError> {
        let desk = self.desk(table)?;
        let answer = match write.id.clone() {
            Some(id) => desk.updates.submit(id, write).await,
            None => desk.creates.submit(write.mark.clone(), write).await,
        };
        answer.unwrap_or_else(|| Err(codes::lost("send_ended")))
    }
}

fn unsent() -> SinkError {
    SinkError::Retryable {
        code: "send_ended".to_owned(),
        ambiguous: false,
        outage: false,
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Find,
    Create,
    Update,
}

struct Sends {
    wire: Arc<Wire>,
    table: Table,
    columns: BTreeSet<String>,
    part: Part,
    /// Halving was told.
    told: AtomicBool,
}

#[async_trait]
impl SendRows<Sought, Result<Vec<Record>, SinkError>> for Sends {
    async fn send(&self, rows: Vec<Sought>) -> Vec<Result<Vec<Record>, SinkError>> {
        let mut halving = Halving::new(rows.len());
        while let Some(part) = halving.next() {
            let sought = chosen(&rows, &part);
            match self.find(&sought).await {
                Ok(found) => {
                    let of_each = found_by(&sought, &found);
                    let said = of_each.into_iter().map(|found| Said::Final(Ok(found)));
                    halving.answered(&part, said.collect());
                }
                Err(Fault::OneRow(error)) => halving.broke(&part, &while_doing(error, "find")),
                Err(Fault::All(error)) => halving.failed(&part, &error),
            }
        }
        halving.answers()
    }
}

#[async_trait]
impl SendRows<RecordWrite, Result<Written, SinkError>> for Sends {
    async fn send(&self, rows: Vec<RecordWrite>) -> Vec<Result<Written, SinkError>> {
        let mut halving = Halving::new(rows.len());
        while let Some(part) = halving.next() {
            let writes = chosen(&rows, &part);
            match self.write(&writes).await {
                Ok(results) => {
                    let said = results.iter().zip(&writes);
                    let said = said.map(|(it, row)| codes::judge(it, &self.table, row.action));
                    let again = halving.answered(&part, said.collect());
                    self.tell_halving(part.len(), again);
                }
                Err(Fault::OneRow(error)) => {
                    let action = writes.first().map_or("update", |row| row.action);
                    self.tell_halving(part.len(), part.len() - 1);
                    halving.broke(&part, &while_doing(error, action));
                }
                Err(Fault::All(error)) => halving.failed(&part, &error),
            }
        }
        let mut answers = halving.answers();
        self.judge_access(&rows, &mut answers).await;
        answers
    }
}

/// The rows at the places that `part` names.
fn chosen<'a, I>(rows: &'a [I], part: &[usize]) -> Vec<&'a I> {
    part.iter().filter_map(|at| rows.get(*at)).collect()
}

fn while_doing(error: SinkError, action: &'static str) -> SinkError {
    match error {
        SinkError::Rejected { code, fields, .. } => SinkError::Rejected {
            code,
            fields,
            action,
        },
        other @ (SinkError::Retryable { .. }
        | SinkError::Throttled { .. }
        | SinkError::Systemic { .. }) => other,
    }
}

impl Sends {
    /// Says once that requests are halved, which costs calls that a smaller batch would spare.
    fn tell_halving(&self, rows: usize, again: usize) {
        if again > 1 && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                sobject = self.table.sobject,
                rows,
                "the org refused a request as a whole; its rows are sent again in halves. If it is \
                 the size that its triggers or flows do not bear, lower `batch` of this sink"
            );
        }
    }

    async fn find(&self, sought: &[&Sought]) -> Result<Vec<Record>, Fault> {
        let mut found: BTreeMap<String, Record> = BTreeMap::new();
        for query in soql::plan(&self.table, self.columns.iter(), sought) {
            let mut page = self.wire.get("/query", &[("q", &query)]).await?;
            loop {
                let rows = page.get("records").and_then(Value::as_array);
                let records = rows
                    .into_iter()
                    .flatten()
                    .filter_map(|row| record(&self.table, &self.columns, row));
                found.extend(records.map(|record| (record.id.clone(), record)));
                let Some(next) = page.get("nextRecordsUrl").and_then(Value::as_str) else {
                    break;
                };
                let next = next.to_owned();
                page = self.wire.next(&next).await?;
            }
        }
        Ok(found.into_values().collect())
    }

    /// Where a row was refused access, the object's description tells whether any would be: then
    /// the sink halts. Else the record is to blame, as one is that is not shared.
    async fn judge_access(&self, rows: &[RecordWrite], answers: &mut [Result<Written, SinkError>]) {
        let refused = |answer: &Result<Written, SinkError>| match answer {
            Err(SinkError::Rejected { code, .. }) => codes::is_access(code),
            _ => false,
        };
        if !answers.iter().any(refused) {
            return;
        }
        let description = describe(&self.wire, &self.table.sobject).await;
        for (write, answer) in rows.iter().zip(answers).filter(|(_, it)| refused(it)) {
            let fields = row(&self.table, write);
            let names = fields.as_object().into_iter().flat_map(Map::keys);
            let names = names.filter(|name| !matches!(name.as_str(), "attributes" | "id"));
            match &description {
                Ok(it) if it.allows(write.id.is_none(), names.map(String::as_str)) => {}
                Ok(_) => {
                    if let Err(error) = answer {
                        *error = codes::no_access(error.code());
                    }
                }
                Err(error) => *answer = Err(error.clone()),
            }
        }
    }

    async fn write(&self, rows: &[&RecordWrite]) -> Result<Vec<Value>, Fault> {
        let body = Rows::of(&self.table, rows);
        let method = match self.part {
            Part::Create | Part::Find => Method::POST,
            Part::Update => Method::PATCH,
        };
        let answer = self
            .wire
            .write(method, "/composite/sobjects", &body)
            .await?;
        let results = match answer {
            Value::Array(results) => Some(results),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => None,
        };
        results
            .filter(|results| results.len() == rows.len())
            .ok_or_else(|| Fault::All(codes::lost("answer_of_another_length")))
    }
}
