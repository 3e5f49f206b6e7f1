//! A report as a run of ninety seconds makes it, whose second sink is slow for a while.

use std::collections::BTreeMap;

use super::figure::float;
use super::*;

const SECONDS: u64 = 90;
const RATE: u64 = 500;
const SINKS: [&str; 2] = ["crm", "warehouse"];

/// A number from 0 to 1 that follows from two others.
fn chance(one: u64, other: u64) -> f64 {
    let mixed = (one.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ other.wrapping_mul(0xbf58_476d_1ce4_e5b9))
    .wrapping_mul(0x94d0_49bb_1331_11eb);
    float((mixed >> 40) % 10_000) / 10_000.0
}

/// Short, so that it is read as it was written: of long numbers `serde_json` may read another last
/// bit.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn named<T>(all: [(&str, T); 2]) -> BTreeMap<String, T> {
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How many times slower the second sink is.
fn trouble(at: u64) -> f64 {
    match at {
        30..50 => 60.0 + 20.0 * float(at - 30),
        50..58 => 460.0 - 55.0 * float(at - 50),
        _ => 1.0,
    }
}

fn second(at: u64) -> Second {
    let sent = at < SECONDS;
    let about = |salt: u64| (chance(at, salt) * 40.0).round();
    let whole = |value: f64| format!("{value:.0}").parse::<u64>().unwrap();
    let scheduled = if sent { RATE } else { 0 };
    let accepted = if sent { whole(480.0 + about(1)) } else { 0 };
    let seen = match at {
        30..50 => 0.4,
        50..58 => 2.4,
        91.. => 0.0,
        _ => 0.95,
    };
    let latency = |salt: u64, times: f64| {
        let p50 = (5.0 + 2.0 * chance(at, salt)) * times;
        let p99 = p50 * (2.4 + chance(at, salt + 1));
        [p50, p99, p99 * (1.2 + 2.0 * chance(at, salt + 2))].map(rounded)
    };
    let (fast, slow) = (latency(2, 1.0), latency(5, trouble(at)));
    Second {
        at,
        scheduled,
        accepted,
        delivered: named([
            (
                SINKS[0],
                if at <= SECONDS {
                    whole(450.0 + about(8))
                } else {
                    0
                },
            ),
            (SINKS[1], whole((480.0 + about(9)) * seen)),
        ]),
        latency: if sent {
            named([(SINKS[0], fast), (SINKS[1], slow)])
        } else {
            BTreeMap::new()
        },
        lag: named([
            ("goldwire-crm", whole(about(10) / 4.0)),
            (
                "goldwire-warehouse",
                whole(about(11) / 4.0 + 12.0 * (trouble(at) - 1.0)),
            ),
        ]),
        memory_mib: named([
            (
                "broker",
                rounded(420.0 + 0.6 * float(at) + about(12) / 10.0),
            ),
            (
                "goldwire",
                rounded(96.0 + 30.0 * (1.0 - (-float(at) / 20.0).exp()) + about(13) / 10.0),
            ),
        ]),
        cpu: named([
            ("broker", rounded(0.25 + chance(at, 14) * 0.08)),
            ("goldwire", rounded(0.45 + chance(at, 15) * 0.15)),
        ]),
    }
}

fn stage(name: &str, p50: f64, tail: f64) -> Stage {
    let at = |nines: f64| rounded(p50 * (nines * nines * tail).exp());
    let curve = (0..=100).map(|step| {
        let nines = f64::from(step) / 20.0;
        (
            100.0 - 100.0 * 10_f64.powf(-nines),
            rounded(p50 * ((nines - 0.3) * (nines - 0.3).abs() * tail).exp()),
        )
    });
    let mut curve: Vec<_> = curve
        .map(|(percentile, ms)| ((percentile * 1e5).round() / 1e5, ms))
        .collect();
    curve.push((100.0, at(5.0)));
    let latency = Latency {
        count: 44_871,
        mean: rounded(p50 * 1.2),
        p50,
        p90: at(0.7),
        p99: at(1.7),
        p999: at(2.7),
        p9999: at(3.7),
        max: at(5.0),
        curve,
    };
    Stage {
        name: name.to_owned(),
        latency,
    }
}

fn account(sink: &str, lost: u64) -> Account {
    Account {
        sink: sink.to_owned(),
        accepted: 44_871,
        delivered: 41_744 - lost,
        stale: 884,
        duplicate: 2_243,
        lost,
        repeated: 17,
        examples: (0..lost)
            .map(|event| format!("event {event} of entities/0k{event}Zq is lost"))
            .collect(),
        ..Account::default()
    }
}

fn verdict(objective: &str, wanted: &str, measured: &str, met: bool) -> Verdict {
    let [objective, wanted, measured] = [objective, wanted, measured].map(str::to_owned);
    Verdict {
        objective,
        wanted,
        measured,
        met,
    }
}

fn process(name: &str, cpu_seconds: f64, cpu_seconds_per_million: f64, peak_mib: f64) -> Process {
    Process {
        name: name.to_owned(),
        cpu_seconds,
        cpu_seconds_per_million,
        peak_mib,
    }
}

/// The report.
pub(super) fn sample() -> Report {
    let mut report = Report {
        format: FORMAT,
        scenario: "slow-sink".to_owned(),
        about: "Each answer of the warehouse takes longer and longer for twenty seconds."
            .to_owned(),
        command: "loadtest run slow-sink --goldwire target/dist/goldwire --out report".to_owned(),
        seed: 42,
        began: "2026-02-03T04:05:06Z".to_owned(),
        seconds: float(SECONDS),
        settled: 4.2,
        machine: Machine {
            cpus: 2,
            memory_mib: 7_936,
            system: "Debian GNU/Linux 12, Linux 6.1.0-28-amd64 x86_64".to_owned(),
        },
        versions: named([
            ("goldwire", "0.1.0 (8ab6fe2)".to_owned()),
            ("kafka", "4.1.0".to_owned()),
        ]),
        sent: Sent {
            scheduled: 45_000,
            accepted: 44_871,
            refused: 129,
            copies: 2_250,
            late: 900,
            bytes: 76_543_210,
            behind_p99_ms: 0.412,
            ..Sent::default()
        },
        timeline: (0..=SECONDS + 4).map(second).collect(),
        verdicts: vec![
            verdict(
                "every event accounted for at every sink",
                "all",
                "all are",
                true,
            ),
            verdict("consumer lag", "< 1000", "5522", false),
            verdict("delivered, p99", "≤ 10000 ms", "3102.4 ms", true),
            verdict("error rate", "< 0.1 %", "0.287 %", false),
            verdict("dead letters", "≤ 0", "0", true),
        ],
        ..Report::default()
    };
    report.stages = vec![
        stage("accepted", 1.8, 0.11),
        stage("logged", 3.1, 0.13),
        stage("delivered to crm", 6.2, 0.15),
        stage("delivered to warehouse", 8.4, 0.26),
    ];
    report.sinks = vec![account(SINKS[0], 0), account(SINKS[1], 0)];
    report.processes = vec![
        process("broker", 26.9, 599.5, 474.1),
        process("goldwire", 47.3, 1054.1, 128.6),
    ];
    report
}

/// The same with all that a report can have: a ramp, webhooks, and a sink that lost events.
pub(super) fn ramp() -> Report {
    let mut report = sample();
    report.scenario = "ramp".to_owned();
    report.sent.webhook_requests = 1_000;
    report.sent.webhook_accepted = 998;
    report.highest_rate = Some(8_000.0);
    report.steps = (1..=12)
        .map(|step| {
            let rate = f64::from(step) * 1000.0;
            let met = step <= 8;
            let lag = if met { 211 } else { 40_000 };
            Step {
                rate,
                delivered_p99: if met { 14.25 } else { 4100.5 },
                lag,
                met,
                missed: if met {
                    Vec::new()
                } else {
                    vec!["consumer lag: wanted < 1000, measured 40000".to_owned()]
                },
            }
        })
        .collect();
    report.sinks[1] = account(SINKS[1], 3);
    report.verdicts[0] = verdict(
        "every event accounted for at every sink",
        "all",
        "3 lost, 0 invented, 0 older than before",
        false,
    );
    report
}
