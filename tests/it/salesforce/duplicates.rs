//! The org's duplicate rules: saved past, refused, and the one record that a golden record is.

use goldwire::event::SubjectState;
use goldwire::sink::{Effect, SinkError};
use loadtest::fake_salesforce::{DuplicateRule, Settings};
use serde_json::{Value, json};

use super::bench::{Bench, archived, bench_with, contact, golden, text};

const ALERTS: DuplicateRule = DuplicateRule {
    fields: &["FirstName"],
    blocks: false,
    tells: true,
};

async fn org_with(rule: DuplicateRule, change: impl FnOnce(&mut Value)) -> Bench {
    let mut object = contact();
    object.duplicates = Some(rule);
    bench_with(Settings::of(vec![object]), change).await
}

fn links(config: &mut Value) {
    config["duplicate_rules"] = json!("refuse");
    config["on_duplicate"] = json!("link");
}

fn is_duplicate_of(answer: &Result<Effect, SinkError>, ids: &[&String]) -> bool {
    let Err(SinkError::Rejected { code, fields, .. }) = answer else {
        return false;
    };
    code == "DUPLICATES_DETECTED" && fields.iter().eq(ids.iter().copied())
}

async fn ada_lives(bench: &Bench) -> Result<Effect, SinkError> {
    let ada = golden("entities/a", "Ada", &[]);
    bench.lives(&ada, 1).await.map(|ack| ack.effect)
}

#[tokio::test]
async fn a_rule_that_alerts_keeps_no_golden_record_out_unless_it_is_to_refuse() {
    let bench = org_with(ALERTS, |_| {}).await;
    bench.add("Ada");
    ada_lives(&bench).await.unwrap();
    assert_eq!(bench.contacts().len(), 2);

    let bench = org_with(ALERTS, |config| config["duplicate_rules"] = json!("refuse")).await;
    let other = bench.add("ada");
    let refused = ada_lives(&bench).await;
    assert!(is_duplicate_of(&refused, &[&other]), "{refused:?}");
}

#[tokio::test]
async fn a_rule_that_blocks_makes_a_dead_letter_with_the_ids_of_all_that_it_names() {
    let blocks = DuplicateRule {
        blocks: true,
        ..ALERTS
    };
    let bench = org_with(blocks, |config| config["on_duplicate"] = json!("link")).await;
    let (one, two) = (bench.add("Ada"), bench.add("Ada"));
    let refused = ada_lives(&bench).await;
    assert!(is_duplicate_of(&refused, &[&one, &two]), "{refused:?}");

    let silent = DuplicateRule {
        tells: false,
        ..blocks
    };
    let bench = org_with(silent, links).await;
    bench.add("Ada");
    let refused = ada_lives(&bench).await;
    assert!(is_duplicate_of(&refused, &[]), "{refused:?}");
}

#[tokio::test]
async fn the_one_record_that_a_rule_names_becomes_the_golden_record_s_and_stays_it() {
    let bench = org_with(ALERTS, links).await;
    let id = bench.add("Ada");
    let ada = golden("entities/a", "Ada", &[]);
    let linked = bench.lives(&ada, 1).await.unwrap();
    assert!(
        linked.second_look,
        "another lane may take it at the same time"
    );
    let contact = bench.contact(&id);
    for field in ["Reltio_Id__c", "Reltio_Writer__c", "Reltio_Home__c"] {
        assert_eq!(text(&contact, field), Some("entities/a"), "{field}");
    }
    assert_eq!(text(&contact, "LastName"), Some("Lovelace"));
    let again = bench.lives(&ada, 1).await.unwrap();
    assert!(!again.second_look);
    let changed = golden("entities/a", "Augusta", &[]);
    bench.lives(&changed, 2).await.unwrap();
    assert_eq!(bench.contacts().len(), 1);
    let contact = bench.contact(&id);
    assert_eq!(text(&contact, "FirstName"), Some("Augusta"));
    assert!(!archived(&contact));
    bench
        .ends("entities/a", SubjectState::Removed, 3)
        .await
        .unwrap();
    assert!(archived(&bench.contact(&id)));
}

#[tokio::test]
async fn g9_a_record_that_is_another_s_is_not_taken() {
    // One that goldwire made for another entity.
    let bench = org_with(ALERTS, links).await;
    let other = golden("entities/b", "Ada", &[]);
    bench.lives(&other, 1).await.unwrap();
    let id = bench.contacts()[0].id.clone();
    let refused = ada_lives(&bench).await;
    assert!(is_duplicate_of(&refused, &[&id]), "{refused:?}");
    assert_eq!(
        text(&bench.contact(&id), "Reltio_Id__c"),
        Some("entities/b")
    );

    // One that a crosswalk names, though its entity was never delivered.
    let bench = org_with(ALERTS, links).await;
    let id = bench.add("Ada");
    let other = golden("entities/b", "Ada", &[&id]);
    bench
        .tenant
        .living
        .lock()
        .unwrap()
        .insert("entities/b".to_owned(), other);
    let refused = ada_lives(&bench).await;
    assert!(is_duplicate_of(&refused, &[&id]), "{refused:?}");
    assert_eq!(text(&bench.contact(&id), "Reltio_Id__c"), None);
}
