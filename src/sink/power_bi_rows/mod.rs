//! A row per change in a table of a push dataset of Power BI, for tiles that follow events as they come.
//!
//! Guarantees: an acknowledgement follows Power BI's answer that it has the rows (G3). Every distinct
//! change is a row (G5), since ids are kept for `dedupe.window`; the table has no key, so three things
//! make a second row of a change:
//!
//! - a request whose answer was lost, or that a server failed on, is sent again;
//! - a crash between the answer and the commit: what was in flight comes again, with the same id;
//! - a payload that comes after the change was only read from Reltio (`observed`).
//!
//! A row that Power BI refuses takes no other with it (G7): the request is halved until the row is alone.
//!
//! **Erasure (GDPR)**: it is a row like any other. Power BI deletes all rows of a table and no single
//! one, so the sink has to be allowed to be one that keeps what was erased. `docs/power-bi-rows.md` says
//! how it is taken out.

mod config;
mod preview;
mod rows;
mod rules;
mod table;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::PowerBiRowsSink;

use self::rows::{Cells, rows};
use self::table::{Refusal, Table};
use super::preview::takes;
use super::{Ack, Capabilities, Effect, Mode, SILENCE, Sink, SinkError, UNANSWERED, Write};
use crate::event::{Filter, Kind, Subject};
use crate::pace::Portion;
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// The sink of rows.
#[derive(Debug)]
pub struct PowerBiRows {
    name: String,
    config: PowerBiRowsSink,
    filter: Filter,
    table: Table,
    metrics: Arc<Metrics>,
}

type Answer = Result<Ack, SinkError>;

impl PowerBiRows {
    /// The sink called `name`, of which this process has `portion` of the quota.
    ///
    /// # Errors
    /// A sentence that names the sink, if its client cannot be made.
    pub fn new(
        name: &str,
        config: &PowerBiRowsSink,
        clock: &SharedClock,
        metrics: Arc<Metrics>,
        portion: Portion,
    ) -> Result<Self, String> {
        let table = Table::new(config, clock, portion);
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            filter: config.filter(),
            table: table.map_err(|why| format!("sinks.{name}.power_bi_rows.{why}"))?,
            metrics,
        })
    }

    /// Adds the rows of some writes, halved as long as Power BI refuses what is in them. What is sent
    /// after a failure would only fail, or wait, as well.
    async fn add(&self, made: &[Vec<Cells>], writes: Range<usize>, answers: &mut [Answer]) {
        let mut waiting = vec![writes];
        while let Some(writes) = waiting.pop() {
            let rows = made.get(writes.clone()).unwrap_or_default();
            let rows: Vec<&Cells> = rows.iter().flatten().collect();
            self.metrics.batch(&self.name, rows.len());
            let answer = match self.table.post(&rows).await {
                Ok(()) => Ok(delivered()),
                Err(Refusal::Rows(_)) if writes.len() > 1 => {
                    let middle = writes.start + writes.len() / 2;
                    waiting.push(middle..writes.end);
                    waiting.push(writes.start..middle);
                    continue;
                }
                Err(Refusal::Rows(code)) => Err(SinkError::Rejected {
                    code,
                    fields: Vec::new(),
                    action: "append",
                }),
                Err(Refusal::Failed(error)) => Err(error),
            };
            let failed = answer
                .as_ref()
                .err()
                .filter(|error| goes_for_all(error))
                .cloned();
            fill(answers, writes, &answer);
            if let Some(error) = failed {
                let error = Err(unsent(error));
                waiting
                    .drain(..)
                    .for_each(|rest| fill(answers, rest, &error));
            }
        }
    }
}

fn delivered() -> Ack {
    Ack {
        effect: Effect::Delivered,
        second_look: false,
        read: None,
    }
}

fn fill(answers: &mut [Answer], writes: Range<usize>, answer: &Answer) {
    answers
        .get_mut(writes)
        .unwrap_or_default()
        .fill(answer.clone());
}

fn goes_for_all(error: &SinkError) -> bool {
    !matches!(error, SinkError::Rejected { .. })
}

/// The same for what was not sent.
fn unsent(error: SinkError) -> SinkError {
    match error {
        SinkError::Retryable { code, outage, .. } => SinkError::Retryable {
            code,
            ambiguous: false,
            outage,
        },
        other @ (SinkError::Throttled { .. }
        | SinkError::Rejected { .. }
        | SinkError::Systemic { .. }) => other,
    }
}

/// The writes that go in each request: whole ones, and no more than `largest` rows, except a write
/// that has more by itself.
fn requests(made: &[Vec<Cells>], largest: usize) -> Vec<Range<usize>> {
    let mut requests = Vec::new();
    let (mut start, mut count) = (0, 0);
    for (index, rows) in made.iter().enumerate() {
        if count > 0 && count + rows.len() > largest {
            requests.push(start..index);
            (start, count) = (index, 0);
        }
        count += rows.len();
    }
    if count > 0 {
        requests.push(start..made.len());
    }
    requests
}

#[async_trait]
impl Sink for PowerBiRows {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.config.shown()
    }

    /// A write may wait for its turn.
    fn silence(&self) -> Duration {
        SILENCE.saturating_add(self.config.min_interval.get().saturating_mul(2))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dedupe: Some(self.config.dedupe.window.get()),
            rows: self.config.batch.max(1),
            batches: 1,
            linger: self.config.linger.get(),
            ..Capabilities::new(Mode::History)
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        let (mut made, mut places) = (Vec::new(), Vec::new());
        for (place, write) in batch.iter().enumerate() {
            match rows(&self.config, write) {
                Ok(rows) if rows.is_empty() => answers.push(Ok(delivered())),
                Ok(rows) => {
                    made.push(rows);
                    places.push(place);
                    answers.push(Err(UNANSWERED));
                }
                Err(rejected) => answers.push(Err(rejected)),
            }
        }
        let mut added: Vec<Answer> = vec![Err(UNANSWERED); made.len()];
        let mut requests = requests(&made, self.config.batch.max(1)).into_iter();
        for writes in requests.by_ref() {
            let last = writes.end.saturating_sub(1);
            self.add(&made, writes, &mut added).await;
            let error = added.get(last).and_then(|answer| answer.as_ref().err());
            if let Some(error) = error.filter(|error| goes_for_all(error)).cloned() {
                let error = Err(unsent(error));
                fill(&mut added, last + 1..made.len(), &error);
                break;
            }
        }
        for (place, answer) in places.into_iter().zip(added) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = answer;
            }
        }
        answers
    }

    async fn probe(&self) -> Vec<String> {
        self.table.probe().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_whole_writes_and_no_more_rows_than_it_may() {
        let made = |sizes: &[usize]| -> Vec<Vec<Cells>> {
            let rows = sizes.iter().map(|size| vec![Cells::new(); *size]);
            rows.collect()
        };
        assert_eq!(requests(&made(&[]), 3), Vec::<Range<usize>>::new());
        assert_eq!(requests(&made(&[1, 1, 1, 1]), 3), [0..3, 3..4]);
        assert_eq!(requests(&made(&[2, 2, 5, 1]), 3), [0..1, 1..2, 2..3, 3..4]);
    }
}
