//! Webhooks beside a bare axum handler that does the same for one sender: it verifies the signature,
//! writes the body and fsyncs in groups before it answers 200. By turns, in one run, over loopback;
//! the senders are a process of their own.
//!
//! First saturation: every connection sends when it is answered. Then latency at half of what
//! goldwire accepted: requests are due at times of their own, and latency counts from there.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that fails has no result"
)]

mod bare;
mod connection;
mod listener;
mod sender;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

const SECRET: &str = "a secret of the benchmark";
const SIGNATURE: &str = "x-reltio-signature";
const CONNECTIONS: usize = 64;
const SIZE: usize = 1586;
/// Rounds of saturation, and the seconds of each.
const ROUNDS: usize = 7;
const SECONDS: u64 = 4;
/// Rounds at half of it, and the seconds of each.
const PACED_ROUNDS: usize = 5;
const PACED_SECONDS: u32 = 6;

/// User and system time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// What the senders' process printed.
fn senders(arguments: &[&str]) -> Vec<f64> {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own).args(arguments).output().unwrap();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        panic!("the senders failed: {error}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = text.split_whitespace().map(str::parse);
    numbers.collect::<Result<_, _>>().unwrap()
}

/// Accepted requests a second, and µs of the server's CPU for each.
fn saturated(address: SocketAddr) -> [f64; 2] {
    let (before, began) = (cpu(), Instant::now());
    let printed = senders(&["saturate", &address.to_string()]);
    let (seconds, wall) = (cpu() - before, began.elapsed().as_secs_f64());
    let accepted = printed.first().unwrap();
    [accepted / wall, seconds * 1e6 / accepted]
}

/// The rate reached, p50, p99 and p99.9 in ms.
fn paced(address: SocketAddr, rate: u32) -> [f64; 4] {
    let printed = senders(&["pace", &address.to_string(), &rate.to_string()]);
    printed.try_into().unwrap()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap()
}

/// The median of each figure.
fn medians<const N: usize>(rounds: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|of| median(rounds.iter().filter_map(|round| round.get(of)).copied()))
}

/// Returns goldwire's saturation.
fn saturation(both: [SocketAddr; 2]) -> f64 {
    println!(
        "{CONNECTIONS} connections, {SIZE} bytes, {SECONDS} s each; accepted/s, server's CPU µs"
    );
    let (mut of_bare, mut of_goldwire, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let [bare, goldwire] = both.map(saturated);
        let ratio = goldwire[0] / bare[0];
        println!(
            "round {number}: bare {:>8.0} {:>6.1}   goldwire {:>8.0} {:>6.1}   ratio {ratio:.3}",
            bare[0], bare[1], goldwire[0], goldwire[1]
        );
        of_bare.push(bare);
        of_goldwire.push(goldwire);
        ratios.push(ratio);
    }
    let (bare, goldwire) = (medians(&of_bare), medians(&of_goldwire));
    println!(
        "medians: bare {bare:.1?}, goldwire {goldwire:.1?}, ratio {:.3} (aim: at least 0.8)",
        median(ratios.into_iter())
    );
    goldwire[0]
}

fn latency(both: [SocketAddr; 2], rate: u32) {
    println!(
        "half of goldwire's saturation: {rate}/s asked of each, {PACED_SECONDS} s each; \
         reached/s, ms from the scheduled time: p50, p99, p99.9"
    );
    let (mut of_bare, mut of_goldwire) = (Vec::new(), Vec::new());
    for number in 0..PACED_ROUNDS {
        let [bare, goldwire] = both.map(|address| paced(address, rate));
        println!("round {number}: bare {bare:.2?}   goldwire {goldwire:.2?}");
        of_bare.push(bare);
        of_goldwire.push(goldwire);
    }
    println!(
        "medians: bare {:.2?}, goldwire {:.2?} (aim: p99 under 20 ms)",
        medians(&of_bare),
        medians(&of_goldwire)
    );
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a rate is a small number"
)]
fn half(rate: f64) -> u32 {
    (rate / 2.0) as u32
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["saturate", address] => return sender::saturate(address.parse().unwrap()),
        ["pace", address, rate] => {
            return sender::pace(address.parse().unwrap(), rate.parse().unwrap());
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (bare, goldwire) = runtime.block_on(async {
        (
            bare::serve(dir.path()).await,
            listener::serve(dir.path()).await,
        )
    });
    let both = [bare, goldwire.address()];
    let rate = half(saturation(both));
    latency(both, rate);
    runtime.block_on(goldwire.shutdown(Duration::from_secs(2)));
}
