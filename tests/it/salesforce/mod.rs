//! The Salesforce sink against a faithful fake of an org.

mod batches;
mod bench;
mod doubts;
mod duplicates;
mod ended;
mod faults;
mod ids;
mod login;
mod probe;
mod program;
mod stored;
mod usage;
mod values;

use goldwire::event::{self, Subject, SubjectState};
use goldwire::sink::{Effect, Sink as _, Write};
use loadtest::fake_salesforce::{Field, Kind, Settings};
use serde_json::json;

use self::bench::{alive, archived, bench, bench_with, delivery, golden, text};

#[tokio::test]
async fn a_golden_record_without_crosswalks_becomes_a_contact_of_its_own() {
    let bench = bench().await;
    let delivered = bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    assert_eq!(
        (delivered.effect, delivered.second_look),
        (Effect::Delivered, false)
    );
    let contacts = bench.contacts();
    assert_eq!(contacts.len(), 1);
    for field in ["Reltio_Id__c", "Reltio_Writer__c", "Reltio_Home__c"] {
        assert_eq!(text(&contacts[0], field), Some("entities/a"), "{field}");
    }
    assert_eq!(text(&contacts[0], "FirstName"), Some("Ada"));
}

#[tokio::test]
async fn g5_a_redelivery_writes_nothing() {
    let bench = bench().await;
    let id = bench.add("Old");
    for _ in 0..3 {
        bench
            .lives(&golden("entities/a", "Ada", &[&id]), 1)
            .await
            .unwrap();
    }
    let writes = bench
        .org
        .seen()
        .iter()
        .filter(|seen| seen.method != "QUERY")
        .count();
    assert_eq!((writes, bench.contacts().len()), (1, 1));
}

#[tokio::test]
async fn g9_after_a_merge_the_earliest_contact_lives_and_the_other_is_archived_into_it() {
    let bench = bench().await;
    let (first, second) = (bench.add("A"), bench.add("B"));
    bench
        .lives(&golden("entities/a", "Ada", &[&second]), 1)
        .await
        .unwrap();
    bench
        .lives(&golden("entities/b", "Bea", &[&first]), 1)
        .await
        .unwrap();
    // The loser's record first: it finds its contact to be another's now, and tells.
    let by = Some("entities/a".to_owned());
    let merged = golden("entities/a", "Ada", &[&first, &second]);
    bench
        .tenant
        .living
        .lock()
        .unwrap()
        .insert("entities/a".into(), merged.clone());
    bench
        .ends("entities/b", SubjectState::Absorbed { by }, 2)
        .await
        .unwrap();
    assert_eq!(
        bench.tenant.told.lock().unwrap().as_slice(),
        [("entities/a".into(), 1, vec![first.clone()])]
    );
    let delivered = bench.lives(&merged, 2).await.unwrap();
    assert!(delivered.second_look, "something was archived");
    bench.reconcile(3).await;
    let (chosen, other) = (bench.contact(&first), bench.contact(&second));
    assert_eq!(
        (text(&chosen, "Reltio_Id__c"), archived(&chosen)),
        (Some("entities/a"), false)
    );
    assert_eq!(text(&chosen, "FirstName"), Some("Ada"));
    assert_eq!(
        (text(&other, "Reltio_Merged_Into__c"), archived(&other)),
        (Some(first.as_str()), true)
    );
}

#[tokio::test]
async fn g9_an_unmerge_gives_each_entity_its_contact_back() {
    let bench = bench().await;
    let (first, second) = (bench.add("A"), bench.add("B"));
    bench
        .lives(&golden("entities/a", "Ada", &[&first, &second]), 1)
        .await
        .unwrap();
    assert!(archived(&bench.contact(&second)));
    bench
        .lives(&golden("entities/b", "Bea", &[&second]), 2)
        .await
        .unwrap();
    bench
        .lives(&golden("entities/a", "Ada", &[&first]), 2)
        .await
        .unwrap();
    bench.reconcile(3).await;
    for (id, entity, name) in [
        (&first, "entities/a", "Ada"),
        (&second, "entities/b", "Bea"),
    ] {
        let contact = bench.contact(id);
        assert_eq!(text(&contact, "Reltio_Id__c"), Some(entity));
        assert_eq!(text(&contact, "FirstName"), Some(name));
        assert!(!archived(&contact) && text(&contact, "Reltio_Merged_Into__c").is_none());
    }
}

#[tokio::test]
async fn a_removed_record_s_contact_is_archived_and_keeps_its_content_until_it_is_erased() {
    let bench = bench().await;
    bench
        .lives(&golden("entities/a", "Ada", &[]), 1)
        .await
        .unwrap();
    bench
        .ends("entities/a", SubjectState::Removed, 2)
        .await
        .unwrap();
    let contact = bench.contacts().remove(0);
    assert!(archived(&contact) && text(&contact, "Reltio_Id__c").is_none());
    assert_eq!(text(&contact, "FirstName"), Some("Ada"));
    let mut erased = delivery("entities/a", SubjectState::Erased, 3);
    erased.object_type = "".into();
    bench.sink.write_one(&erased).await.unwrap();
    let contact = bench.contacts().remove(0);
    assert_eq!(
        (text(&contact, "FirstName"), text(&contact, "LastName")),
        (None, Some("Unknown"))
    );
}

#[tokio::test]
async fn an_erasure_that_comes_after_a_new_life_blanks_what_nobody_owns() {
    let bench = bench().await;
    let id = bench.add("Ada");
    bench
        .lives(&golden("entities/a", "Ada", &[&id]), 1)
        .await
        .unwrap();
    bench
        .ends("entities/a", SubjectState::Removed, 2)
        .await
        .unwrap();
    let again = golden("entities/a", "Bea", &[]);
    bench.lives(&again, 4).await.unwrap();
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("Ada"));

    let mut late = delivery("entities/a", alive(&again), 5);
    late.current.as_mut().unwrap().erased = true;
    bench.sink.write_one(&late).await.unwrap();
    let contact = bench.contact(&id);
    assert!(archived(&contact) && text(&contact, "FirstName").is_none());
    let contacts = bench.contacts();
    let living: Vec<_> = contacts.iter().filter(|it| !archived(it)).collect();
    assert_eq!(living.len(), 1);
    assert_eq!(text(living[0], "FirstName"), Some("Bea"));
}

#[tokio::test]
async fn what_a_partial_snapshot_does_not_tell_is_kept() {
    let bench = bench().await;
    let id = bench.add("User's");
    let mut json = golden("entities/a", "", &[&id]);
    json["attributes"] = json!({ "LastName": [{ "value": "Byron", "ov": true }] });
    let fields = ["crosswalks", "attributes.LastName"]
        .map(ToOwned::to_owned)
        .to_vec();
    let mut partial = delivery("entities/a", alive(&json), 1);
    partial.current.as_mut().unwrap().fields = Some(fields);
    bench.sink.write_one(&partial).await.unwrap();
    let contact = bench.contact(&id);
    assert_eq!(
        (text(&contact, "FirstName"), text(&contact, "LastName")),
        (Some("User's"), Some("Byron"))
    );
    bench.lives(&json, 2).await.unwrap();
    assert_eq!(
        text(&bench.contact(&id), "FirstName"),
        None,
        "absent from a whole snapshot: empty"
    );
}

#[tokio::test]
async fn where_crosswalks_are_not_told_reltio_is_read() {
    let bench = bench().await;
    let id = bench.add("User");
    let whole = golden("entities/a", "Ada", &[&id]);
    bench
        .tenant
        .living
        .lock()
        .unwrap()
        .insert("entities/a".into(), whole);
    let mut partial = delivery("entities/a", alive(&golden("entities/a", "Old", &[])), 1);
    partial.current.as_mut().unwrap().fields = Some(vec!["attributes".to_owned()]);
    bench.sink.write_one(&partial).await.unwrap();
    assert_eq!(bench.contacts().len(), 1);
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("Ada"));
}

#[tokio::test]
async fn where_a_whole_snapshot_has_no_crosswalks_member_reltio_is_read_and_that_is_told() {
    let bench = bench().await;
    let id = bench.add("User");
    let whole = golden("entities/a", "Ada", &[&id]);
    let mut bare = whole.clone();
    bare.as_object_mut().unwrap().remove("crosswalks");
    let told = bench.lives(&whole, 1).await.unwrap();
    let read = bench
        .sink
        .write_one(&delivery("entities/a", alive(&bare), 2))
        .await
        .unwrap();
    assert_eq!(bench.contacts().len(), 1, "no second contact");
    assert_eq!(
        (told.read, read.read),
        (None, Some(5_000)),
        "the answer's date"
    );
}

#[tokio::test]
async fn g9_a_created_contact_that_another_s_crosswalk_names_is_left_to_that_one() {
    let bench = bench().await;
    let ada = golden("entities/a", "Ada", &[]);
    bench.lives(&ada, 1).await.unwrap();
    let created = bench.contacts().remove(0).id;
    // The org is a source of Reltio too: its new contact became an entity of its own.
    let bea = golden("entities/b", "Bea", &[&created]);
    bench.lives(&bea, 2).await.unwrap();
    assert_eq!(
        bench.tenant.told.lock().unwrap().len(),
        1,
        "it needs another one"
    );
    bench.reconcile(3).await;
    for at in [4, 5] {
        bench.lives(&ada, at).await.unwrap();
        bench.lives(&bea, at).await.unwrap();
        bench.reconcile(at).await;
    }
    let contacts = bench.contacts();
    assert_eq!(contacts.len(), 2);
    for contact in &contacts {
        let entity = if contact.id == created {
            "entities/b"
        } else {
            "entities/a"
        };
        assert_eq!(text(contact, "Reltio_Id__c"), Some(entity));
        assert!(!archived(contact));
    }
}

#[tokio::test]
async fn a_checkbox_is_emptied_to_no() {
    let mut object = bench::contact();
    let field = Field::of(Kind::Checkbox);
    object.fields.insert("DoNotCall".to_owned(), field);
    let bench = bench_with(Settings::of(vec![object]), |config| {
        let fields = &mut config["objects"]["Individual"]["fields"];
        fields["DoNotCall"] = json!({ "attribute": "DoNotCall" });
    })
    .await;
    let mut json = golden("entities/a", "Ada", &[]);
    json["attributes"]["DoNotCall"] = json!([{ "value": true, "ov": true }]);
    bench.lives(&json, 1).await.unwrap();
    assert_eq!(bench.contacts()[0].fields["DoNotCall"], json!(true));
    bench
        .ends("entities/a", SubjectState::Erased, 2)
        .await
        .unwrap();
    assert_eq!(bench.contacts()[0].fields["DoNotCall"], json!(false));
}

#[tokio::test]
async fn g4_the_guard_s_refusal_is_stale_and_another_entity_s_time_is_not_compared() {
    let bench = bench().await;
    let id = bench.add("User");
    bench
        .lives(&golden("entities/a", "New", &[&id]), 9)
        .await
        .unwrap();
    let stale = bench
        .lives(&golden("entities/a", "Old", &[&id]), 5)
        .await
        .unwrap();
    assert_eq!(stale.effect, Effect::Stale);
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("New"));
    bench.tenant.living.lock().unwrap().clear();
    let other = bench
        .lives(&golden("entities/b", "Bea", &[&id]), 5)
        .await
        .unwrap();
    assert_eq!(other.effect, Effect::Delivered);
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("Bea"));
}

#[tokio::test]
async fn hostile_names_stay_values() {
    let bench = bench().await;
    let entity = "entities/a' OR Name != '\\";
    for _ in 0..2 {
        bench
            .lives(&golden(entity, "x'; DROP", &[]), 1)
            .await
            .unwrap();
    }
    let contacts = bench.contacts();
    assert_eq!(
        (contacts.len(), text(&contacts[0], "Reltio_Id__c")),
        (1, Some(entity))
    );
}

#[tokio::test]
async fn types_that_are_not_mapped_and_relations_leave_the_org_alone() {
    let bench = bench().await;
    let mut json = golden("entities/o", "Acme", &[]);
    json["type"] = json!("configuration/entityTypes/Organization");
    bench.lives(&json, 1).await.unwrap();
    let relation = Write {
        subject: Subject::new("t", "relations/r"),
        ..delivery("x", alive(&json), 1)
    };
    bench.sink.write_one(&relation).await.unwrap();
    assert_eq!(bench.org.requests(), 0);
    let (entity, relation) = (
        Subject::new("t", "entities/a"),
        Subject::new("t", "relations/r"),
    );
    assert!(
        bench
            .sink
            .accepts(&entity, "Individual", event::Kind::Changed)
    );
    assert!(bench.sink.accepts(&entity, "", event::Kind::Merged));
    assert!(
        !bench
            .sink
            .accepts(&entity, "Organization", event::Kind::Changed)
    );
    assert!(!bench.sink.accepts(&relation, "", event::Kind::Changed));
}

#[tokio::test]
async fn two_lanes_that_write_one_contact_do_not_meet_in_one_request() {
    let bench = bench().await;
    let id = bench.add("User");
    let of = |entity: &str| delivery(entity, alive(&golden(entity, "Ada", &[&id])), 1);
    let (a, b) = (of("entities/a"), of("entities/b"));
    let (one, other) = futures::join!(bench.sink.write_one(&a), bench.sink.write_one(&b));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let writes: Vec<usize> = bench
        .org
        .seen()
        .iter()
        .filter(|seen| seen.method == "PATCH")
        .map(|seen| seen.rows)
        .collect();
    assert_eq!(writes, [1, 1]);
    assert_eq!(bench.contact(&id).ever_by.len(), 2);
}
