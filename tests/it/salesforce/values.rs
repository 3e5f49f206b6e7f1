//! What values of a golden record become in an org.

use goldwire::event::SubjectState;
use goldwire::sink::Sink as _;
use loadtest::fake_salesforce::{FakeObject, Field, Kind, Settings};
use serde_json::json;

use super::super::values;
use super::bench::{bench_with, contact, delivery, text};

fn contact_with_numbers() -> FakeObject {
    let mut contact = contact();
    for field in ["Worth__c", "Account__c", "Rate__c"] {
        contact
            .fields
            .insert(field.to_owned(), Field::of(Kind::Decimal(25)));
    }
    contact
}

#[tokio::test]
async fn an_org_is_sent_every_digit() {
    let settings = Settings::of(vec![contact_with_numbers()]);
    let bench = bench_with(settings, |config| {
        let fields = &mut config["objects"]["Individual"]["fields"];
        for name in ["Worth", "Account", "Rate"] {
            fields[format!("{name}__c")] = json!({ "attribute": name });
        }
    })
    .await;
    let state = SubjectState::Alive(values::object(values::NUMBERS));
    bench
        .sink
        .write_one(&delivery("entities/m", state, 1))
        .await
        .unwrap();
    let contact = bench.contacts().remove(0);
    for (field, wanted) in [
        ("Worth__c", "1234567890123456.78"),
        ("Account__c", "123456789012345678901234567890"),
        ("Rate__c", "0.1234567890123456789012345"),
    ] {
        assert_eq!(contact.fields[field].to_string(), wanted, "{field}");
    }
}

#[tokio::test]
async fn half_of_a_surrogate_pair_is_written_as_a_mark() {
    let settings = Settings::of(vec![contact()]);
    let bench = bench_with(settings, |config| {
        config["objects"]["Individual"]["fields"]["FirstName"] = json!({ "attribute": "Nick" });
    })
    .await;
    let state = SubjectState::Alive(values::object(values::LONE_SURROGATE));
    bench
        .sink
        .write_one(&delivery("entities/s", state, 1))
        .await
        .unwrap();
    let contact = bench.contacts().remove(0);
    assert_eq!(text(&contact, "FirstName"), Some("cut \u{fffd}"));
}
