//! A position that is not in the log: the reader's own trouble.

use std::sync::Arc;

use goldwire::runtime::{Deps, Instance, Parts};
use goldwire::sink::OnFull;
use goldwire::sink::{Mode, Sink};
use goldwire::store::{Batch, Cursor, MemoryStore, keys};
use prost::Message as _;

use super::runtime::{append, config, files, part, parts, pass, to_store, with};
use super::scripted::Scripted;

/// The log was trimmed while the sink was not configured. The program did not start once.
#[tokio::test(start_paused = true)]
async fn g6_a_sink_that_was_taken_out_for_too_long_is_halted_with_the_remedy_and_the_rest_runs() {
    let files = files(Arc::new(MemoryStore::new()));
    for number in 0..9 {
        append(files.log.as_ref(), &format!("entities/{number}")).await;
    }
    files.log.trim(&[5]).await.unwrap();
    let cursor = |position| Cursor {
        position,
        clean: true,
        ..Cursor::default()
    };
    let mut batch = Batch::default();
    // One is behind the log, one ahead of it, and one is new.
    for (group, position) in [("goldwire.crm", 2), ("goldwire.ahead", 77)] {
        let cursor = cursor(position).encode_to_vec();
        batch.put(keys::cursor(group, 0), cursor);
    }
    files.store.commit(batch).unwrap();
    let sink = |name| Arc::new(Scripted::new(name, Mode::Latest, None));
    let (crm, ahead, lake) = (sink("crm"), sink("ahead"), sink("lake"));
    let sinks = [&crm, &ahead, &lake];
    let sinks = sinks.map(|sink| (Arc::clone(sink) as Arc<dyn Sink>, OnFull::Stall));
    let parts = Parts {
        sinks: sinks.into(),
        ..parts(&files, Arc::clone(&crm), to_store())
    };
    let (metrics, registry) = goldwire::telemetry::instruments().unwrap();
    let with = Deps { metrics, ..with() };
    let instance = Instance::assemble(&config("16s"), &with, parts).unwrap();
    pass(3).await;

    let health = instance.health();
    assert!(health.livez().ok());
    let state = |sink: &str| part(&health, &format!("sink {sink}/0")).state;
    let outside = "halted: position 2 of partition 0 is outside the log, which holds 5 to 9";
    assert!(state("crm").starts_with(outside), "{}", state("crm"));
    assert!(state("crm").contains("sinks.crm.on_full: detach"));
    assert!(
        state("ahead").contains("restore both"),
        "{}",
        state("ahead")
    );
    assert_eq!(state("lake"), "running");
    let text = goldwire::telemetry::text(&registry).unwrap();
    for line in [
        "{sink=\"crm\"} 3",
        "{sink=\"ahead\"} 3",
        "{sink=\"lake\"} 0",
    ] {
        assert!(
            text.contains(&format!("goldwire_sink_state{line}")),
            "{line}"
        );
    }
    for number in 5..9 {
        assert!(lake.holds(&format!("entities/{number}")).is_some());
        assert!(crm.holds(&format!("entities/{number}")).is_none());
    }
    instance.stop().await;
}
