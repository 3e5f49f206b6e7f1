//! What is seen of the system from outside, every second: lag, memory, processors.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::{Instant, MissedTickBehavior};

use super::ledger::Micros;
use super::report::Process;
use crate::Failed;
use crate::usage::{Usage, mib};

/// How long a broker has for one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// One look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Micros,
    /// Records behind, by consumer group.
    pub(crate) lag: BTreeMap<String, u64>,
    /// Resident memory by process, MiB.
    pub(crate) memory_mib: BTreeMap<String, f64>,
    /// Processors in use by process.
    pub(crate) cpu: BTreeMap<String, f64>,
}

/// Where lags are told.
#[derive(Debug, Clone)]
pub(crate) enum Lags {
    /// A goldwire's admin listener, as `http://host:port`.
    Admin(String),
    /// The brokers, of a group and a topic.
    Group {
        /// `host:port`.
        bootstrap: String,
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
    },
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    /// Where lags are told.
    pub(crate) lags: Vec<Lags>,
    /// Processes by name.
    pub(crate) processes: BTreeMap<String, u32>,
}

/// Looks every second until it is told to stop.
#[derive(Debug)]
pub(crate) struct Watch {
    of: Arc<Mutex<Watched>>,
    http: reqwest::Client,
    start: Instant,
    samples: Vec<Sample>,
    /// What each process cost when it was seen first, and last.
    costs: BTreeMap<String, (Usage, Usage)>,
    looked: Instant,
}

impl Watch {
    /// Looks at nothing yet; what is added later is looked at, too. Times count from `start`.
    pub(crate) fn new(of: Arc<Mutex<Watched>>, start: Instant) -> Self {
        Self {
            of,
            http: reqwest::Client::new(),
            start,
            samples: Vec::new(),
            costs: BTreeMap::new(),
            looked: start,
        }
    }

    /// Looks once a second as long as `work` lasts; `tell` gets what was seen.
    pub(crate) async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
        tell: impl Fn(&Sample),
    ) -> T {
        let mut work = pin!(work);
        let mut rhythm = tokio::time::interval(Duration::from_secs(1));
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let look = async {
                rhythm.tick().await;
                self.look().await
            };
            tokio::select! {
                ended = &mut work => {
                    self.costs();
                    return ended;
                }
                sample = look => {
                    tell(&sample);
                    self.samples.push(sample);
                }
            }
        }
    }

    /// What was seen, and what each process took for `accepted` events.
    pub(crate) fn told(self, accepted: u64) -> (Vec<Sample>, Vec<Process>) {
        let millions = u32::try_from(accepted).map_or(f64::MAX, f64::from) / 1_000_000.0;
        let processes = self.costs.into_iter().map(|(name, (first, last))| {
            let cpu_seconds = last.cpu_seconds - first.cpu_seconds;
            Process {
                name,
                cpu_seconds,
                cpu_seconds_per_million: if accepted == 0 {
                    0.0
                } else {
                    cpu_seconds / millions
                },
                peak_mib: mib(last.peak_kib),
            }
        });
        (self.samples, processes.collect())
    }

    async fn look(&mut self) -> Sample {
        let since = self.looked.elapsed().as_secs_f64();
        self.looked = Instant::now();
        let mut sample = Sample {
            at: micros(self.start.elapsed()),
            ..Sample::default()
        };
        for (name, (before, now)) in self.costs() {
            sample
                .memory_mib
                .insert(name.clone(), mib(now.resident_kib));
            if since > 0.0 {
                sample
                    .cpu
                    .insert(name, (now.cpu_seconds - before.cpu_seconds) / since);
            }
        }
        for lags in self.watched().lags {
            // Whoever does not answer has no lag in this second.
            sample
                .lag
                .extend(lags.ask(&self.http).await.unwrap_or_default());
        }
        sample
    }

    fn watched(&self) -> Watched {
        self.of
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Each process before and now.
    fn costs(&mut self) -> Vec<(String, (Usage, Usage))> {
        let mut costs = Vec::new();
        for (name, pid) in self.watched().processes {
            // One that ended keeps what it had.
            let Ok(now) = Usage::of(pid) else { continue };
            let known = self.costs.entry(name.clone()).or_insert((now, now));
            let before = std::mem::replace(&mut known.1, now);
            costs.push((name, (before, now)));
        }
        costs
    }
}

impl Lags {
    async fn ask(self, http: &reqwest::Client) -> Result<BTreeMap<String, u64>, Failed> {
        match self {
            Self::Admin(url) => {
                let answer = http
                    .get(format!("{url}/metrics"))
                    .timeout(ANSWER)
                    .send()
                    .await?;
                Ok(of_metrics(&answer.text().await?))
            }
            Self::Group {
                bootstrap,
                group,
                topic,
            } => {
                let asked =
                    tokio::task::spawn_blocking(move || of_group(&bootstrap, &group, &topic));
                asked.await?
            }
        }
    }
}

/// `goldwire_lag_records` of every group, summed over its partitions.
fn of_metrics(text: &str) -> BTreeMap<String, u64> {
    let mut lags = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("goldwire_lag_records{"))
    {
        let group = line
            .split_once("consumergroup=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let value = line
            .rsplit_once(' ')
            .and_then(|(_, value)| value.parse::<f64>().ok());
        if let (Some((group, _)), Some(value)) = (group, value) {
            let whole = format!("{value:.0}").parse::<u64>().unwrap_or_default();
            *lags.entry(group.to_owned()).or_default() += whole;
        }
    }
    lags
}

/// Ends of the topic's partitions less the group's offsets.
fn of_group(bootstrap: &str, group: &str, topic: &str) -> Result<BTreeMap<String, u64>, Failed> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let partitions = metadata
        .topics()
        .first()
        .map(rdkafka::metadata::MetadataTopic::partitions);
    let mut list = TopicPartitionList::new();
    for partition in partitions.unwrap_or_default() {
        list.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(list, ANSWER)?;
    let mut lag = 0;
    for element in committed.elements() {
        let (low, high) = consumer.fetch_watermarks(topic, element.partition(), ANSWER)?;
        let at = match element.offset() {
            Offset::Offset(at) => at,
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => low,
        };
        lag += u64::try_from(high - at).unwrap_or_default();
    }
    Ok(BTreeMap::from([(group.to_owned(), lag)]))
}

/// A duration in whole microseconds.
pub(crate) fn micros(of: Duration) -> Micros {
    Micros::try_from(of.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_summed_by_group() {
        let text = "# TYPE goldwire_lag_records gauge\n\
                    goldwire_lag_records{consumergroup=\"a\",partition=\"0\"} 3\n\
                    goldwire_lag_records{consumergroup=\"a\",partition=\"1\"} 4\n\
                    goldwire_lag_records{consumergroup=\"a.crm\",partition=\"0\"} 0\n\
                    goldwire_outcomes{consumergroup=\"a\"} 9\n";
        let lags = of_metrics(text);
        assert_eq!(
            lags,
            BTreeMap::from([("a".to_owned(), 7), ("a.crm".to_owned(), 0)])
        );
    }
}
