//! What the org stores in its own way, what it does not take, and what a golden record lacks.

use loadtest::fake_salesforce::{FakeObject, Field, Kind, Settings};
use serde_json::{Value, json};

use super::bench::{Bench, bench_with, contact, golden, text};

/// Contacts that have fields of every kind, each mapped from the attribute of its name.
async fn of_kinds(kinds: &[(&str, Kind)], change: impl FnOnce(&mut Value)) -> Bench {
    let mut object: FakeObject = contact();
    for (name, kind) in kinds {
        object.fields.insert((*name).to_owned(), Field::of(*kind));
    }
    bench_with(Settings::of(vec![object]), |config| {
        for (name, _) in kinds {
            let fields = &mut config["objects"]["Individual"]["fields"];
            fields[*name] = json!({ "attribute": name });
        }
        change(config);
    })
    .await
}

fn with(entity: &str, values: &[(&str, Value)]) -> Value {
    let mut json = golden(entity, "Ada", &[]);
    for (name, value) in values {
        json["attributes"][*name] = json!([{ "value": value, "ov": true }]);
    }
    json
}

fn writes(bench: &Bench) -> usize {
    let seen = bench.org.seen();
    seen.iter().filter(|seen| seen.method != "QUERY").count()
}

/// The org refuses null in a checkbox, on create as on update, and its own default may be yes.
#[tokio::test]
async fn a_checkbox_without_a_value_is_no_on_create_and_on_update() {
    let kinds = [("Active__c", Kind::Checkbox), ("Vip__c", Kind::Checkbox)];
    let bench = of_kinds(&kinds, |_| {}).await;
    let yes = [("Vip__c", json!(true))];
    bench.lives(&with("entities/c", &yes), 1).await.unwrap();
    let fields = bench.contacts().remove(0).fields;
    assert_eq!(fields["Active__c"], json!(false));
    assert_eq!(fields["Vip__c"], json!(true));
    bench.lives(&with("entities/c", &[]), 2).await.unwrap();
    assert_eq!(bench.contacts()[0].fields["Vip__c"], json!(false));
    let before = writes(&bench);
    bench.lives(&with("entities/c", &[]), 2).await.unwrap();
    assert_eq!(writes(&bench), before, "nothing changed");
}

/// Null would undo what the org's administrator set for new records.
#[tokio::test]
async fn a_create_names_no_field_without_a_value() {
    let mut object: FakeObject = contact();
    let region = Field {
        default: Some("EMEA"),
        ..Field::of(Kind::Text(20))
    };
    object.fields.insert("Region__c".to_owned(), region);
    let bench = bench_with(Settings::of(vec![object]), |config| {
        let fields = &mut config["objects"]["Individual"]["fields"];
        fields["Region__c"] = json!({ "attribute": "Region" });
    })
    .await;
    bench.lives(&with("entities/c", &[]), 1).await.unwrap();
    assert_eq!(text(&bench.contacts()[0], "Region__c"), Some("EMEA"));
}

#[tokio::test]
async fn values_that_the_org_keeps_differently_are_not_written_again() {
    let kinds = [
        ("Email", Kind::Email(80)),
        ("Revenue__c", Kind::Decimal(2)),
        ("Score__c", Kind::Number),
        ("Seen__c", Kind::DateTime),
        ("Born__c", Kind::Date),
        ("Tags__c", Kind::Picklist(&["a", "b", "c"])),
        ("Parent__c", Kind::Reference),
    ];
    let bench = of_kinds(&kinds, |_| {}).await;
    let values = [
        ("Email", json!("Ada@Example.ORG")),
        ("Revenue__c", json!(1234.565)),
        ("Score__c", json!(7.4)),
        ("Seen__c", json!("2026-01-31T10:30:00.454+01:00")),
        ("Born__c", json!("1815-12-10")),
        ("Tags__c", json!("c;a")),
        ("Parent__c", json!("001A0000006Vm9r")),
    ];
    for time in 1..=3 {
        // The guard grows by a write of its own; what is asked here is whether content does.
        let time = if bench.contacts().is_empty() { time } else { 1 };
        bench
            .lives(&with("entities/f", &values), time)
            .await
            .unwrap();
    }
    assert_eq!(writes(&bench), 1);
    let contact = bench.contacts().remove(0);
    assert_eq!(text(&contact, "Email"), Some("ada@example.org"));
    assert_eq!(contact.fields["Revenue__c"], json!(1234.57));
    assert_eq!(
        text(&contact, "Seen__c"),
        Some("2026-01-31T09:30:00.000+0000")
    );

    let mut changed = values.to_vec();
    for (field, value) in [
        ("Email", json!("ada@example.com")),
        ("Revenue__c", json!(1234.575)),
        ("Score__c", json!(7.5)),
        ("Seen__c", json!("2026-01-31T10:30:01+01:00")),
        ("Born__c", json!("1815-12-11")),
        ("Tags__c", json!("b;c")),
        ("Parent__c", json!("001A0000006Vm9s")),
    ] {
        let before = writes(&bench);
        let place = changed.iter_mut().find(|(name, _)| *name == field).unwrap();
        place.1 = value;
        bench.lives(&with("entities/f", &changed), 1).await.unwrap();
        assert_eq!(writes(&bench), before + 1, "{field} changed");
    }
}
