//! What goes wrong at the org: sessions, locks, lost answers, limits, rows among rows.

use std::time::Duration;

use goldwire::event::SubjectState;
use goldwire::sink::{Effect, Sink as _, SinkError};
use loadtest::fake_salesforce::{Faults, Field, Kind, Once, Settings};
use serde_json::json;

use super::bench::{Bench, alive, bench, bench_with, contact, delivery, golden, text};

pub(super) async fn many(bench: &Bench, from: usize, to: usize) -> Vec<Result<Effect, SinkError>> {
    let calls = (from..to).map(|n| async move {
        let entity = format!("entities/e{n}");
        let delivery = delivery(&entity, alive(&golden(&entity, &format!("N{n}"), &[])), 1);
        bench
            .sink
            .write_one(&delivery)
            .await
            .map(|delivered| delivered.effect)
    });
    futures::future::join_all(calls).await
}

#[tokio::test]
async fn requests_in_flight_when_the_token_expires_renew_it_once() {
    let bench = bench_with(Settings::of(vec![contact()]), |config| {
        config["linger"] = json!("1ms");
    })
    .await;
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    assert_eq!(bench.org.tokens_granted(), 1);
    bench.org.set_faults(Faults {
        slow: Duration::from_millis(30),
        ..Faults::default()
    });
    bench.org.expire_tokens();
    assert!(many(&bench, 0, 30).await.iter().all(Result::is_ok));
    assert_eq!(bench.org.tokens_granted(), 2);
    assert_eq!(bench.contacts().len(), 31);
}

#[tokio::test]
async fn many_lanes_share_requests_of_up_to_200_rows_each_answered_by_itself() {
    let bench = bench().await;
    assert!(many(&bench, 0, 450).await.iter().all(Result::is_ok));
    assert_eq!(bench.contacts().len(), 450);
    let seen = bench.org.seen();
    assert!(seen.iter().all(|seen| seen.rows <= 200));
    assert!(seen.len() < 60, "{} requests for 450 lanes", seen.len());
}

#[tokio::test]
async fn g7_a_row_that_fails_does_not_take_its_neighbours_along() {
    let bench = bench().await;
    let long = delivery(
        "entities/x",
        alive(&golden("entities/x", &"x".repeat(41), &[])),
        1,
    );
    let (fine, refused) = futures::join!(many(&bench, 0, 20), bench.sink.write_one(&long));
    assert!(fine.iter().all(Result::is_ok));
    let Err(SinkError::Rejected {
        code,
        fields,
        action,
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (code.as_str(), fields, action),
        ("STRING_TOO_LONG", vec!["FirstName".to_owned()], "create")
    );
    assert_eq!(bench.contacts().len(), 20);
}

#[tokio::test]
async fn g7_a_row_that_breaks_the_whole_request_is_found_and_refused_alone() {
    let bench = bench().await;
    let mut json = golden("entities/x", "x", &[]);
    json["attributes"]["FirstName"] = json!([{ "value": 5, "ov": true }]);
    let broken = delivery("entities/x", alive(&json), 1);
    let (fine, refused) = futures::join!(many(&bench, 0, 20), bench.sink.write_one(&broken));
    assert!(fine.iter().all(Result::is_ok), "{fine:?}");
    assert!(
        matches!(refused, Err(SinkError::Rejected { code, .. }) if code == "JSON_PARSER_ERROR")
    );
    assert_eq!(bench.contacts().len(), 20);
}

#[tokio::test]
async fn a_locked_row_is_tried_again_and_says_nothing_of_the_org() {
    let bench = bench().await;
    bench.org.inject(Once::LockRows);
    let locked = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(matches!(
        locked,
        Err(SinkError::Retryable {
            ambiguous: false,
            outage: false,
            ..
        })
    ));
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    assert_eq!(bench.contacts().len(), 1);
}

#[tokio::test]
async fn g3_a_lost_answer_is_ambiguous_and_the_repetition_makes_no_second_contact() {
    let bench = bench().await;
    bench.org.inject(Once::LoseAnswer);
    let lost = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(
        matches!(
            lost,
            Err(SinkError::Retryable {
                ambiguous: true,
                outage: true,
                ..
            })
        ),
        "{lost:?}"
    );
    assert_eq!(bench.contacts().len(), 1, "it was executed");
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    assert_eq!(bench.contacts().len(), 1);
}

#[tokio::test]
async fn an_archive_whose_answer_was_lost_still_asks_for_the_second_look() {
    let bench = bench().await;
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    bench.org.inject(Once::LoseAnswer);
    let lost = bench.ends("entities/a", SubjectState::Removed, 2).await;
    assert!(matches!(
        lost,
        Err(SinkError::Retryable {
            ambiguous: true,
            ..
        })
    ));
    let again = bench
        .ends("entities/a", SubjectState::Removed, 2)
        .await
        .unwrap();
    assert!(again.second_look);
    assert!(
        !bench
            .ends("entities/a", SubjectState::Removed, 2)
            .await
            .unwrap()
            .second_look
    );
}

/// Nothing was archived: a look that is refused again would ask for another without end.
#[tokio::test]
async fn an_archive_that_the_guard_refuses_asks_for_no_second_look() {
    let bench = bench().await;
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    let removed = bench.ends("entities/a", SubjectState::Removed, 3).await;
    assert!(removed.unwrap().second_look);
    let older = bench.ends("entities/a", SubjectState::Erased, 2).await;
    let older = older.unwrap();
    assert_eq!((older.effect, older.second_look), (Effect::Stale, false));
}

#[tokio::test]
async fn an_outage_is_no_ambiguity_and_the_limit_pauses_the_sink() {
    let bench = bench().await;
    bench.org.inject(Once::RequestLimit);
    let limited = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(
        matches!(limited, Err(SinkError::Throttled { code, .. }) if code == "REQUEST_LIMIT_EXCEEDED")
    );
    bench.org.set_outage(true);
    let down = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(matches!(
        down,
        Err(SinkError::Retryable {
            ambiguous: false,
            outage: true,
            ..
        })
    ));
    bench.org.set_outage(false);
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_taken_external_id_makes_the_lane_read_again_and_then_gives_up_for_now() {
    let bench = bench().await;
    // The id is taken by a record that no read finds: its field ignores case, as a wrong setup does.
    bench.org.change("Contact", |object| {
        object
            .fields
            .get_mut("Reltio_Id__c")
            .unwrap()
            .case_sensitive = false;
        object.add(&[
            ("Reltio_Id__c", json!("entities/A")),
            ("LastName", json!("x")),
        ])
    });
    let taken = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(
        matches!(taken, Err(SinkError::Retryable { code, ambiguous: false, outage: false })
        if code == "DUPLICATE_VALUE")
    );
    let reads = bench
        .org
        .seen()
        .iter()
        .filter(|seen| seen.method == "QUERY")
        .count();
    assert!(reads > 1, "it read again from the top");
}

#[tokio::test]
async fn a_contact_deleted_in_the_org_is_made_again_for_its_entity() {
    let bench = bench().await;
    let id = bench.add("User");
    bench
        .lives(&golden("entities/a", "Ada", &[&id]), 1)
        .await
        .unwrap();
    bench.org.change("Contact", |object| object.delete(&id));
    bench
        .lives(&golden("entities/a", "Ada", &[&id]), 2)
        .await
        .unwrap();
    let contacts = bench.contacts();
    assert_eq!(
        (contacts.len(), text(&contacts[0], "Reltio_Home__c")),
        (1, Some("entities/a"))
    );
}

#[tokio::test]
async fn a_record_that_is_not_shared_is_refused_alone_and_halts_nobody() {
    let bench = bench().await;
    let (private, shared) = (bench.add("Private"), bench.add("Shared"));
    bench
        .org
        .change("Contact", |object| object.read_only.insert(private.clone()));
    let of = |entity: &str, id: &str| delivery(entity, alive(&golden(entity, "Ada", &[id])), 1);
    let (one, other) = (of("entities/a", &private), of("entities/b", &shared));
    let (refused, fine) = futures::join!(bench.sink.write_one(&one), bench.sink.write_one(&other));
    assert!(fine.is_ok(), "{fine:?}");
    let refused_alone = bench.sink.write_one(&one).await;
    for refused in [refused, refused_alone] {
        assert!(
            matches!(&refused, Err(SinkError::Rejected { code, action: "update", .. })
                if code == "INSUFFICIENT_ACCESS_OR_READONLY"),
            "{refused:?}"
        );
    }
    bench
        .org
        .change("Contact", |object| object.writable = false);
    let halted = bench.sink.write_one(&other).await;
    assert!(halted.is_ok(), "nothing is to be written: {halted:?}");
    let halted = bench.sink.write_one(&of("entities/c", &shared)).await;
    assert!(
        matches!(halted, Err(SinkError::Systemic { .. })),
        "{halted:?}"
    );
}

#[tokio::test]
async fn g7_a_request_that_is_too_much_is_halved_and_an_org_that_is_slow_spends_no_attempt() {
    let bench = bench().await;
    bench.org.set_faults(Faults {
        largest_query: 20,
        largest_write: 4,
        ..Faults::default()
    });
    let fine = many(&bench, 0, 60).await;
    assert!(fine.iter().all(Result::is_ok), "{fine:?}");
    assert_eq!(bench.contacts().len(), 60);
    bench.org.set_faults(Faults {
        largest_query: 1,
        ..Faults::default()
    });
    let before = bench.org.requests();
    let slow = many(&bench, 60, 90).await;
    let is_outage = |answer: &Result<Effect, SinkError>| {
        matches!(answer, Err(SinkError::Retryable { code, ambiguous: false, outage: true })
            if code == "QUERY_TIMEOUT")
    };
    assert!(slow.iter().all(is_outage), "{slow:?}");
    assert!(bench.org.requests() - before < 30, "the rest is not tried");
    bench.org.set_faults(Faults::default());
    bench.org.inject(Once::QueryTimeout);
    assert!(many(&bench, 60, 90).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn g4_a_write_that_lands_after_the_client_gave_up_is_refused_by_the_guard() {
    let bench = bench().await;
    let id = bench.add("User");
    bench
        .lives(&golden("entities/a", "First", &[&id]), 1)
        .await
        .unwrap();
    bench.org.inject(Once::LandLate);
    let lost = bench.lives(&golden("entities/a", "Old", &[&id]), 2).await;
    assert!(
        matches!(
            lost,
            Err(SinkError::Retryable {
                ambiguous: true,
                ..
            })
        ),
        "{lost:?}"
    );
    assert_eq!(
        text(&bench.contact(&id), "FirstName"),
        Some("First"),
        "not yet"
    );
    bench
        .lives(&golden("entities/a", "New", &[&id]), 3)
        .await
        .unwrap();
    assert_eq!(bench.org.land(), 1);
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("New"));
}

#[tokio::test]
async fn a_missing_field_halts_the_sink_with_a_remedy() {
    let mut object = contact();
    object.fields.remove("FirstName");
    let bench = bench_with(Settings::of(vec![object]), |_| {}).await;
    let halted = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    let Err(SinkError::Systemic { code, remedy }) = halted else {
        panic!("{halted:?}")
    };
    assert_eq!(code, "INVALID_FIELD");
    assert!(remedy.contains("goldwire schema salesforce"));
    let read_only = Field {
        writable: false,
        ..Field::of(Kind::Text(40))
    };
    bench.org.change("Contact", |object| {
        object.fields.insert("FirstName".into(), read_only)
    });
    let halted = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    assert!(
        matches!(halted, Err(SinkError::Systemic { code, .. }) if code == "INVALID_FIELD_FOR_INSERT_UPDATE")
    );
}

#[tokio::test]
async fn answers_in_pages_are_read_to_the_end() {
    let settings = Settings {
        page: 7,
        ..Settings::of(vec![contact()])
    };
    let bench = bench_with(settings, |_| {}).await;
    let ids: Vec<String> = (0..40).map(|n| bench.add(&format!("N{n}"))).collect();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    // 31 is the last day that the crosswalks' dates have.
    bench
        .lives(&golden("entities/a", "Ada", &names[..31]), 1)
        .await
        .unwrap();
    let merged = bench
        .contacts()
        .iter()
        .filter(|it| text(it, "Reltio_Merged_Into__c") == Some(names[0]))
        .count();
    assert_eq!(merged, 30);
}
