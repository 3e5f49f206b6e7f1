//! What `probe` says of an org, and what is refused before anything is connected.

use std::sync::Arc;

use goldwire::sink::Sink as _;
use goldwire::sink::salesforce::Salesforce;
use goldwire::sink::salesforce::SalesforceSink;
use loadtest::fake_salesforce::{Field, Kind, Settings};
use serde_json::{Value, json};

use super::bench::{Tenant, around, bench, bench_with, config, contact};

#[tokio::test]
async fn an_org_as_the_schema_says_has_no_problems() {
    let problems = bench().await.sink.probe().await;
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test]
async fn every_problem_is_named_with_its_remedy() {
    let mut object = contact();
    object.fields.remove("Reltio_Home__c");
    let ext = object.fields.get_mut("Reltio_Id__c").unwrap();
    (ext.unique, ext.case_sensitive) = (false, false);
    object.fields.get_mut("FirstName").unwrap().writable = false;
    let required = Field {
        required: true,
        ..Field::of(Kind::Text(10))
    };
    object.fields.insert("Region__c".into(), required);
    let change = |config: &mut Value| {
        config["objects"]["Individual"]["fields"]["LastName"] = json!({ "attribute": "LastName" });
    };
    let problems = bench_with(Settings::of(vec![object]), change)
        .await
        .sink
        .probe()
        .await;
    let wanted = [
        "Contact.Reltio_Home__c does not exist",
        "Contact.Reltio_Id__c is not a unique external id",
        "Contact.Reltio_Id__c is not case-sensitive",
        "Contact.FirstName is not writable",
        "Contact.Region__c is required and not mapped",
        "Contact.LastName is required, but",
    ];
    for wanted in wanted {
        assert!(
            problems.iter().any(|it| it.starts_with(wanted)),
            "{wanted} in {problems:?}"
        );
    }
    assert_eq!(problems.len(), wanted.len(), "{problems:?}");
}

#[tokio::test]
async fn wrong_credentials_are_a_problem_that_does_not_show_the_secret() {
    let change = |config: &mut Value| config["client_secret"] = json!("wrong-secret");
    let problems = bench_with(Settings::of(vec![contact()]), change)
        .await
        .sink
        .probe()
        .await;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("token_invalid_client") && problems[0].contains("client_secret"));
    assert!(!problems[0].contains("wrong-secret"), "G10");
}

#[test]
fn what_cannot_work_is_refused_with_the_key() {
    let refuse = |change: &dyn Fn(&mut Value)| {
        let mut config = config("http://127.0.0.1:1");
        change(&mut config);
        let config: SalesforceSink = serde_json::from_value(config).unwrap();
        Salesforce::new("crm", &config, around(&Arc::new(Tenant::default()))).unwrap_err()
    };
    let plain = refuse(&|config| config["insecure_plain_http"] = json!(false));
    assert!(
        plain.starts_with("sinks.crm.salesforce.login_url: found http://127.0.0.1:1; use https")
    );
    let own = refuse(&|config| {
        config["objects"]["Individual"]["fields"]["Reltio_Guard__c"] = json!({ "constant": 1 });
    });
    assert!(
        own.contains("Reltio_Guard__c: is written by goldwire itself"),
        "{own}"
    );
    let odd = refuse(&|config| config["objects"]["Individual"]["sobject"] = json!("Contact WHERE"));
    assert!(odd.contains("is no API name"), "{odd}");
}
