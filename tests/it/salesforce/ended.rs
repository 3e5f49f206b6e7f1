//! Entities that are not active now: Reltio keeps them, and the org has their records out of use.

use std::sync::Arc;

use goldwire::sink::Sink as _;
use goldwire::sink::salesforce::{Deps, Salesforce, SalesforceSink};
use goldwire::time::Millis;
use loadtest::fake_salesforce::{FakeSalesforce, Settings};
use serde_json::{Value, json};

use super::super::reltio_client::HandClock;
use super::bench::{
    Tenant, alive, archived, around, bench, bench_with, config, contact, delivery, golden, text,
};

const LONG_AGO: Millis = 1_700_000_000_000;

fn until(mut json: Value, end: Value) -> Value {
    json["endDate"] = end;
    json
}

#[tokio::test]
async fn g9_an_ended_entity_s_contact_is_out_of_use_and_the_same_one_comes_back() {
    for named in [false, true] {
        let bench = bench().await;
        let known = bench.add("User");
        let names: Vec<&str> = if named { vec![&known] } else { Vec::new() };
        let ada = golden("entities/a", "Ada", &names);
        bench.lives(&ada, 1).await.unwrap();
        let records = bench.contacts().len();
        let living = bench.contacts().into_iter();
        let own = living.filter(|it| text(it, "Reltio_Id__c") == Some("entities/a"));
        let id = own.map(|it| it.id).next().unwrap();

        let ended = until(ada.clone(), json!(LONG_AGO));
        let delivered = bench.lives(&ended, 2).await.unwrap();
        assert!(delivered.second_look, "something was archived");
        let contact = bench.contact(&id);
        assert!(archived(&contact), "named by a crosswalk: {named}");
        assert_eq!(text(&contact, "Reltio_Id__c"), None);
        assert_eq!(text(&contact, "Reltio_Merged_Into__c"), None);
        assert_eq!(text(&contact, "FirstName"), Some("Ada"), "it is kept");
        let again = bench.lives(&ended, 2).await.unwrap();
        assert!(!again.second_look, "nothing is left to be done");

        bench.lives(&ada, 3).await.unwrap();
        let contact = bench.contact(&id);
        assert_eq!(text(&contact, "Reltio_Id__c"), Some("entities/a"));
        assert!(!archived(&contact));
        assert_eq!(bench.contacts().len(), records, "no second contact");
    }
}

#[tokio::test]
async fn a_contact_that_was_never_written_is_archived_when_its_entity_comes_as_ended() {
    let bench = bench().await;
    let known = bench.add("User");
    let ada = golden("entities/a", "Ada", &[&known, "no-id"]);
    bench
        .lives(&until(ada, json!("2023-11-15T12:00:00Z")), 1)
        .await
        .unwrap();
    let contact = bench.contact(&known);
    assert!(archived(&contact));
    assert_eq!(text(&contact, "FirstName"), Some("User"));
    assert_eq!(bench.contacts().len(), 1);
}

#[tokio::test]
async fn two_contacts_of_an_ended_entity_come_back_as_one() {
    let bench = bench().await;
    let (first, second) = (bench.add("A"), bench.add("B"));
    let ada = golden("entities/a", "Ada", &[&first, &second]);
    bench.lives(&ada, 1).await.unwrap();
    bench
        .lives(&until(ada.clone(), json!(LONG_AGO)), 2)
        .await
        .unwrap();
    for id in [&first, &second] {
        let contact = bench.contact(id);
        assert!(archived(&contact));
        assert_eq!(text(&contact, "Reltio_Merged_Into__c"), None);
    }
    bench.lives(&ada, 3).await.unwrap();
    assert!(!archived(&bench.contact(&first)));
    let other = bench.contact(&second);
    assert!(archived(&other));
    assert_eq!(text(&other, "Reltio_Merged_Into__c"), Some(first.as_str()));
}

#[tokio::test]
async fn an_entity_whose_start_is_to_come_has_no_contact_before_it() {
    let org = FakeSalesforce::start(Settings::of(vec![contact()]))
        .await
        .unwrap();
    let config: SalesforceSink = serde_json::from_value(config(&org.url())).unwrap();
    let tenant = Arc::new(Tenant::default());
    let clock = HandClock::at(LONG_AGO);
    let deps = Deps {
        clock: Arc::<HandClock>::clone(&clock),
        ..around(&tenant)
    };
    let sink = Salesforce::new("crm", &config, deps).unwrap();
    let mut ada = golden("entities/a", "Ada", &[]);
    ada["startDate"] = json!(LONG_AGO + 1);
    let delivery = delivery("entities/a", alive(&ada), 1);
    sink.write_one(&delivery).await.unwrap();
    assert!(org.records("Contact").is_empty());
    clock.set(LONG_AGO + 1);
    sink.write_one(&delivery).await.unwrap();
    let contacts = org.records("Contact");
    assert_eq!(contacts.len(), 1);
    assert!(!archived(&contacts[0]));
}

#[tokio::test]
async fn where_ended_ones_are_kept_they_are_written_like_any_other() {
    let bench = bench_with(Settings::of(vec![contact()]), |config| {
        config["objects"]["Individual"]["ended"] = json!("keep");
    })
    .await;
    let ended = |name| until(golden("entities/a", name, &[]), json!(LONG_AGO));
    bench.lives(&ended("Ada"), 1).await.unwrap();
    bench.lives(&ended("Bea"), 2).await.unwrap();
    let contacts = bench.contacts();
    assert_eq!(contacts.len(), 1);
    assert!(!archived(&contacts[0]));
    assert_eq!(text(&contacts[0], "FirstName"), Some("Bea"));
}
