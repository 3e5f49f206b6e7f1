//! Slips of the pen in a mapping: a source or a path that Reltio does not have.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use goldwire::reltio::ReltioError;
use goldwire::sink::salesforce::{Deps, Salesforce, SalesforceSink};
use goldwire::sink::{Sink as _, SinkError};
use loadtest::fake_salesforce::{FakeSalesforce, Settings};
use serde_json::{Value, json};
use tracing::Level;

use super::super::logged::Logged;
use super::bench::{
    Bench, Tenant, alive, around, bench_with, config, contact, delivery, golden, text,
};

async fn mapped(fields: Value) -> Bench {
    bench_with(Settings::of(vec![contact()]), |config| {
        config["objects"]["Individual"]["fields"] = fields;
    })
    .await
}

fn without_first(entity: &str, contacts: &[&str]) -> Value {
    let mut json = golden(entity, "", contacts);
    json["attributes"]["FirstName"] = json!([]);
    json
}

/// Delivers a golden record that names a contact with both names; what they are then.
async fn names_after(bench: &Bench, json: &Value) -> (Option<String>, Option<String>) {
    bench.lives(json, 1).await.unwrap();
    let id = json["crosswalks"][0]["value"].as_str().unwrap();
    let contact = bench.contact(id);
    let name = |field| text(&contact, field).map(ToOwned::to_owned);
    (name("FirstName"), name("LastName"))
}

fn both(first: &str, last: &str) -> (Option<String>, Option<String>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (some(first), some(last))
}

#[tokio::test]
async fn a_mistyped_path_empties_no_field_and_writes_no_default_over_one() {
    let bench = mapped(json!({
        "FirstName": { "attribute": "FristName" },
        "LastName": { "attribute_or": { "path": "LastNam", "default": "(unknown)" } },
    }))
    .await;
    let id = bench.add("User's");
    let ada = golden("entities/a", "Ada", &[&id]);
    assert_eq!(names_after(&bench, &ada).await, both("User's", "User"));
    // A new record gets the default all the same: nothing is lost by it.
    bench
        .lives(&golden("entities/b", "Bea", &[]), 1)
        .await
        .unwrap();
    let contacts = bench.contacts();
    let new = contacts.iter().find(|contact| contact.id != id).unwrap();
    assert_eq!(text(new, "LastName"), Some("(unknown)"));
}

#[tokio::test]
async fn a_mistyped_member_empties_no_field() {
    let bench = mapped(json!({
        "FirstName": { "member": "lable" },
        "LastName": { "attribute": "LastName" },
    }))
    .await;
    let id = bench.add("User's");
    let ada = golden("entities/a", "Ada", &[&id]);
    assert_eq!(names_after(&bench, &ada).await, both("User's", "Lovelace"));
}

#[tokio::test]
async fn a_path_that_reltio_knows_or_that_had_a_value_empties_and_clear_true_does() {
    let last = json!({ "attribute_or": { "path": "LastName", "default": "x" } });
    let plain = json!({ "FirstName": { "attribute": "FirstName" }, "LastName": last });
    let bench = mapped(plain.clone()).await;
    let id = bench.add("User's");
    let json = without_first("entities/a", &[&id]);
    assert_eq!(names_after(&bench, &json).await.0, None, "known");

    let refused = ReltioError::Refused {
        code: "403".to_owned(),
        remedy: String::new(),
    };
    let bench = mapped(plain).await;
    *bench.tenant.closed.lock().unwrap() = Some(refused.clone());
    let id = bench.add("User's");
    let json = without_first("entities/a", &[&id]);
    let kept = Some("User's".to_owned());
    assert_eq!(names_after(&bench, &json).await.0, kept, "nothing tells");
    bench
        .lives(&golden("entities/b", "Bea", &[]), 1)
        .await
        .unwrap();
    assert_eq!(names_after(&bench, &json).await.0, None, "one had a value");

    let sure = json!({ "path": "Nowhere", "clear": true });
    let bench = mapped(json!({ "FirstName": { "attribute_or": sure } })).await;
    *bench.tenant.closed.lock().unwrap() = Some(refused);
    let id = bench.add("User's");
    let json = without_first("entities/a", &[&id]);
    assert_eq!(names_after(&bench, &json).await.0, None, "it was said");
    assert_eq!(bench.tenant.models_read.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_field_that_is_kept_when_empty_is_filled_and_never_emptied_but_by_an_erasure() {
    let keep = json!({ "path": "FirstName", "on_empty": "keep", "default": "New" });
    let bench = mapped(json!({
        "FirstName": { "attribute_or": keep },
        "LastName": { "attribute_or": { "path": "LastName", "default": "x" } },
    }))
    .await;
    let id = bench.add("User's");
    let json = without_first("entities/a", &[&id]);
    assert_eq!(
        names_after(&bench, &json).await.0.as_deref(),
        Some("User's")
    );
    let ada = golden("entities/a", "Ada", &[&id]);
    assert_eq!(names_after(&bench, &ada).await.0.as_deref(), Some("Ada"));
    assert_eq!(names_after(&bench, &json).await.0.as_deref(), Some("Ada"));
    bench
        .lives(&without_first("entities/b", &[]), 1)
        .await
        .unwrap();
    let contacts = bench.contacts();
    let new = contacts.iter().find(|contact| contact.id != id).unwrap();
    assert_eq!(
        text(new, "FirstName"),
        Some("New"),
        "a new record's default"
    );
    bench
        .ends("entities/a", goldwire::event::SubjectState::Erased, 2)
        .await
        .unwrap();
    assert_eq!(text(&bench.contact(&id), "FirstName"), Some("New"));
}

/// Guessing would lose a value for good; the delivery can wait.
#[tokio::test]
async fn while_reltio_does_not_answer_an_uncertain_field_waits() {
    let bench = mapped(json!({ "FirstName": { "attribute": "FirstName" } })).await;
    let down = ReltioError::Unavailable {
        code: "503".to_owned(),
    };
    *bench.tenant.closed.lock().unwrap() = Some(down);
    let waits = bench.lives(&without_first("entities/a", &[]), 1).await;
    assert!(waits.unwrap_err().is_outage());
}

#[tokio::test]
async fn check_names_a_path_a_member_a_type_and_a_source_that_reltio_does_not_have() {
    let bench = bench_with(Settings::of(vec![contact()]), |config| {
        config["crosswalk_source"] = json!("SFCD");
        let objects = &mut config["objects"];
        objects["Individual"]["fields"] = json!({
            "FirstName": { "attribute": "FristName" },
            "LastName": { "attribute_or": { "path": "LastName", "default": "x" } },
        });
        objects["Indivdual"] = objects["Individual"].clone();
        objects["Indivdual"]["fields"] = json!({ "LastName": { "constant": "x" } });
    })
    .await;
    let problems = bench.sink.probe().await;
    let wanted = [
        "crosswalk_source: Reltio's configuration has no source `SFCD`; is it `SFDC`?",
        "objects.Indivdual: Reltio's configuration has no entity type `Indivdual`; is it `Individual`?",
        "objects.Individual.fields.FirstName: Reltio's configuration has no attribute of Individual \
         `FristName`; is it `FirstName`?",
    ];
    for wanted in wanted {
        assert!(
            problems.iter().any(|it| it.starts_with(wanted)),
            "{wanted} in {problems:?}"
        );
    }
    assert_eq!(problems.len(), wanted.len(), "{problems:?}");

    let bench = mapped(json!({
        "FirstName": { "member": "lable" },
        "LastName": { "attribute_or": { "path": "LastName", "default": "x" } },
    }))
    .await;
    let problems = bench.sink.probe().await;
    assert!(
        problems[0].contains("`lable`; is it `label`?"),
        "{problems:?}"
    );
    let closed = ReltioError::Refused {
        code: "403".to_owned(),
        remedy: "give the client a role".to_owned(),
    };
    *bench.tenant.closed.lock().unwrap() = Some(closed);
    let problems = bench.sink.probe().await;
    assert!(problems[0].contains("cannot be read"), "{problems:?}");
}

#[test]
fn the_long_form_of_a_source_is_its_short_name() {
    for written in ["configuration/sources/SFDC", "SFDC", " SFDC "] {
        let mut config = config("http://x");
        config["crosswalk_source"] = json!(written);
        let config: SalesforceSink = serde_json::from_value(config).unwrap();
        assert_eq!(config.crosswalk_source, "SFDC");
    }
}

#[tokio::test]
async fn a_source_in_another_case_halts_the_sink_before_it_makes_a_second_contact() {
    let bench = bench_with(Settings::of(vec![contact()]), |config| {
        config["crosswalk_source"] = json!("sfdc");
    })
    .await;
    let id = bench.add("User");
    let halted = bench.lives(&golden("entities/a", "Ada", &[&id]), 1).await;
    let Err(SinkError::Systemic { code, remedy }) = halted else {
        panic!("{halted:?}")
    };
    assert_eq!(code, "crosswalk_source");
    assert!(
        remedy.contains("`SFDC`") && remedy.contains("`sfdc`"),
        "{remedy}"
    );
    assert_eq!(bench.contacts().len(), 1);
}

#[tokio::test]
async fn golden_records_without_a_crosswalk_of_the_source_are_counted_and_told_of_once() {
    let org = FakeSalesforce::start(Settings::of(vec![contact()]))
        .await
        .unwrap();
    let config: SalesforceSink = serde_json::from_value(config(&org.url())).unwrap();
    let tenant = Arc::new(Tenant::default());
    let (metrics, registry) = goldwire::telemetry::instruments().unwrap();
    let deps = Deps {
        metrics,
        ..around(&tenant)
    };
    let sink = Salesforce::new("crm", &config, deps).unwrap();
    let logged = Logged::down_to(Level::WARN);
    for number in 0..25 {
        let entity = format!("entities/{number}");
        let mut json = golden(&entity, "Ada", &[]);
        json["crosswalks"] = json!([{ "type": "configuration/sources/SFDC_Prod", "value": "7" }]);
        let write = delivery(&entity, alive(&json), 1);
        sink.write_one(&write).await.unwrap();
    }
    let lines = logged.text();
    let told: Vec<&str> = lines.lines().filter(|it| it.contains("`SFDC`")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("SFDC_Prod"), "{told:?}");
    let text = goldwire::telemetry::text(&registry).unwrap();
    let line = "goldwire_mapping_doubts_total{doubt=\"no_crosswalk\",sink=\"crm\"} 25";
    assert!(text.contains(line), "{text}");
}
