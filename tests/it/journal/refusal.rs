//! Directories that are not this log's, or not this process's.

use goldwire::log::journal::Journal;
use goldwire::log::{LogAppender as _, LogError};

use super::{open, record, settings};

fn refused(dir: &std::path::Path, partitions: u16) -> String {
    match Journal::open(settings(dir, partitions)) {
        Err(LogError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 1);
    let why = refused(dir.path(), 1);
    assert!(
        why.contains("in use") && why.contains(&dir.path().display().to_string()),
        "{why}"
    );
    drop(log);
    open(dir.path(), 1);
}

#[test]
fn the_identity_stays_and_another_partition_count_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let made = open(dir.path(), 3).identity().clone();
    assert_eq!(open(dir.path(), 3).identity(), &made);
    assert_eq!(made.partitions, 3);
    let why = refused(dir.path(), 4);
    assert!(
        why.contains("3 partitions") && why.contains("with 4"),
        "{why}"
    );
    assert_ne!(
        open(tempfile::tempdir().unwrap().path(), 3).identity().id,
        made.id
    );
    assert!(refused(tempfile::tempdir().unwrap().path(), 0).contains("log.partitions"));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 1));
    let file = dir.path().join("identity.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"format\":1", "\"format\":2")).unwrap();
    assert!(refused(dir.path(), 1).contains("format 2"));
}

#[tokio::test]
async fn records_without_an_identity_are_refused_and_a_half_made_log_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 2));
    let identity = dir.path().join("identity.json");
    std::fs::remove_file(&identity).unwrap();
    let log = open(dir.path(), 2);
    log.append(1, vec![record("kept")]).await.unwrap();
    drop(log);
    std::fs::remove_file(&identity).unwrap();
    assert!(refused(dir.path(), 2).contains("no identity.json"));
}
