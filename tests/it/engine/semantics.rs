//! What events mean: merges, splits, redeliveries, partial payloads, in orders that happen.

use serde_json::json;

use super::delivery::rejected;
use super::rig::{Rig, at, unversioned};
use super::scripted::Scripted;
use super::tenant::person;
use goldwire::event::{Kind, SubjectState};
use goldwire::sink::Mode;

const W: &str = "entities/w";
const L: &str = "entities/l";

/// W and L live, and the sink has both.
async fn two_people(rig: &Rig, running: &super::rig::Running) {
    rig.tenant.lives(W, &person(W, "Win"));
    rig.tenant.lives(L, &person(L, "Lose"));
    rig.changed(at(1, 0), &person(W, "Win"));
    rig.changed(at(1, 0), &person(L, "Lose"));
    rig.caught_up(running).await;
    rig.pass(10_000).await;
}

fn merged(rig: &Rig, version: i64, commit_time: i64) {
    let body = json!({ "type": "ENTITIES_MERGED", "uris": [W, L] });
    rig.send("ENTITIES_MERGED", W, at(version, commit_time), &body);
}

fn lost(rig: &Rig, commit_time: i64) {
    let body = json!({ "type": "ENTITY_LOST_MERGE", "uri": L });
    rig.send("ENTITY_LOST_MERGE", L, unversioned(commit_time), &body);
}

#[tokio::test(start_paused = true)]
async fn g9_a_later_change_of_the_winner_may_arrive_before_the_merge() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    let newest = person(W, "Winner changed after the merge");
    rig.tenant.lives(W, &newest);
    rig.tenant.absorbed(L, &newest);

    rig.changed(at(3, 14_000), &newest);
    merged(&rig, 2, 12_000);
    lost(&rig, 12_000);
    rig.caught_up(&running).await;

    assert_eq!(
        running.sink.holds(W).unwrap(),
        "Winner changed after the merge"
    );
    assert_eq!(running.sink.holds(L).unwrap(), "absorbed by entities/w");
    assert!(rig.letters("crm").is_empty());
}

/// Reltio tells changes of entities that lost a merge. The sink knows nothing of the merge, which
/// is a dead letter.
#[tokio::test(start_paused = true)]
async fn g9_a_change_of_the_loser_does_not_bring_it_back_when_its_death_is_a_dead_letter() {
    for mode in [Mode::Latest, Mode::History] {
        let rig = Rig::new();
        let running = rig.sink(Scripted::new("crm", mode, None));
        two_people(&rig, &running).await;
        rig.tenant.absorbed(L, &person(W, "Winner"));
        running.sink.answers(|write| {
            let dead = matches!(write.current.as_ref()?.state, SubjectState::Absorbed { .. });
            dead.then(|| Err(rejected()))
        });
        lost(&rig, 12_000);
        rig.caught_up(&running).await;
        assert_eq!(rig.letters("crm").len(), 1, "{mode:?}");

        running.sink.answers(|_| None);
        rig.changed(at(2, 60_000), &person(L, "Echo"));
        rig.caught_up(&running).await;
        assert_eq!(
            running.sink.holds(L).unwrap(),
            "absorbed by entities/w",
            "{mode:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn g4_a_late_change_of_the_loser_does_not_bring_it_back() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    rig.tenant.lives(W, &person(W, "Both"));
    rig.tenant.absorbed(L, &person(W, "Both"));
    merged(&rig, 2, 12_000);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(L).unwrap(), "absorbed by entities/w");

    // Committed before the merge, delivered long after it.
    rig.changed(at(2, 11_000), &person(L, "Late"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(L).unwrap(), "absorbed by entities/w");
}

#[tokio::test(start_paused = true)]
async fn g9_a_merge_that_is_redelivered_after_the_split_does_not_merge_again() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    rig.tenant.lives(W, &person(W, "Both"));
    rig.tenant.absorbed(L, &person(W, "Both"));
    merged(&rig, 2, 12_000);
    lost(&rig, 12_000);
    rig.caught_up(&running).await;
    rig.pass(20_000).await;
    rig.tenant.lives(W, &person(W, "Win again"));
    rig.tenant.lives(L, &person(L, "Lose again"));
    let split = json!({ "type": "ENTITIES_SPLITTED", "uris": [W, L] });
    rig.send("ENTITIES_SPLITTED", W, at(3, 40_000), &split);
    rig.changed(at(3, 40_000), &person(W, "Win again"));
    rig.changed(at(3, 40_000), &person(L, "Lose again"));
    rig.caught_up(&running).await;
    rig.pass(20_000).await;

    merged(&rig, 2, 12_000);
    lost(&rig, 12_000);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Win again");
    assert_eq!(running.sink.holds(L).unwrap(), "Lose again");
}

#[tokio::test(start_paused = true)]
async fn g9_who_survived_is_read_and_never_taken_from_the_order_of_the_uris() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    rig.tenant.lives(W, &person(W, "Both"));
    rig.tenant.absorbed(L, &person(W, "Both"));
    let body = json!({ "type": "ENTITIES_MERGED", "uris": [L, W] }).to_string();
    let headers = [("tenantid", "acme"), ("eventtype", "ENTITIES_MERGED")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    rig.send_record(headers.into(), body.into_bytes());
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Both");
    assert_eq!(running.sink.holds(L).unwrap(), "absorbed by entities/w");
}

#[tokio::test(start_paused = true)]
async fn g9_a_loser_that_reltio_does_not_know_any_more_is_dead_and_not_absorbed_again() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    // Merged, split and removed before any of it arrives.
    rig.tenant.removed(L);
    rig.pass(20_000).await;
    merged(&rig, 2, 12_000);
    lost(&rig, 12_000);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(L).unwrap(), "gone");
}

/// One change in four payload types.
async fn four_copies(rig: &Rig, running: &super::rig::Running) {
    let uri = "entities/a";
    rig.tenant.lives(uri, &person(uri, "Ann"));
    let delta = json!({ "type": "ENTITY_CHANGED", "uri": uri, "deltas": {
        "entityType": "Individual", "delta": [{ "type": "ATTRIBUTE_CHANGED" }] } });
    rig.send("ENTITY_CHANGED", uri, at(4, 0), &delta);
    rig.send(
        "ENTITY_CHANGED",
        uri,
        at(4, 0),
        &json!({ "type": "ENTITY_CHANGED" }),
    );
    let over = json!({ "type": "ENTITY_CHANGED", "exceededQueueSizeLimit": true });
    rig.send("ENTITY_CHANGED", uri, at(4, 0), &over);
    rig.changed(at(4, 0), &person(uri, "Ann"));
    rig.caught_up(running).await;
    assert_eq!(running.sink.holds(uri).unwrap(), "Ann");
}

#[tokio::test(start_paused = true)]
async fn g5_copies_of_one_change_in_four_payload_types_have_one_effect() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    four_copies(&rig, &running).await;
    assert_eq!(running.sink.deliveries("entities/a"), 1);
}

#[tokio::test(start_paused = true)]
async fn g5_copies_of_one_change_are_one_row_at_a_history_sink() {
    let rig = Rig::new();
    let running = rig.sink(Scripted::new("lake", Mode::History, None));
    four_copies(&rig, &running).await;
    assert_eq!(running.sink.rows().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_relations_of_one_entity_are_two_subjects() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    for (uri, end) in [("relations/1", "entities/x"), ("relations/2", "entities/y")] {
        let object = json!({
            "uri": uri, "type": "configuration/relationTypes/WorksFor",
            "startObject": { "objectURI": "entities/e" }, "endObject": { "objectURI": end },
            "attributes": { "FirstName": [{ "ov": true, "value": end }] },
        });
        let body = json!({ "type": "RELATIONSHIP_CREATED", "object": object });
        rig.send("RELATIONSHIP_CREATED", uri, at(1, 0), &body);
    }
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds("relations/1").unwrap(), "entities/x");
    assert_eq!(running.sink.holds("relations/2").unwrap(), "entities/y");
    assert_eq!(running.sink.holds("entities/e"), None);
}

#[tokio::test(start_paused = true)]
async fn changed_matches_move_nothing() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let body = json!({ "type": "ENTITIES_MATCHES_CHANGED", "sourceObjectUri": W });
    rig.send("ENTITIES_MATCHES_CHANGED", W, at(9, 9000), &body);
    rig.changed(at(1, 0), &person(W, "Win"));
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Win");
    assert_eq!(running.sink.deliveries(W), 1);
}

#[tokio::test(start_paused = true)]
async fn one_read_answers_everything_that_waits_on_a_lane() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.tenant.lives(W, &person(W, "Newest"));
    for millis in 0..50 {
        rig.changed(unversioned(millis), &person(W, "One of many"));
    }
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Newest");
    assert!(
        rig.tenant.reads() <= 2,
        "{} reads for 50 events",
        rig.tenant.reads()
    );
}

#[tokio::test(start_paused = true)]
async fn one_read_hydrates_everything_that_waits_for_it() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    rig.tenant.lives(W, &person(W, "Newest"));
    for version in 0..50 {
        let body = json!({ "type": "ENTITY_CHANGED" });
        rig.send("ENTITY_CHANGED", W, at(version, version), &body);
    }
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Newest");
    assert!(
        rig.tenant.reads() <= 4,
        "{} reads for 50 events",
        rig.tenant.reads()
    );
}

#[tokio::test(start_paused = true)]
async fn an_erasure_passes_every_filter() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    running.sink.wants_only(|kind| kind == Kind::Created);
    rig.changed(at(1, 0), &person(W, "Unwanted"));
    let body = json!({ "type": "ENTITY_REMOVED_GDPR", "object": { "uri": W } });
    rig.tenant.removed(W);
    rig.send("ENTITY_REMOVED_GDPR", W, at(2, 5000), &body);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "erased");
}

#[tokio::test(start_paused = true)]
async fn g2_the_parts_of_an_event_that_need_no_read_go_on_without_the_one_that_failed() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    two_people(&rig, &running).await;
    rig.tenant.absorbed(L, &person(W, "Both"));
    rig.tenant.refuses(W);
    merged(&rig, 2, 12_000);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(L).unwrap(), "absorbed by entities/w");
    let letters = rig.letters("");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].stage.as_str(), letters[0].code.as_str()),
        ("hydrate", "403")
    );
}

#[tokio::test(start_paused = true)]
async fn an_erasure_of_an_earlier_life_reaches_the_sink_of_a_new_one() {
    let rig = Rig::new();
    let running = rig.latest("crm");
    let again = person(W, "Born again");
    rig.tenant.lives(W, &again);
    rig.pass(10_000).await;
    rig.changed(at(1, 9000), &again);
    rig.caught_up(&running).await;
    let body = json!({ "type": "ENTITY_REMOVED_GDPR", "object": { "uri": W } });
    rig.send("ENTITY_REMOVED_GDPR", W, at(6, 8000), &body);
    rig.caught_up(&running).await;
    assert_eq!(running.sink.holds(W).unwrap(), "Born again");
    let last = running.sink.last(W);
    assert!(last.current.unwrap().erased, "what nobody owns has to go");
}
