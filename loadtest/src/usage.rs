//! What a process has cost, as the kernel counts it.

use std::fs;

use crate::Failed;

/// Ticks a second of `/proc`: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// What a process has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time, seconds.
    pub(crate) cpu_seconds: f64,
    /// Resident memory, KiB.
    pub(crate) resident_kib: u32,
    /// Its peak, KiB.
    pub(crate) peak_kib: u32,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    /// If `/proc` cannot be read as expected.
    pub(crate) fn of_this_process() -> Result<Self, Failed> {
        Self::read("self")
    }

    /// Of the process `pid`.
    ///
    /// # Errors
    /// If it is gone, or another user's.
    pub(crate) fn of(pid: u32) -> Result<Self, Failed> {
        Self::read(&pid.to_string())
    }

    fn read(pid: &str) -> Result<Self, Failed> {
        let text = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
        };
        let stat = text("stat")?;
        // The name in brackets may hold blanks; utime and stime are the 12th and 13th field after it.
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat is odd")?;
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
        let status = text("status")?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.map(|line| line.trim().trim_end_matches("kB").trim());
            number
                .and_then(|number| number.parse().ok())
                .ok_or("the process is gone")
        };
        Ok(Self {
            cpu_seconds: ticks / TICKS,
            resident_kib: kib("VmRSS:")?,
            peak_kib: kib("VmHWM:")?,
        })
    }
}

/// KiB in MiB.
pub(crate) fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}
