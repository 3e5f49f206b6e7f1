//! The SQLite file is removed, renamed or replaced under the program.

use std::fs;

use goldwire::sink::{Sink as _, SinkError};

use super::place::{Place, deliver};
use super::{event, person};

fn path(place: &Place) -> String {
    place.url.trim_start_matches("sqlite:").to_owned()
}

/// Nothing is acknowledged that went where no one finds it, and the sink goes on with what is there.
async fn is_noticed(change: impl Fn(&str)) {
    let place = Place::sqlite();
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    change(&path(&place));
    let next = [event("entities/a", 2, 2, person("y"))];
    let error = warehouse.write(&next).await.remove(0).unwrap_err();
    let SinkError::Systemic { code, remedy } = error else {
        panic!("{error:?}");
    };
    assert_eq!(code, "file_moved");
    assert!(remedy.contains("removed, renamed or replaced"), "{remedy}");
    deliver(&warehouse, &next).await;
    assert_eq!(place.one("label", "golden_records").await, "y");
    let checked = place.one("integrity_check", "pragma_integrity_check").await;
    assert_eq!(checked, "ok");
}

#[tokio::test]
async fn g1_a_file_that_was_removed_is_noticed_before_the_next_acknowledgement() {
    is_noticed(|path| fs::remove_file(path).unwrap()).await;
    is_noticed(|path| {
        for ending in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{path}{ending}")).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn g1_a_file_that_was_renamed_is_noticed_before_the_next_acknowledgement() {
    is_noticed(|path| fs::rename(path, format!("{path}.old")).unwrap()).await;
}

#[tokio::test]
async fn g1_a_file_that_was_replaced_is_noticed_before_the_next_acknowledgement() {
    is_noticed(|path| {
        fs::write(format!("{path}.new"), b"").unwrap();
        fs::rename(format!("{path}.new"), path).unwrap();
    })
    .await;
}

#[tokio::test]
async fn g1_a_log_that_was_removed_is_noticed_before_the_next_acknowledgement() {
    is_noticed(|path| fs::remove_file(format!("{path}-wal")).unwrap()).await;
}
