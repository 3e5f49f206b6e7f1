//! What values of a golden record become in an org.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goldwire::event::SubjectState;
use goldwire::sink::salesforce::{
    Org, Record, RecordWrite, Salesforce, SalesforceSink, Sought, Table, Written,
};
use goldwire::sink::{Sink as _, SinkError};
use loadtest::fake_salesforce::Settings;
use serde_json::json;

use super::super::values;
use super::bench::{around, bench_with, config, contact, delivery, text};

/// An org without records, which keeps what it is sent. Salesforce itself rounds a number to the
/// field's scale and to 64 bits.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<RecordWrite>>);

#[async_trait]
impl Org for Sent {
    async fn find(&self, _: &Table, _: Sought) -> Result<Vec<Record>, SinkError> {
        Ok(Vec::new())
    }

    async fn write(&self, _: &Table, write: RecordWrite) -> Result<Written, SinkError> {
        self.0.lock().unwrap().push(write);
        Ok(Written::Done("003A0000006Vm9rIAC".to_owned()))
    }
}

#[tokio::test]
async fn an_org_is_sent_every_digit() {
    let mut config = config("http://127.0.0.1");
    let fields = &mut config["objects"]["Individual"]["fields"];
    for name in ["Worth", "Account", "Rate"] {
        fields[format!("{name}__c")] = json!({ "attribute": name });
    }
    let config: SalesforceSink = serde_json::from_value(config).unwrap();
    let org = Arc::new(Sent::default());
    let deps = around(&Arc::default());
    let sink = Salesforce::over(Arc::<Sent>::clone(&org), "crm", &config, deps).unwrap();
    let state = SubjectState::Alive(values::object(values::NUMBERS));
    let one = delivery("entities/m", state, 1);
    sink.write_one(&one).await.unwrap();
    let sent = org.0.lock().unwrap().remove(0);
    for (field, wanted) in [
        ("Worth__c", "1234567890123456.78"),
        ("Account__c", "123456789012345678901234567890"),
        ("Rate__c", "0.1234567890123456789012345"),
    ] {
        assert_eq!(sent.content[field].to_string(), wanted, "{field}");
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
