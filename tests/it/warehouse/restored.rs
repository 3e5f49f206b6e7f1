//! A database that was set back to an earlier state, brought up by `replay --rewind`.

use std::sync::Arc;
use std::time::Duration;

use goldwire::engine::checkpoint::{Checkpoint as _, StoreCheckpoint};
use goldwire::event::{Content, EventRecord, Kind, State};
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::runtime::replay::{Replay, Wanted};
use goldwire::runtime::{Files, Instance, Parts};
use goldwire::sink::{OnFull, Sink};
use goldwire::store::MemoryStore;
use goldwire::time::TokioClock;
use prost::Message as _;
use serde_json::json;
use tokio::time::timeout;

use super::orders::exact_intervals;
use super::place::Place;
use crate::engine::rig::START;
use crate::engine::runtime::{config, files, with};

const ENOUGH: Duration = Duration::from_mins(1);

fn alive(uri: &str, number: i64) -> EventRecord {
    let object = json!({"uri": uri, "label": format!("{uri} {number}"),
        "startObject": {"objectURI": "entities/a"}, "endObject": {"objectURI": "entities/b"},
        "attributes": {"FirstName": [{"value": number, "ov": true}]}});
    EventRecord {
        kind: Kind::Changed.into(),
        state: State::Alive.into(),
        content: Content::Object.into(),
        payload: object.to_string().into(),
        ..dead(uri, number, Kind::Changed, State::Alive)
    }
}

fn dead(uri: &str, number: i64, kind: Kind, state: State) -> EventRecord {
    EventRecord {
        id: format!("{uri}:{number}"),
        tenant: "acme".to_owned(),
        subject: uri.to_owned(),
        object_type: "Individual".to_owned(),
        version: Some(number),
        commit_time: Some(START + number * 10_000),
        received_time: START + number * 10_000,
        kind: kind.into(),
        state: state.into(),
        ..EventRecord::default()
    }
}

fn kept(files: &Files) -> StoreCheckpoint {
    StoreCheckpoint {
        store: Arc::clone(&files.store),
        sink: "crm".to_owned(),
        group: "goldwire.crm".to_owned(),
        partition: 0,
    }
}

/// Delivers until the sink has everything that the log holds.
async fn deliver(files: &Files, place: &Place) {
    let sink: Arc<dyn Sink> = Arc::new(place.open_as("crm"));
    let parts = Parts {
        sinks: vec![(sink, OnFull::Stall)],
        ..Parts::over(files.clone())
    };
    let instance = Instance::assemble(&config("16s"), &with(), parts).unwrap();
    let end = files.log.range(0).end;
    let position = || kept(files).open().unwrap().cursor.map(|at| at.position);
    let caught_up = async {
        while position() != Some(end) {
            tokio::task::yield_now().await;
        }
    };
    timeout(ENOUGH, caught_up).await.unwrap();
    instance.stop().await;
}

async fn append(files: &Files, records: Vec<EventRecord>) {
    let records = records.iter().map(|record| record.encode_to_vec().into());
    files.log.append(0, records.collect()).await.unwrap();
}

fn log(dir: &std::path::Path) -> Files {
    let log = Journal::open(JournalSettings {
        dir: dir.to_owned(),
        partitions: 1,
        quota: 1 << 20,
        disk_reserve: 0,
        keep: Duration::from_hours(1),
        segment: 1 << 16,
        gather: Duration::ZERO,
    });
    Files {
        log: Arc::new(log.unwrap()),
        ..files(Arc::new(MemoryStore::new()))
    }
}

/// What was delivered before the copy was made comes once more with it: the rewind begins earlier.
#[tokio::test]
async fn g4_a_restored_database_equals_the_lost_one_after_a_rewind() {
    let (mut place, mut copy) = (Place::sqlite(), Place::sqlite());
    for place in [&mut place, &mut copy] {
        place.columns = serde_json::from_value(json!({"first_name": "FirstName"})).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let files = log(dir.path());
    let before = vec![
        alive("entities/a", 1),
        alive("entities/b", 2),
        alive("entities/c", 3),
        alive("entities/l", 4),
        alive("relations/r", 5),
    ];
    append(&files, before).await;
    deliver(&files, &place).await;
    let path = copy.url.trim_start_matches("sqlite:").to_owned();
    place.execute(&format!("VACUUM INTO '{path}'")).await;

    let first_loser = EventRecord {
        absorbed_by: Some("entities/a".to_owned()),
        ..dead("entities/l", 6, Kind::Absorbed, State::Absorbed)
    };
    let unmerged = alive("entities/b", 9);
    let second_loser = EventRecord {
        absorbed_by: Some("entities/a".to_owned()),
        ..dead("entities/b", 8, Kind::Absorbed, State::Absorbed)
    };
    let after = vec![
        first_loser,
        alive("entities/a", 7),
        second_loser,
        EventRecord {
            kind: Kind::Split.into(),
            ..unmerged
        },
        dead("entities/c", 10, Kind::Erased, State::Erased),
        dead("relations/r", 11, Kind::Removed, State::Removed),
        alive("entities/n", 12),
    ];
    append(&files, after).await;
    deliver(&files, &place).await;
    let lost = place.everything().await;
    assert_ne!(copy.everything().await, lost);

    let checkpoint = Arc::new(kept(&files));
    let clock = Arc::new(TokioClock::starting_at(START));
    let replay = Replay::over(Arc::clone(&files.log), vec![checkpoint], clock);
    let wanted = Wanted {
        sink: "crm".to_owned(),
        from: START + 4 * 10_000,
        subject: None,
        object_type: None,
    };
    let found = replay.look(&wanted, &|_| ()).await.unwrap();
    assert_eq!(found[0].records, 9);
    replay.rewind(&wanted, &found, &|_| ()).await.unwrap();
    deliver(&files, &copy).await;
    assert_eq!(copy.everything().await, lost);
    exact_intervals(&copy).await;
    let merges = copy.rows(&["loser", "winner", "active"], "merges").await;
    assert_eq!(
        merges,
        [
            ["entities/b", "entities/a", "no"],
            ["entities/l", "entities/a", "yes"]
        ]
    );
}
