//! What an outsider sees of a life while it lasts: bounds (G8) and isolation (G6).

use std::sync::Arc;
use std::time::Duration;

use goldwire::runtime::Instance;
use goldwire::time::Millis;

use super::host::Host;

/// How often the outside looks at the process.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// What came so shortly before a look may still wait for `settle` and a read of Reltio, ms.
const READS: Millis = 10_000;

/// Looks at what the tasks say of themselves, until the life is over.
pub(crate) fn watch(host: &Arc<Host>, instance: &Instance) {
    let (world, sinks) = (Arc::clone(host), instance.sinks().to_vec());
    let log = Arc::clone(&instance.files().log);
    // Shortly before the calm, when dead letters are redriven.
    let judged = world.plan.calm() - 1000;
    tokio::spawn(async move {
        let mut ends = Vec::new();
        while !world.is_gone() {
            let tasks = sinks.iter().flat_map(|sink| sink.tasks.statuses());
            let in_flight: Vec<_> = tasks.map(|(_, status)| status.in_flight).collect();
            bounds(&world, &in_flight);
            if world.now() == judged - READS {
                let partitions = 0..log.identity().partitions;
                ends = partitions.map(|one| log.range(one).end).collect();
            }
            if world.plan.isolation && world.now() == judged {
                for sink in &sinks[1..] {
                    for (partition, status) in sink.tasks.statuses() {
                        let (position, end) = (status.position, ends[usize::from(partition)]);
                        if position < end {
                            world.violate("G6", || {
                                format!(
                                    "{} has {position} of {end} while another sink is away",
                                    sink.name
                                )
                            });
                        }
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

fn bounds(world: &Host, in_flight: &[usize]) {
    let mut state = world.lock();
    if in_flight.iter().any(|records| *records > 0) {
        state.busy.insert(world.life);
    } else {
        state.busy.remove(&world.life);
    }
    let limit = world.plan.in_flight;
    if let Some(records) = in_flight.iter().find(|records| **records > limit) {
        state.violate("G8", || {
            format!("{records} records in flight, {limit} allowed")
        });
    }
}
