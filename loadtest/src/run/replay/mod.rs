//! Captured traffic, sent again.
//!
//! Guarantee: nothing is sent unless every line can be accounted for.

mod line;
mod names;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use line::Line;
pub(crate) use names::Names;

use super::load::{Due, Schedule};
use super::scenario::{Rate, Scenario};
use super::send::Message;
use crate::Failed;
use crate::throughput::event::Event;

/// Captured events, in the order of the file.
#[derive(Debug)]
pub(crate) struct Replay {
    /// What the file is called, for messages.
    file: String,
    lines: Vec<(Line, Event)>,
    /// When each was sent since the first one; nothing where the file has no times.
    times: Option<Vec<Duration>>,
    pub(crate) names: Arc<Names>,
}

impl Replay {
    /// Reads a whole file.
    ///
    /// # Errors
    /// What is wrong in which line, and what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        let file = format!("--replay {}", path.display());
        let text = fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
        Ok(Self::of(&file, &text)?)
    }

    fn of(file: &str, text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (number, text) in (1..).zip(text.lines()) {
            if text.trim().is_empty() {
                continue;
            }
            let at = |what| format!("{file}: line {number}: {what}");
            let line = Line::read(text).map_err(at)?;
            let first: &Line = lines.first().unwrap_or(&line);
            if first.time.is_some() != line.time.is_some() {
                let what = "some lines have a `time` and some have none; give it in all or in none";
                return Err(at(what.to_owned()));
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Err(format!(
                "{file}: there is no event; give one JSON object a line"
            ));
        }
        let names = Names::new(lines.iter().map(|line| (line.uri.as_str(), line.version)));
        let times = since_first(&lines);
        let events = lines.into_iter().filter_map(|line| {
            let event = names.event(&line.uri, line.version)?;
            Some((line, event))
        });
        Ok(Self {
            file: file.to_owned(),
            lines: events.collect(),
            times,
            names: Arc::new(names),
        })
    }

    /// Makes the scenario as long as the replay is, unless it was given a time.
    ///
    /// # Errors
    /// What of the two does not fit.
    pub(crate) fn fit(
        &self,
        scenario: &mut Scenario,
        seconds: Option<u32>,
        speed: Option<f64>,
        times: f64,
    ) -> Result<(), Failed> {
        let refused = |what: &str| Err(format!("{}: {what}", self.file).into());
        let steady = match scenario.rate {
            Rate::Steady { per_second } => Some(per_second),
            Rate::Ramp { .. } | Rate::Spike { .. } | Rate::Unlimited { .. } => None,
        };
        let lasts = match (&self.times, steady, speed) {
            (Some(_), None, _) => {
                return refused(
                    "its lines have times, and the scenario has another rate; take one with a steady rate, or leave the times out",
                );
            }
            (None, _, Some(_)) => {
                return refused("--replay-speed needs lines with a `time`; give --times");
            }
            (Some(_), _, _) if (times - 1.0).abs() > f64::EPSILON => {
                return refused("its lines have times; give --replay-speed, not --times");
            }
            (Some(all), Some(_), speed) => all
                .last()
                .map(|last| last.as_secs_f64() / speed.unwrap_or(1.0)),
            (None, Some(rate), None) => {
                let events = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
                Some((f64::from(events) - 1.0) / rate)
            }
            (None, None, None) => None,
        };
        if let Some(lasts) = lasts.filter(|_| seconds.is_none()) {
            // The end of the second that the last one is in.
            let whole = Duration::try_from_secs_f64(lasts).map_or(u64::MAX, |it| it.as_secs());
            scenario.seconds = u32::try_from(whole + 1).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    /// When each event is due, within the scenario's time.
    pub(crate) fn plan(&self, scenario: &Scenario, seed: u64, faster: Option<f64>) -> Vec<Due> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let due: Box<dyn Iterator<Item = Duration>> = match &self.times {
            Some(times) => {
                let faster = faster.unwrap_or(1.0);
                let end = Duration::from_secs(scenario.seconds.into());
                let due = times.iter().map(move |at| at.div_f64(faster));
                Box::new(due.take_while(move |at| *at < end))
            }
            None => Box::new(Schedule::new(scenario.rate, scenario.seconds)),
        };
        let mut newest: HashMap<u32, u32> = HashMap::new();
        let mut sent = HashSet::new();
        let plan = due.zip(&self.lines).map(|(at, (_, event))| {
            let newest = newest.entry(event.entity).or_default();
            let (copy, late) = (!sent.insert(*event), event.version < *newest);
            *newest = event.version.max(*newest);
            Due {
                at,
                event: *event,
                notes: 0,
                copy,
                late: late && !copy,
                by_webhook: rng.random::<f64>() < scenario.webhooks,
            }
        });
        plan.collect()
    }

    /// The message of this number.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn message(&self, number: usize, by_webhook: bool) -> Result<Message, Failed> {
        let (line, event) = self.lines.get(number).ok_or("no line is left")?;
        let headers = line.headers.clone().into_iter();
        Ok(Message {
            event: *event,
            body: line.body(by_webhook)?,
            key: line.key.clone(),
            headers: headers
                .map(|(name, value)| (Cow::Owned(name), value))
                .collect(),
        })
    }

    /// Refuses events of another tenant than the one that is served.
    ///
    /// # Errors
    /// Which one they are of.
    pub(crate) fn check_tenant(&self, served: &str) -> Result<(), Failed> {
        let mut tenants = self
            .lines
            .iter()
            .filter_map(|(line, _)| line.tenant.as_deref());
        tenants.find(|tenant| *tenant != served).map_or(Ok(()), |other| {
            Err(format!(
                "{}: it has events of tenant {other}, and the embedded goldwire serves {served}; give --bootstrap or --webhook of one that serves it",
                self.file
            )
            .into())
        })
    }
}

/// When each line was sent since the first one. One that is older than the line before it was sent
/// at once.
fn since_first(lines: &[Line]) -> Option<Vec<Duration>> {
    let first = lines.first()?.time?;
    let mut last = Duration::ZERO;
    let times = lines.iter().map(|line| {
        let since = line.time.unwrap_or(first).saturating_sub(first);
        last = last.max(Duration::from_millis(
            u64::try_from(since).unwrap_or_default(),
        ));
        last
    });
    Some(times.collect())
}
