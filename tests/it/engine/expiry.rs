//! Ids of a sink without unique keys expire, beside the flow and never too early.

use std::sync::Arc;
use std::time::Duration;

use goldwire::event::{ChangeId, EventRecord, Kind, State, Subject};
use goldwire::runtime::{Deps, Files, Instance};
use goldwire::store::ids::{self, Noted};
use goldwire::store::{Batch, MemoryStore, keys};
use goldwire::time::Millis;
use prost::Message as _;

use super::runtime::{config, files, parts, to_store, with};
use super::scripted::Scripted;

const WINDOW: Duration = Duration::from_mins(1);

/// A change of one subject, received now.
async fn receive(files: &Files, with: &Deps, uri: &str, version: i64) {
    let now = with.clock.now();
    let record = EventRecord {
        id: format!("{uri}@{version}"),
        tenant: "acme".to_owned(),
        subject: uri.to_owned(),
        version: Some(version),
        commit_time: Some(version * 10_000),
        received_time: now,
        kind: Kind::Removed.into(),
        state: State::Removed.into(),
        ..EventRecord::default()
    };
    let bytes = record.encode_to_vec().into();
    files.log.append(0, vec![bytes]).await.unwrap();
}

fn start(files: &Files, with: &Deps, sink: &Arc<Scripted>) -> Instance {
    let parts = parts(files, Arc::clone(sink), to_store());
    Instance::assemble(&config("1s"), with, parts).unwrap()
}

fn stored(files: &Files) -> [usize; 2] {
    let prefixes = [keys::ids("crm", 0), keys::ids_by_time("crm", 0)];
    prefixes.map(|prefix| files.store.scan(&prefix, None, 10).unwrap().len())
}

async fn pass(millis: Millis) {
    tokio::time::sleep(Duration::from_millis(u64::try_from(millis).unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn g8_an_id_is_removed_when_its_window_is_over_and_no_other_is() {
    let (files, with) = (files(Arc::new(MemoryStore::new())), with());
    let sink = Arc::new(Scripted::appending("crm", WINDOW));
    let instance = start(&files, &with, &sink);
    receive(&files, &with, "entities/a", 1).await;
    pass(40_000).await;
    receive(&files, &with, "entities/a", 2).await;
    pass(18_000).await;
    receive(&files, &with, "entities/a", 1).await;
    pass(1000).await;
    assert_eq!((sink.lines().len(), stored(&files)), (2, [2, 2]));
    pass(4000).await;
    assert_eq!(stored(&files), [1, 1]);
    receive(&files, &with, "entities/a", 2).await;
    pass(60_000).await;
    assert_eq!((sink.lines().len(), stored(&files)), (2, [0, 0]));
    instance.stop().await;
}

/// A round once removed four thousand, however many came.
#[tokio::test(start_paused = true)]
async fn g8_all_that_is_due_goes_in_one_round() {
    let (files, with) = (files(Arc::new(MemoryStore::new())), with());
    let mut batch = Batch::default();
    for version in 0..20_500 {
        let id = ChangeId::of(&Subject::new("acme", "entities/a"), version, version);
        let noted = Noted {
            time: with.clock.now() - 3_600_000,
            observed: false,
        };
        ids::put(&mut batch, "crm", 0, (id, noted));
    }
    files.store.commit(batch).unwrap();
    let instance = start(&files, &with, &Arc::new(Scripted::appending("crm", WINDOW)));
    pass(500).await;
    assert_eq!(stored(&files), [0, 0]);
    instance.stop().await;
}

#[tokio::test(start_paused = true)]
async fn g5_an_outage_of_any_length_shortens_no_window() {
    let (files, with) = (files(Arc::new(MemoryStore::new())), with());
    let sink = Arc::new(Scripted::appending("crm", WINDOW));
    let instance = start(&files, &with, &sink);
    receive(&files, &with, "entities/a", 1).await;
    pass(1000).await;
    instance.stop().await;
    receive(&files, &with, "entities/b", 1).await;
    receive(&files, &with, "entities/a", 1).await;
    pass(3_600_000).await;
    // The records stay in the log for another hour, since the target does not answer either.
    let mut calls = 0;
    sink.answers(move |delivery| {
        calls += 1;
        assert_eq!(delivery.subject.uri(), "entities/b");
        let pause = Duration::from_hours(1);
        (calls == 1).then(|| {
            let code = "429".to_owned();
            Err(goldwire::sink::SinkError::Throttled { code, pause })
        })
    });
    let instance = start(&files, &with, &sink);
    pass(3_000_000).await;
    assert_eq!(
        stored(&files),
        [1, 1],
        "what was received then is not through"
    );
    pass(610_000).await;
    let lines: Vec<_> = sink.lines().into_iter().map(|(uri, ..)| uri).collect();
    assert_eq!(lines, ["entities/a", "entities/b"]);
    pass(70_000).await;
    assert_eq!(stored(&files), [0, 0]);
    instance.stop().await;
}
