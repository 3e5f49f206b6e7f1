//! What a crosswalk of the org's source says, and what is no id.

use goldwire::event::SubjectState;
use goldwire::sink::SinkError;
use serde_json::{Value, json};

use super::bench::{Bench, archived, bench, golden, text};

const ID: &str = "003abCDefGHijKLATZ";

fn add(bench: &Bench, id: &str) {
    let fields = [("LastName", json!("User"))];
    bench
        .org
        .change("Contact", |object| object.add_as(id, &fields))
        .unwrap();
}

async fn refused(bench: &Bench, crosswalks: &[&str]) -> bool {
    let refused = bench
        .lives(&golden("entities/u", "Ana", crosswalks), 1)
        .await;
    matches!(refused, Err(SinkError::Rejected { code, action: "map", .. }) if code == "bad_crosswalk")
}

#[tokio::test]
async fn an_id_whose_case_a_source_folded_is_the_contact_that_its_suffix_tells() {
    for folded in [ID.to_uppercase(), ID.to_lowercase()] {
        let bench = bench().await;
        add(&bench, ID);
        let json = golden("entities/u", "Ana", &[&folded]);
        bench.lives(&json, 1).await.unwrap();
        assert_eq!(bench.contacts().len(), 1, "{folded}");
        assert_eq!(text(&bench.contact(ID), "FirstName"), Some("Ana"));
    }
}

/// Reltio has the crosswalk as the source wrote it, and is asked by it.
#[tokio::test]
async fn g9_the_owner_of_a_contact_is_found_by_the_id_as_the_source_folded_it() {
    for folded in [ID.to_uppercase(), ID.to_lowercase()] {
        let bench = bench().await;
        add(&bench, ID);
        let by = Some("entities/w".to_owned());
        bench
            .lives(&golden("entities/l", "Lou", &[ID]), 1)
            .await
            .unwrap();
        let winner = golden("entities/w", "Win", &[&folded]);
        bench
            .tenant
            .living
            .lock()
            .unwrap()
            .insert("entities/w".into(), winner);
        bench
            .ends("entities/l", SubjectState::Absorbed { by }, 2)
            .await
            .unwrap();
        assert_eq!(bench.tenant.told.lock().unwrap().len(), 1, "{folded}");
        bench.reconcile(3).await;
        let contact = bench.contact(ID);
        assert_eq!(text(&contact, "Reltio_Id__c"), Some("entities/w"));
        assert!(!archived(&contact));
    }
}

#[tokio::test]
async fn what_is_no_id_is_a_dead_letter_and_makes_no_contact() {
    let bench = bench().await;
    add(&bench, ID);
    for odd in [
        "",
        "4711",
        "') OR Id != '",
        "003000000000000000000",
        // A suffix that does not fit, and a suffix that asks for an upper-case digit.
        "003abCDefGHijKLATA",
        "0030000000000000ZZ",
    ] {
        assert!(refused(&bench, &[odd]).await, "{odd}");
        assert!(refused(&bench, &[ID, odd]).await, "{odd}");
    }
    assert_eq!(bench.contacts().len(), 1);
}

/// Which letters were upper case is lost; only the org can tell whether any were.
#[tokio::test]
async fn fifteen_characters_of_one_case_are_an_id_only_if_the_org_knows_it() {
    let bench = bench().await;
    let whole = bench.add("User");
    assert!(refused(&bench, &["003ABCDEFGHIJKL"]).await);
    assert_eq!(bench.contacts().len(), 1, "no second contact");
    let short = whole.get(..15).unwrap();
    bench
        .lives(&golden("entities/u", "Ana", &[short]), 1)
        .await
        .unwrap();
    assert_eq!(text(&bench.contact(&whole), "FirstName"), Some("Ana"));
    // Where a Contact is there already, none would be made.
    let both = golden("entities/u", "Bea", &[short, "003ABCDEFGHIJKL"]);
    bench.lives(&both, 2).await.unwrap();
    assert_eq!(bench.contacts().len(), 1);
    assert_eq!(text(&bench.contact(&whole), "FirstName"), Some("Bea"));
}

#[tokio::test]
async fn deleted_crosswalks_and_those_of_other_sources_do_not_count() {
    let bench = bench().await;
    let mut json: Value = golden("entities/u", "Ana", &["odd"]);
    json["crosswalks"][0]["deleteDate"] = json!("2025-01-01T00:00:00.000Z");
    let other = json!({ "type": "configuration/sources/Reltio", "value": "u" });
    json["crosswalks"].as_array_mut().unwrap().push(other);
    bench.lives(&json, 1).await.unwrap();
    assert_eq!(bench.contacts().len(), 1);
}
