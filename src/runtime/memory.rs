//! The bytes that each task may hold.
//!
//! Guarantee (G8): all tasks together hold no more than `delivery.memory`, whatever the number of
//! sinks and partitions.

use super::stop;
use crate::engine::TaskSettings;
use crate::sink::OnFull;
use crate::topology::Config;

/// For records, for answers of Reltio, and for what is asserted once more.
const USES: u64 = 3;

/// Bytes of one task for one use.
pub(super) fn part(config: &Config) -> usize {
    let sinks = config.sinks.len() * usize::from(config.log.partitions);
    // The inbox is a source as well.
    let tasks = u64::try_from(sinks + config.sources.len() + 1).unwrap_or(u64::MAX);
    let part = config.delivery.memory.get() / tasks / USES;
    usize::try_from(part.min(config.delivery.in_flight_bytes.get())).unwrap_or(usize::MAX)
}

/// Bounds and rhythms of a sink's tasks.
pub(super) fn task_settings(config: &Config, on_full: OnFull) -> TaskSettings {
    TaskSettings {
        in_flight: config.delivery.in_flight,
        in_flight_bytes: part(config),
        commit_interval: config.delivery.commit_interval.get(),
        commit_records: config.delivery.commit_records,
        drain_timeout: stop::last_part(config.delivery.drain_timeout.get()),
        detach: on_full == OnFull::Detach,
    }
}

#[cfg(test)]
mod tests {
    use super::part;

    const CONFIG: &str = "tenant: acme
data_dir: data
sources: { stream: { kafka: { bootstrap_servers: localhost, topic: t, group: g } } }
sinks: { lake: { warehouse: { url: \"sqlite:lake.db\" } } }
";

    #[test]
    fn g8_all_tasks_together_hold_no_more_than_the_memory_given() {
        let mut config = crate::topology::parse(CONFIG, &|_| None).unwrap();
        for (partitions, memory) in [(8, "512MiB"), (1024, "1MiB"), (1, "1GiB")] {
            config.log.partitions = partitions;
            config.delivery.memory = memory.into();
            let all = part(&config) * 3 * (usize::from(partitions) + 2);
            assert!(u64::try_from(all).unwrap() <= config.delivery.memory.get());
            assert!(part(&config) > 0);
        }
        assert_eq!(part(&config), 32 << 20, "in_flight_bytes is less");
    }
}
