//! What is larger than the log ever takes holds nothing up: what was received becomes a dead letter.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::batches::{letters, logged};
use super::rig::{LARGE, LARGER, Rig, event};

/// A merge whose survivor is larger than the log takes and whose loser is not, between two others:
/// one letter of all that was received, and the log has the rest.
async fn of_a_merge_only_the_survivor_is_missing(survivor: Value) {
    let rig = Rig::new();
    rig.log.largest_record.store(LARGER, Ordering::Relaxed);
    let mut merge = json!({
        "type": "MERGE", "tenantId": "acme", "sourceObjectUri": LARGE, "objectVersion": 9,
        "commitTime": 1_800_000_000_000_i64, "uris": ["entities/lost", LARGE],
    });
    if survivor.is_object() {
        merge["object"] = survivor;
    }
    let merge = merge.to_string().into_bytes();
    rig.send(0, 10, vec![event(1, 1), merge.clone(), event(2, 1)]);
    rig.pass(60_000).await;
    assert_eq!(rig.taken.of(0), Some(13));
    let logged = logged(&rig).await.into_iter();
    let mut subjects: Vec<_> = logged.map(|event| event.subject).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["entities/1", "entities/2", "entities/lost"]);
    let letters = letters(&rig).await;
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!((letter.offset, &letter.original), (11, &merge.into()));
    assert_eq!(
        (&*letter.stage, &*letter.reason, &*letter.code),
        ("append", "too_large", "record_too_large")
    );
    let detail = &letter.detail;
    assert!(detail.contains("larger than the 4000 bytes"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn g1_an_event_larger_than_the_log_takes_becomes_a_letter_and_the_position_goes_on() {
    let object = json!({
        "uri": LARGE, "type": "configuration/entityTypes/HCP", "attributes": {},
        "label": "x".repeat(LARGER),
    });
    of_a_merge_only_the_survivor_is_missing(object).await;
}

#[tokio::test(start_paused = true)]
async fn g1_an_answer_larger_than_the_log_takes_becomes_a_letter_and_the_position_goes_on() {
    of_a_merge_only_the_survivor_is_missing(Value::Null).await;
}
