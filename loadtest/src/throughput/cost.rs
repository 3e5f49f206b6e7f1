//! What this process has cost, as the kernel counts it.

use std::fs;

use crate::Failed;

/// Ticks a second of `/proc`: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// CPU seconds (user and system) and peak of resident memory in MiB of this process.
pub(super) fn of_this_process() -> Result<(f64, u64), Failed> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold blanks; utime and stime are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat is odd")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.ok_or("/proc/self/status has no VmHWM")?.trim();
    let kib: u64 = kib.trim_end_matches("kB").trim().parse()?;
    Ok((ticks / TICKS, kib / 1024))
}
