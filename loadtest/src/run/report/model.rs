//! What a run measured: what `report.json` holds, and everything else is drawn from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What [`Report::format`] says of a report that this version writes.
pub(crate) const FORMAT: u32 = 2;

/// One run, whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// Version of this format.
    pub(crate) format: u32,
    /// Name of the scenario.
    pub(crate) scenario: String,
    /// The scenario in a sentence.
    pub(crate) about: String,
    /// The command that made it.
    pub(crate) command: String,
    /// What all load follows from.
    pub(crate) seed: u64,
    /// When sending began, RFC 3339, UTC.
    pub(crate) began: String,
    /// From the first scheduled event to the last, seconds.
    pub(crate) seconds: f64,
    /// From the last scheduled event until nothing was left to do, seconds.
    pub(crate) settled: f64,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Programs and their versions.
    pub(crate) versions: BTreeMap<String, String>,
    /// What was sent.
    pub(crate) sent: Sent,
    /// Latency by stage, from the scheduled time: `accepted`, `logged`, `delivered to SINK`.
    pub(crate) stages: Vec<Stage>,
    /// Every event by what became of it at each sink.
    pub(crate) sinks: Vec<Account>,
    /// Second by second.
    pub(crate) timeline: Vec<Second>,
    /// What each program took.
    pub(crate) processes: Vec<Process>,
    /// Of a ramp: its steps.
    pub(crate) steps: Vec<Step>,
    /// Of a ramp: the highest rate that met the objectives, events a second.
    pub(crate) highest_rate: Option<f64>,
    /// Of a ramp: it ended after a step that missed the objectives.
    #[serde(default)]
    pub(crate) ended_early: bool,
    /// Each objective, and whether it was met.
    pub(crate) verdicts: Vec<Verdict>,
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// Processors.
    pub(crate) cpus: u32,
    /// Memory, MiB.
    pub(crate) memory_mib: u64,
    /// Operating system and kernel.
    pub(crate) system: String,
}

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sent {
    /// Events that the schedule had, copies included.
    pub(crate) scheduled: u64,
    /// Of those, acknowledged by the broker or answered 2xx.
    pub(crate) accepted: u64,
    /// Of those, neither: given up after all tries.
    pub(crate) refused: u64,
    /// Webhook requests, and those that were answered 2xx.
    pub(crate) webhook_requests: u64,
    /// See [`Self::webhook_requests`].
    pub(crate) webhook_accepted: u64,
    /// Copies of earlier events.
    pub(crate) copies: u64,
    /// Events that were sent after a newer one of their subject.
    pub(crate) late: u64,
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// How far the sender was behind its schedule, p99, ms: what the load itself adds to latency.
    pub(crate) behind_p99_ms: f64,
}

/// Latency of one stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    /// Which.
    pub(crate) name: String,
    /// Its latency.
    pub(crate) latency: Latency,
}

/// A distribution of latencies, ms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Latency {
    /// Events.
    pub(crate) count: u64,
    /// The mean.
    pub(crate) mean: f64,
    /// Half are below.
    pub(crate) p50: f64,
    /// 90 of 100 are below.
    pub(crate) p90: f64,
    /// 99 of 100.
    pub(crate) p99: f64,
    /// 999 of 1,000.
    pub(crate) p999: f64,
    /// 9,999 of 10,000.
    pub(crate) p9999: f64,
    /// The longest.
    pub(crate) max: f64,
    /// Percentile (0 to 100) and the latency below which it is, ascending.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// What became of every accepted event at one sink.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// The sink.
    pub(crate) sink: String,
    /// Events accepted; the next four and `lost` add up to it.
    pub(crate) accepted: u64,
    /// Seen at the sink.
    pub(crate) delivered: u64,
    /// Not seen, and a newer version of the subject was: a sink that keeps the newest needs no more.
    pub(crate) stale: u64,
    /// A copy of an event that is counted elsewhere.
    pub(crate) duplicate: u64,
    /// In a dead letter.
    pub(crate) dead_lettered: u64,
    /// None of these.
    pub(crate) lost: u64,
    /// Seen at the sink more than once, beyond the first time.
    pub(crate) repeated: u64,
    /// Older than what the sink had of the subject already.
    pub(crate) regressed: u64,
    /// Seen at the sink, and never sent, or with other content.
    pub(crate) invented: u64,
    /// A few of those that are lost, regressed or invented, in words.
    pub(crate) examples: Vec<String>,
}

/// One second of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Second {
    /// Since sending began, seconds.
    pub(crate) at: u64,
    /// Events scheduled in it.
    pub(crate) scheduled: u64,
    /// Events accepted in it.
    pub(crate) accepted: u64,
    /// Events seen in it, by sink.
    pub(crate) delivered: BTreeMap<String, u64>,
    /// Latency of those scheduled in it, by sink, ms: p50, p99 and the longest.
    pub(crate) latency: BTreeMap<String, [f64; 3]>,
    /// Records that are not done yet, by consumer group.
    pub(crate) lag: BTreeMap<String, u64>,
    /// Resident memory by process, MiB.
    pub(crate) memory_mib: BTreeMap<String, f64>,
    /// Processors in use by process: 1 is one processor the whole second.
    pub(crate) cpu: BTreeMap<String, f64>,
}

/// What one program took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// Which.
    pub(crate) name: String,
    /// User and system time, seconds.
    pub(crate) cpu_seconds: f64,
    /// The same for a million accepted events.
    pub(crate) cpu_seconds_per_million: f64,
    /// Peak of resident memory, MiB.
    pub(crate) peak_mib: f64,
}

/// One step of a ramp.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Events a second.
    pub(crate) rate: f64,
    /// Latency p99 of the slowest sink, ms.
    pub(crate) delivered_p99: f64,
    /// The largest lag in it.
    pub(crate) lag: u64,
    /// Whether it met the objectives.
    pub(crate) met: bool,
    /// The objectives that it missed, in words.
    #[serde(default)]
    pub(crate) missed: Vec<String>,
}

/// One objective, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    /// What it is about, in words.
    pub(crate) objective: String,
    /// What was wanted, as `≤ 10 s`.
    pub(crate) wanted: String,
    /// What was measured, as `1.2 s`; where nothing was, why.
    pub(crate) measured: String,
    /// Whether it was met.
    pub(crate) met: bool,
}

impl Report {
    /// Whether all objectives were met.
    pub(crate) fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.met)
    }
}
