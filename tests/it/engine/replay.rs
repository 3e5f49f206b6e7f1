//! Delivering what the log holds once more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, Prepares as _, Sealed, StoreCheckpoint,
};
use goldwire::event::{EventRecord, Kind, State};
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::runtime::replay::{Replay, Wanted};
use goldwire::runtime::{Files, Instance};
use goldwire::sink::Mode;
use goldwire::sink::pieces::Seal;
use goldwire::store::MemoryStore;
use goldwire::time::TokioClock;
use prost::Message as _;

use super::rig::START;
use super::runtime::{config, files, parts, pass, to_store, with};
use super::scripted::Scripted;

async fn append(files: &Files, uri: &str, number: i64) {
    let record = EventRecord {
        id: format!("{uri}:{number}"),
        tenant: "acme".to_owned(),
        subject: uri.to_owned(),
        object_type: "Individual".to_owned(),
        version: Some(number),
        commit_time: Some(START + number * 10_000),
        received_time: START + number * 10_000,
        kind: Kind::Removed.into(),
        state: State::Removed.into(),
        ..EventRecord::default()
    };
    let bytes = record.encode_to_vec().into();
    files.log.append(0, vec![bytes]).await.unwrap();
}

async fn deliver(files: &Files, sink: &Arc<Scripted>) {
    let parts = parts(files, Arc::clone(sink), to_store());
    let instance = Instance::assemble(&config("16s"), &with(), parts).unwrap();
    pass(5).await;
    instance.stop().await;
}

fn kept(files: &Files) -> Arc<StoreCheckpoint> {
    Arc::new(StoreCheckpoint {
        store: Arc::clone(&files.store),
        sink: "crm".to_owned(),
        group: "goldwire.crm".to_owned(),
        partition: 0,
    })
}

fn replay(files: &Files) -> Replay {
    let kept: Arc<dyn Checkpoint> = kept(files);
    let clock = Arc::new(TokioClock::starting_at(START));
    Replay::over(Arc::clone(&files.log), vec![kept], clock)
}

fn since(number: i64) -> Wanted {
    Wanted {
        sink: "crm".to_owned(),
        from: START + number * 10_000,
        subject: None,
        object_type: None,
    }
}

/// Three entities that each changed, at a sink that has all of it. The log keeps it.
async fn delivered(sink: &Arc<Scripted>, dir: &Path) -> Files {
    let log = Journal::open(JournalSettings {
        dir: dir.to_owned(),
        partitions: 1,
        quota: 1 << 20,
        disk_reserve: 0,
        keep: Duration::from_hours(1),
        segment: 1 << 16,
        gather: Duration::ZERO,
    });
    let files = Files {
        log: Arc::new(log.unwrap()),
        ..files(Arc::new(MemoryStore::new()))
    };
    for (uri, number) in [
        ("entities/a", 1),
        ("entities/b", 2),
        ("entities/a", 3),
        ("entities/c", 4),
    ] {
        append(&files, uri, number).await;
        deliver(&files, sink).await;
    }
    files
}

fn counts(sink: &Scripted) -> [usize; 3] {
    ["entities/a", "entities/b", "entities/c"].map(|uri| sink.deliveries(uri))
}

#[tokio::test(start_paused = true)]
async fn g4_a_rewind_delivers_every_record_since_then_in_its_order_and_nothing_else() {
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let dir = tempfile::tempdir().unwrap();
    let files = delivered(&sink, dir.path()).await;
    assert_eq!(counts(&sink), [2, 1, 1]);
    let replay = replay(&files);
    let wanted = since(3);
    let found = replay.look(&wanted, &|_| ()).await.unwrap();
    assert_eq!((found[0].records, found[0].first), (2, Some(2)));
    deliver(&files, &sink).await;
    assert_eq!(counts(&sink), [2, 1, 1], "a look changes nothing");
    replay.rewind(&wanted, &found, &|_| ()).await.unwrap();
    deliver(&files, &sink).await;
    assert_eq!(counts(&sink), [3, 1, 2]);
    assert_eq!(sink.last("entities/a").newest, START + 30_000);
}

#[tokio::test(start_paused = true)]
async fn a_rewind_of_one_subject_leaves_the_others() {
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let dir = tempfile::tempdir().unwrap();
    let files = delivered(&sink, dir.path()).await;
    let replay = replay(&files);
    let wanted = Wanted {
        subject: Some("entities/b".to_owned()),
        ..since(0)
    };
    let found = replay.look(&wanted, &|_| ()).await.unwrap();
    replay.rewind(&wanted, &found, &|_| ()).await.unwrap();
    deliver(&files, &sink).await;
    assert_eq!(counts(&sink), [2, 2, 1]);
    let none = Wanted {
        object_type: Some("Organization".to_owned()),
        ..since(0)
    };
    assert_eq!(replay.look(&none, &|_| ()).await.unwrap()[0].records, 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_rewind_each_subject_is_asked_once() {
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let dir = tempfile::tempdir().unwrap();
    let files = delivered(&sink, dir.path()).await;
    let (replay, wanted) = (replay(&files), since(0));
    let found = replay.look(&wanted, &|_| ()).await.unwrap();
    let before = files.log.range(0).end;
    replay.ask(&wanted, &found, &|_| ()).await.unwrap();
    assert_eq!(files.log.range(0).end - before, 3);
    // What was asked is addressed to the sink: it is not asked again by the next replay.
    deliver(&files, &sink).await;
    let again = replay.look(&wanted, &|_| ()).await.unwrap();
    assert_eq!(again[0].subjects.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn g3_nothing_is_rewound_while_a_commit_waits_for_its_piece() {
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let dir = tempfile::tempdir().unwrap();
    let files = delivered(&sink, dir.path()).await;
    let kept = kept(&files);
    let cursor = kept.open().unwrap().cursor.unwrap();
    let piece = Sealed {
        seal: Seal("a file".to_owned()),
        from: cursor.position,
    };
    let batch = CommitBatch {
        cursor,
        ..CommitBatch::default()
    };
    let prepared = kept.plan(batch, piece);
    kept.prepare(&prepared).await.unwrap();
    let (replay, wanted) = (replay(&files), since(3));
    let found = replay.look(&wanted, &|_| ()).await.unwrap();
    let refused = replay.rewind(&wanted, &found, &|_| ()).await.unwrap_err();
    assert!(refused.to_string().contains("a file"), "{refused}");
    deliver(&files, &sink).await;
    assert_eq!(counts(&sink), [2, 1, 1], "nothing was forgotten");
    kept.give_up(&prepared).await.unwrap();
    replay.rewind(&wanted, &found, &|_| ()).await.unwrap();
    deliver(&files, &sink).await;
    assert_eq!(counts(&sink), [3, 1, 2]);
}
