//! Where and when a run was made.

use std::fs;

use jiff::Timestamp;
use loadtest::time::Millis;

use super::report::Machine;

/// This machine.
pub(crate) fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|text| {
        text.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let release = read("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = read("/proc/sys/kernel/osrelease");
    Machine {
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_mib: kib.unwrap_or_default() / 1024,
        system: format!(
            "{}, Linux {}",
            name.unwrap_or("Linux").trim_matches('"'),
            kernel.trim()
        ),
    }
}

/// The command line of this program, without the directory that it is in.
pub(crate) fn command() -> String {
    let words = std::env::args().skip(1);
    let words = words.map(|word| {
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            word
        }
    });
    let words: Vec<_> = std::iter::once("loadtest".to_owned())
        .chain(words)
        .collect();
    words.join(" ")
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(time: Millis) -> String {
    let time = Timestamp::from_millisecond(time / 1000 * 1000);
    time.map_or_else(|_| String::new(), |time| time.to_string())
}
