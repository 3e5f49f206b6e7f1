//! A sink that a person holds.

use std::sync::Arc;

use goldwire::runtime::{Deps, Files, Instance};
use goldwire::sink::Mode;
use goldwire::store::{MemoryStore, Store};
use goldwire::telemetry;
use prometheus::Registry;

use super::runtime::{append, config, files, part, parts, pass, to_store, with};
use super::scripted::Scripted;

fn start(files: &Files, sink: &Arc<Scripted>) -> (Instance, Registry) {
    let (metrics, registry) = telemetry::instruments().unwrap();
    let with = Deps { metrics, ..with() };
    let parts = parts(files, Arc::clone(sink), to_store());
    let instance = Instance::assemble(&config("16s"), &with, parts).unwrap();
    (instance, registry)
}

#[tokio::test(start_paused = true)]
async fn g2_a_paused_sink_gets_nothing_through_a_restart_too_and_everything_when_it_goes_on() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let files = files(store);
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let (instance, registry) = start(&files, &sink);
    let control = instance.control(&with().clock);
    append(files.log.as_ref(), "entities/a").await;
    pass(2).await;
    assert!(sink.holds("entities/a").is_some());
    control.pause("crm").await.unwrap();
    append(files.log.as_ref(), "entities/b").await;
    pass(3600).await;
    assert_eq!(sink.holds("entities/b"), None);
    let paused = part(&instance.health(), "sink crm/0");
    assert!(
        paused.ok && paused.state == "paused by a person",
        "{paused:?}"
    );
    let text = telemetry::text(&registry).unwrap();
    assert!(
        text.lines()
            .any(|line| line.starts_with("goldwire_sink_state{") && line.ends_with(" 4"))
    );
    assert!(control.pause("crn").await.is_err());
    instance.stop().await;

    let (instance, _registry) = start(&files, &sink);
    pass(60).await;
    assert_eq!(sink.holds("entities/b"), None, "still paused");
    assert_eq!(instance.sinks()[0].tasks.statuses()[&0].position, 1);
    let control = instance.control(&with().clock);
    control.resume("crm").await.unwrap();
    pass(2).await;
    assert!(sink.holds("entities/b").is_some(), "at once");
    assert_eq!(part(&instance.health(), "sink crm/0").state, "running");
    instance.stop().await;
    let (instance, _registry) = start(&files, &sink);
    assert_eq!(part(&instance.health(), "sink crm/0").state, "running");
}
